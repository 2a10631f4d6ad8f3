"""rtnetlink, just as much as is needed: links, addresses, routes (rtnetlink(7), linux/rtnetlink.h).

Standard library only: set-up processes inside the lab use it on sockets of their own, the notebook's process on
sockets that were opened in the lab.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_ROOT_MATCH = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWADDR = 20
RTM_NEWROUTE = 24

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_MASTER = 10
IFLA_PROTINFO = 12
IFLA_LINKINFO = 18
IFLA_NET_NS_FD = 28
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_BROADCAST = 4
IFA_F_NODAD = 0x02
IFLA_BRPORT_ISOLATED = 33
RTA_DST = 1
RTA_GATEWAY = 5
RTA_OIF = 4

IFF_UP = 1
RT_TABLE_MAIN = 254
RTPROT_BOOT = 3
RT_SCOPE_UNIVERSE = 0
RTN_UNICAST = 1

NESTED = 0x8000
CREATE = NLM_F_CREATE | NLM_F_EXCL
#: The index a container's eth0 has: lo is 1.
ETH0 = 2
#: How the MAC address of the bridge's end of every pair of ours begins: what tells it from a link made by hand.
OURS = "02:43:"


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute (struct rtattr), padded."""
    length = 4 + len(data)
    return struct.pack("HH", length, kind) + data + b"\0" * (-length % 4)


def link_message(index: int = 0, flags: int = 0) -> bytes:
    """The head of a message about a link (struct ifinfomsg); index 0 where its name says which."""
    return struct.pack("BBHiII", socket.AF_UNSPEC, 0, 0, index, flags, flags)


def name_attribute(text: str) -> bytes:
    """A link's name."""
    return attribute(IFLA_IFNAME, text.encode() + b"\0")


def mac_bytes(text: str) -> bytes:
    """`02:42:ac:11:00:02` as six bytes."""
    return bytes.fromhex(text.replace(":", ""))


class Rtnetlink:
    """Requests over one NETLINK_ROUTE socket. A refusal is an `OSError` whose filename says what was asked."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._sequence = 0

    def request(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """Send one request and wait for its acknowledgement."""
        self.batch([(kind, flags, body, what)])

    def batch(self, requests: list[tuple[int, int, bytes, str]]) -> None:
        """Send several requests at once; the first refusal is raised when all have been answered."""
        messages, names = [], {}
        for kind, flags, body, what in requests:
            self._sequence += 1
            names[self._sequence] = what
            head = struct.pack("IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, self._sequence, 0)
            messages.append(head + body)
        self.sock.send(b"".join(messages))
        refusal: OSError | None = None
        while names:
            for kind, sequence, body in self._receive():
                if kind == NLMSG_ERROR and sequence in names:
                    number = -struct.unpack_from("i", body)[0]
                    what = names.pop(sequence)
                    if number and refusal is None:
                        refusal = OSError(number, os.strerror(number), what)
        if refusal is not None:
            raise refusal

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self.sock.recv(1 << 17)
        offset = 0
        while offset + 16 <= len(data):
            length, kind, _, sequence, _ = struct.unpack_from("IHHII", data, offset)
            if length < 16:
                return
            yield kind, sequence, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3

    def links(self) -> list[dict[str, Any]]:
        """Every link: `{"index", "name", "flags", "mac", "master"}`."""
        return [_parse_link(message) for kind, message in self.dump(RTM_GETLINK, link_message()) if kind == RTM_NEWLINK]

    def dump(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """Everything of a kind: each answer's own kind and its body."""
        self._sequence += 1
        head = struct.pack("IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ROOT_MATCH, self._sequence, 0)
        self.sock.send(head + body)
        found: list[tuple[int, bytes]] = []
        while True:
            for answer, _, message in self._receive():
                if answer == NLMSG_DONE:
                    return found
                if answer == NLMSG_ERROR:
                    number = -struct.unpack_from("i", message)[0]
                    raise OSError(number, os.strerror(number), "dump")
                found.append((answer, message))

    def link_add(
        self, kind: str, name: str, *, index: int = 0, mac: str | None = None, mtu: int = 0, up: bool = True
    ) -> None:
        """`ip link add NAME type KIND`."""
        body = link_message(index, IFF_UP if up else 0) + name_attribute(name)
        if mac:
            body += attribute(IFLA_ADDRESS, mac_bytes(mac))
        if mtu:
            body += attribute(IFLA_MTU, struct.pack("I", mtu))
        body += attribute(IFLA_LINKINFO | NESTED, attribute(IFLA_INFO_KIND, kind.encode()))
        self.request(RTM_NEWLINK, CREATE, body, f"link {name}")

    def link_delete(self, name: str) -> None:
        """`ip link del NAME`."""
        self.request(RTM_DELLINK, 0, link_message() + name_attribute(name), f"link {name}")

    def address_add(self, index: int, address: str, prefixlen: int, broadcast: str | None = None) -> None:
        """`ip addr add ADDRESS/PREFIXLEN dev INDEX`."""
        self.request(*address_message(index, address, prefixlen, broadcast))


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes from `offset` on: each one's kind, without the bit for nesting, and what is in it."""
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, offset)
        if length < 4:
            return
        yield kind & ~NESTED, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _parse_link(message: bytes) -> dict[str, Any]:
    _, _, _, index, flags, _ = struct.unpack_from("BBHiII", message)
    link: dict[str, Any] = {"index": index, "flags": flags, "name": "", "mac": "", "master": 0}
    for kind, data in attributes(message, 16):
        if kind == IFLA_IFNAME:
            link["name"] = data.rstrip(b"\0").decode()
        elif kind == IFLA_ADDRESS:
            link["mac"] = data.hex(":")
        elif kind == IFLA_MASTER:
            link["master"] = struct.unpack("i", data)[0]
    return link


def _packed(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def address_message(
    index: int, address: str, prefixlen: int, broadcast: str | None = None
) -> tuple[int, int, bytes, str]:
    """The request for `ip addr add`, as `Rtnetlink.batch` takes it."""
    family, packed = _packed(address)
    # Nobody else has an address of ours: without the wait for duplicates (RFC 4862) it can be used at once.
    flags = IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = struct.pack("BBBBi", family, prefixlen, flags, RT_SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if broadcast:
        body += attribute(IFA_BROADCAST, socket.inet_aton(broadcast))
    return RTM_NEWADDR, CREATE, body, f"address {address}"


def route_message(gateway: str, index: int, to: str = "", prefixlen: int = 0) -> tuple[int, int, bytes, str]:
    """The request for `ip route add TO/PREFIXLEN via GATEWAY dev INDEX`; without `to` it is the default route."""
    family, packed = _packed(gateway)
    body = struct.pack(
        "BBBBBBBBI", *(family, prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
    )
    body += attribute(RTA_DST, _packed(to)[1]) if prefixlen else b""
    body += attribute(RTA_GATEWAY, packed) + attribute(RTA_OIF, struct.pack("i", index))
    what = f"route {to}/{prefixlen}" if prefixlen else "default route"
    return RTM_NEWROUTE, CREATE, body, f"{what} via {gateway}"


def _gateways(endpoint: dict[str, Any]) -> list[str]:
    return [gateway for gateway in (endpoint["gateway"], endpoint["gateway6"]) if gateway]


def connect(endpoint: dict[str, Any], host_netlink: socket.socket, netns_fd: int, netlink: socket.socket) -> None:
    """Wire up a container with its network namespace, `netns_fd`: one endpoint.

    Over `host_netlink`, a socket of the lab's own namespace: a veth pair, one end up on the bridge, the other born
    there as eth0, eth1, …. Then, over `netlink`, a socket of the container's namespace: the link up, its addresses,
    and, when the endpoint is the routed one, the default routes. `endpoint` is `Endpoint.to_json()`.

    Links made by hand are left alone: where one has our index another index will do. Raises `OSError` where one has
    our name, or the bridge is gone.
    """
    host = Rtnetlink(host_netlink)
    index, name = ETH0 + endpoint["interface"], f"eth{endpoint['interface']}"
    # By default a veth has a queue for every processor, each with an entry in /sys: a third of the time it takes.
    common = attribute(IFLA_NUM_TX_QUEUES, struct.pack("I", 1)) + attribute(IFLA_NUM_RX_QUEUES, struct.pack("I", 1))
    if endpoint["mtu"]:
        common += attribute(IFLA_MTU, struct.pack("I", endpoint["mtu"]))
    peer = link_message(index) + name_attribute(name) + attribute(IFLA_ADDRESS, mac_bytes(endpoint["mac"])) + common
    peer += attribute(IFLA_NET_NS_FD, struct.pack("i", netns_fd))
    info = attribute(IFLA_INFO_KIND, b"veth")
    info += attribute(IFLA_INFO_DATA | NESTED, attribute(VETH_INFO_PEER | NESTED, peer))

    def pair(host_index: int) -> tuple[int, int, bytes, str]:
        body = link_message(host_index, IFF_UP) + name_attribute(endpoint["veth"]) + common
        body += attribute(IFLA_ADDRESS, mac_bytes(endpoint["host_mac"]))
        body += attribute(IFLA_MASTER, struct.pack("i", endpoint["bridge_index"]))
        return RTM_NEWLINK, CREATE, body + attribute(IFLA_LINKINFO | NESTED, info), f"link {endpoint['veth']}"

    host_index = endpoint["ifindex"]
    try:
        host.request(*pair(host_index))
    except OSError as error:
        host_index = _make_room(host, endpoint, error)
        host.request(*pair(host_index))
    if endpoint["isolated"]:
        _isolate(host, endpoint["veth"], host_index)
    requests = [address_message(index, endpoint["ip"], endpoint["prefixlen"], endpoint["broadcast"])]
    if endpoint["ip6"]:
        requests.append(address_message(index, endpoint["ip6"], endpoint["prefixlen6"]))
    requests.append((RTM_NEWLINK, 0, link_message(index, IFF_UP), f"{name} up"))
    if endpoint["routed"]:
        requests += [route_message(gateway, index) for gateway in _gateways(endpoint)]
    Rtnetlink(netlink).batch(requests)


def pair(machine: Rtnetlink, name: str, inside: str, netns_fd: int) -> None:
    """A veth pair: `name` here, up, and `inside` in the namespace `netns_fd`, which can only go up afterwards."""
    peer = link_message() + name_attribute(inside) + attribute(IFLA_NET_NS_FD, struct.pack("i", netns_fd))
    info = attribute(IFLA_INFO_KIND, b"veth")
    info += attribute(IFLA_INFO_DATA | NESTED, attribute(VETH_INFO_PEER | NESTED, peer))
    body = link_message(0, IFF_UP) + name_attribute(name) + attribute(IFLA_LINKINFO | NESTED, info)
    machine.request(RTM_NEWLINK, CREATE, body, f"link {name}")


def _isolate(host: Rtnetlink, veth: str, index: int) -> None:
    """`bridge link set dev VETH isolated on`: an isolated port and another one hear nothing of each other."""
    if not index:
        index = next(link["index"] for link in host.links() if link["name"] == veth)
    body = struct.pack("BBHiII", socket.AF_BRIDGE, 0, 0, index, 0, 0)
    body += attribute(IFLA_PROTINFO | NESTED, attribute(IFLA_BRPORT_ISOLATED, b"\1"))
    host.request(RTM_SETLINK, 0, body, f"link {veth} isolated")


def disconnect(endpoint: dict[str, Any], host_netlink: socket.socket) -> None:
    """Delete the endpoint's pair of links, with its addresses and routes. One that is gone already is no error."""
    host = Rtnetlink(host_netlink)
    # By name and by our mark: the index may be another's, the name one made by hand.
    if any(link["name"] == endpoint["veth"] and link["mac"].startswith(OURS) for link in host.links()):
        try:
            host.link_delete(endpoint["veth"])
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise


def route(endpoint: dict[str, Any], netlink: socket.socket) -> None:
    """Lead the container's default routes to this endpoint, which they did not do before; `netlink` is of its netns."""
    index = ETH0 + endpoint["interface"]
    for gateway in _gateways(endpoint):
        try:
            Rtnetlink(netlink).request(*route_message(gateway, index))
        except FileExistsError:
            pass  # a route made by hand


def _make_room(host: Rtnetlink, endpoint: dict[str, Any], error: OSError) -> int:
    """What stood in the way of a pair is gone: the index to try again with. Raises `OSError` when it stays."""
    links = host.links()
    if not any(link["index"] == endpoint["bridge_index"] for link in links):
        again = "`%lab reset` makes" if endpoint["network"] == "bridge" else "`%network rm` and `create` make"
        gone = f"{endpoint['bridge']} (it was deleted by hand; {again} a new one)"
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), gone)
    if error.errno not in (errno.EEXIST, errno.EBUSY):
        raise error
    for link in links:
        if link["name"] == endpoint["veth"]:
            if not link["mac"].startswith(OURS):
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), f"link {link['name']} (one made by hand)")
            # The namespace of an earlier container is taken apart by the kernel in its own time: its link goes now.
            try:
                host.link_delete(link["name"])
            except OSError:
                pass  # gone by itself meanwhile
    return 0 if any(link["index"] == endpoint["ifindex"] for link in links) else int(endpoint["ifindex"])
