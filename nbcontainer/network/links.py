"""The links of a network namespace and their addresses, read fast: five hundred of them in milliseconds.

What a picture needs and no more, taken from the bytes (rtnetlink(7), linux/if_link.h); `ip.link_show` has it all.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nbcontainer.network.netlink import SOL_NETLINK, Netlink

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_STATS64, IFLA_LINK_NETNSID = 16, 18, 23, 37
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_VXLAN_ID, IFLA_VXLAN_GROUP = 1, 2
IFLA_VLAN_ID = 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP = 1
#: IF_OPER_NOTPRESENT, IF_OPER_DOWN, IF_OPER_LOWERLAYERDOWN (linux/if.h).
NOT_UP = (1, 2, 3)
NETLINK_ADD_MEMBERSHIP = 1
#: RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR.
GROUPS = (1, 5, 9)


@dataclass
class Link:
    """A link. `peer` is the index of a veth's other end (or of what a link stands on), in the namespace that its own
    one calls `peer_netns`; None for the same. `traffic` is bytes received and sent."""

    index: int
    name: str = ""
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    master: int = 0
    peer: int = 0
    peer_netns: int | None = None
    up: bool = False
    remote: str = ""
    tag: int | None = None
    traffic: tuple[int, int] = (0, 0)
    addresses: list[str] = field(default_factory=list)


def _attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def parse_link(body: bytes) -> Link:
    """A `struct ifinfomsg` and its attributes."""
    _, _, _, index, flags, _ = struct.unpack_from("BBHiII", body)
    link = Link(index, up=bool(flags & IFF_UP))
    for kind, data in _attributes(body, 16):
        if kind == IFLA_IFNAME:
            link.name = data.rstrip(b"\0").decode(errors="replace")
        elif kind == IFLA_ADDRESS:
            link.mac = data.hex(":")
        elif kind == IFLA_MTU:
            link.mtu = struct.unpack("I", data)[0]
        elif kind == IFLA_MASTER:
            link.master = struct.unpack("i", data)[0]
        elif kind == IFLA_LINK:
            link.peer = struct.unpack("i", data)[0]
        elif kind == IFLA_LINK_NETNSID:
            link.peer_netns = struct.unpack("i", data)[0]
        elif kind == IFLA_OPERSTATE:
            link.up = link.up and data[0] not in NOT_UP
        elif kind == IFLA_STATS64:
            _, _, received, sent = struct.unpack_from("QQQQ", data)
            link.traffic = (received, sent)
        elif kind == IFLA_LINKINFO:
            _info(link, data)
    return link


def _info(link: Link, data: bytes) -> None:
    details = b""
    for kind, value in _attributes(data):
        if kind == IFLA_INFO_KIND:
            link.kind = value.rstrip(b"\0").decode(errors="replace")
        elif kind == IFLA_INFO_DATA:
            details = value
    for kind, value in _attributes(details):
        if link.kind == "vxlan" and kind == IFLA_VXLAN_ID:
            link.tag = struct.unpack("I", value)[0]
        elif link.kind == "vxlan" and kind == IFLA_VXLAN_GROUP:
            link.remote = socket.inet_ntop(socket.AF_INET, value)
        elif link.kind == "vlan" and kind == IFLA_VLAN_ID:
            link.tag = struct.unpack("H", value)[0]


def parse_address(body: bytes) -> tuple[int, str]:
    """A `struct ifaddrmsg`: the link's index, and `172.17.0.2/16`."""
    family, prefixlen, _, scope, index = struct.unpack_from("BBBBi", body)
    found = dict(_attributes(body, 8))
    data = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b"")
    if family not in (socket.AF_INET, socket.AF_INET6) or len(data) not in (4, 16) or scope == 253:
        return index, ""  # link-local addresses make themselves
    return index, f"{socket.inet_ntop(family, data)}/{prefixlen}"


def read(netlink: Netlink) -> dict[int, Link]:
    """Every link of the namespace by its index, with its addresses."""
    links = {}
    for message in netlink.dump(RTM_GETLINK, struct.pack("BBHiII", 0, 0, 0, 0, 0, 0)):
        link = parse_link(message[16:])
        links[link.index] = link
    for message in netlink.dump(RTM_GETADDR, struct.pack("BBBBi", 0, 0, 0, 0, 0)):
        index, address = parse_address(message[16:])
        if address and index in links:
            links[index].addresses.append(address)
    return links


class Events:
    """Calls `on_change()` on the loop's thread whenever a link or an address of a namespace comes, changes or goes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, on_change: Callable[[], object]) -> None:
        self._loop = loop
        self._sock = sock
        self._on_change = on_change
        sock.setblocking(False)
        for group in GROUPS:
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        loop.add_reader(sock.fileno(), self._readable)

    def _readable(self) -> None:
        while True:
            try:
                self._sock.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                # More happened than the socket holds (netlink(7), ENOBUFS): what is now is read anyway.
                if error.errno != errno.ENOBUFS:
                    self.close()
                    return
        self._on_change()

    def close(self) -> None:
        """Listen no more (the loop's thread)."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
