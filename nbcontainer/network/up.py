"""Links that come up without a word: requests for rtnetlink. Standard library only: it runs inside the lab too."""

from __future__ import annotations

import os
import socket

from nbcontainer.network.wire import IFF_UP, NESTED, RTM_NEWLINK, attribute, link_message, name_attribute

Request = tuple[int, int, bytes, str]

IFLA_AF_SPEC = 26
IFLA_INET6_ADDR_GEN_MODE = 8
IN6_ADDR_GEN_MODE_NONE = b"\1"
_NO_IPV6 = attribute(socket.AF_INET6 | NESTED, attribute(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE))


def quiet(name: str, what: str) -> list[Request]:
    """`ip link set NAME addrgenmode none`: no IPv6 address by itself, and so no packets that nobody sent."""
    if not os.path.isdir("/proc/sys/net/ipv6"):
        return []
    return [(RTM_NEWLINK, 0, link_message() + name_attribute(name) + attribute(IFLA_AF_SPEC | NESTED, _NO_IPV6), what)]


def up(name: str, what: str) -> list[Request]:
    """`ip link set NAME up`, quietly."""
    return [*quiet(name, what), (RTM_NEWLINK, 0, link_message(0, IFF_UP) + name_attribute(name), what)]
