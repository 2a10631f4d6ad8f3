"""A tunnel as netlink makes it: the vxlan link, and who is behind which node (ip-link(8), VXLAN; bridge(8), fdb).

Nothing is learned and nothing is flooded. Frames go to the node that the forwarding table names for their address; the
link answers ARP itself, from the neighbours it was given (`proxy`); what neither table knows is dropped.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from nbcontainer.network.neighbours import (
    NDA_DST,
    NDA_LLADDR,
    NTF_MASTER,
    NTF_SELF,
    NUD_NOARP,
    NUD_PERMANENT,
    RTM_DELNEIGH,
    RTM_NEWNEIGH,
    neighbour_message,
)
from nbcontainer.network.up import up
from nbcontainer.network.wire import (
    CREATE,
    IFLA_ADDRESS,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    NESTED,
    NLM_F_CREATE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    Rtnetlink,
    attribute,
    attributes,
    link_message,
    mac_bytes,
    name_attribute,
)

RTM_GETADDR = 22
NLM_F_REPLACE = 0x100
IFA_LOCAL = 2
IFLA_MTU = 4
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 4, 5
IFLA_VXLAN_ID, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_PROXY, IFLA_VXLAN_PORT = 1, 4, 7, 11, 15
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD = 8, 9, 27
#: VXLAN's port (RFC 7348; Linux alone has another by default).
PORT = 4789
#: What a tunnel adds to a frame: Ethernet, IPv4, UDP and VXLAN headers.
OVERHEAD = 50


def add(rtnetlink: Rtnetlink, name: str, vni: int, local: str, bridge: int, mtu: int, mac: str) -> None:
    """`ip link add NAME type vxlan id VNI local LOCAL dstport 4789 nolearning proxy`, as a port of a bridge, up.

    The port neither learns nor floods; broadcasts do reach it, for ARP is one. Raises `OSError`.
    """
    what = f"link {name}"
    options = attribute(IFLA_VXLAN_ID, struct.pack("I", vni)) + attribute(IFLA_VXLAN_LOCAL, socket.inet_aton(local))
    options += attribute(IFLA_VXLAN_PORT, struct.pack("!H", PORT))
    options += attribute(IFLA_VXLAN_LEARNING, b"\0") + attribute(IFLA_VXLAN_PROXY, b"\1")
    info = attribute(IFLA_INFO_KIND, b"vxlan") + attribute(IFLA_INFO_DATA | NESTED, options)
    body = link_message() + name_attribute(name) + attribute(IFLA_MTU, struct.pack("I", mtu))
    body += attribute(IFLA_ADDRESS, mac_bytes(mac)) + attribute(IFLA_MASTER, struct.pack("i", bridge))
    rtnetlink.request(RTM_NEWLINK, CREATE, body + attribute(IFLA_LINKINFO | NESTED, info), what)
    port = b"".join(
        attribute(kind, b"\0") for kind in (IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD)
    )
    slave = attribute(IFLA_INFO_SLAVE_KIND, b"bridge") + attribute(IFLA_INFO_SLAVE_DATA | NESTED, port)
    body = link_message() + name_attribute(name) + attribute(IFLA_LINKINFO | NESTED, slave)
    rtnetlink.batch([(RTM_NEWLINK, 0, body, what), *up(name, what)])


def index_of(rtnetlink: Rtnetlink, name: str) -> int | None:
    """A link's index, or None when there is none of that name."""
    return next((int(link["index"]) for link in rtnetlink.links() if link["name"] == name), None)


def addresses(rtnetlink: Rtnetlink) -> list[str]:
    """The IPv4 addresses of the namespace."""
    found = []
    for kind, message in rtnetlink.dump(RTM_GETADDR, struct.pack("BBBBi", socket.AF_INET, 0, 0, 0, 0)):
        local = dict(attributes(message, 8)).get(IFA_LOCAL)
        if kind == RTM_NEWADDR and local is not None:
            found.append(socket.inet_ntoa(local))
    return found


def learn(rtnetlink: Rtnetlink, index: int, ip: str, mac: str, node: str) -> None:
    """Whoever has `ip` and `mac` is behind `node`. Raises `OSError`."""
    flags = NLM_F_CREATE | NLM_F_REPLACE
    rtnetlink.batch([(RTM_NEWNEIGH, flags, body, f"entry {ip}") for body in _entries(index, ip, mac, node)])


def forget(rtnetlink: Rtnetlink, index: int, ip: str, mac: str, node: str) -> None:
    """Not any more. What is not known is no error."""
    for body in _entries(index, ip, mac, node):
        try:
            rtnetlink.request(RTM_DELNEIGH, 0, body, f"entry {ip}")
        except FileNotFoundError:
            continue


def _entries(index: int, ip: str, mac: str, node: str) -> Sequence[bytes]:
    """The tunnel's forwarding entry, the bridge's, and the neighbour that ARP is answered from."""
    lladdr = attribute(NDA_LLADDR, mac_bytes(mac))
    return (
        neighbour_message(socket.AF_BRIDGE, index, NUD_NOARP | NUD_PERMANENT, NTF_SELF)
        + lladdr
        + attribute(NDA_DST, socket.inet_aton(node)),
        neighbour_message(socket.AF_BRIDGE, index, NUD_NOARP, NTF_MASTER) + lladdr,
        neighbour_message(socket.AF_INET, index, NUD_PERMANENT) + lladdr + attribute(NDA_DST, socket.inet_aton(ip)),
    )
