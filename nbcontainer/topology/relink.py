"""Runs inside the lab: links of a topology that go down and come up again. Standard library only."""

from __future__ import annotations

import os
import socket
import struct

from nbcontainer.network.neighbours import forget_neighbours
from nbcontainer.network.wire import (
    IFF_UP,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    NESTED,
    RTM_NEWLINK,
    attribute,
    link_message,
    name_attribute,
)
from nbcontainer.topology.build import Inside, furniture
from nbcontainer.topology.settle import BR_STATE_BLOCKING, ports, running, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nbcontainer.network.up import Request

IFLA_BR_FDB_FLUSH = 21


def switch_links(plan: dict[str, Any], names: list[list[str]], on: bool) -> None:
    """Links up or down, each given as the node whose end it is and the name of that end.

    A link that is down is so at one end; at the other it has no carrier. What the kernel forgets with a link, the
    routes that leave by it, is there again when it is up; what it should forget, who was not to be found, it does.
    """
    nodes = {node["name"]: node for node in plan["nodes"]}
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    for owner, name in names:
        node = nodes.get(owner)
        with Inside(owner if node else plan["home"], home) as there:
            flags = struct.pack("BBHiII", socket.AF_UNSPEC, 0, 0, 0, IFF_UP if on else 0, IFF_UP)
            there.rtnetlink.request(RTM_NEWLINK, 0, flags + name_attribute(name), f"link {name}")
            for request in furniture(node) if node and on else ():
                try:
                    there.rtnetlink.request(*request)
                except FileExistsError:
                    continue
    if plan["switches"]:
        with Inside(plan["home"], home) as there:
            settle(there.rtnetlink, plan)
            for switch in plan["switches"]:
                there.rtnetlink.request(*forget_learned(switch["name"]))
    if on:
        _wait(plan, home)


def states(home: str) -> dict[str, str]:
    """The ports of switches that pass nothing on: `blocked` by the spanning tree, or `down`."""
    back = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    found = {}
    with Inside(home, back) as there:
        for name, carrier, state in ports(there.rtnetlink):
            if not carrier or state == BR_STATE_BLOCKING:
                found[name] = "blocked" if carrier else "down"
    return found


def _wait(plan: dict[str, Any], home: int) -> None:
    """Until hosts and routers have noticed what is up."""
    for node in plan["nodes"]:
        with Inside(node["name"], home) as there:
            running(there.rtnetlink)
            forget_neighbours(there.rtnetlink)


def forget_learned(switch: str) -> Request:
    """The request for `bridge fdb flush`: else what was learned of a way that is lost is believed for 4 s more."""
    info = attribute(IFLA_INFO_KIND, b"bridge")
    info += attribute(IFLA_INFO_DATA | NESTED, attribute(IFLA_BR_FDB_FLUSH, b""))
    body = link_message() + name_attribute(switch) + attribute(IFLA_LINKINFO | NESTED, info)
    return RTM_NEWLINK, 0, body, f"switch {switch}"
