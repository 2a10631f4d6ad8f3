"""Runs inside the lab: waits until switches forward, and agree about their spanning tree. Standard library only."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time

from nbcontainer.network.wire import (
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_LINKINFO,
    RTM_GETLINK,
    Rtnetlink,
    attributes,
    link_message,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

IFF_RUNNING, IFF_LOWER_UP = 1 << 6, 1 << 16
IFLA_PROTINFO = 12
IFLA_BRPORT_STATE = 1
IFLA_BR_ROOT_ID = 10
BR_STATE_DISABLED, BR_STATE_FORWARDING, BR_STATE_BLOCKING = 0, 3, 4
#: Seconds that switches may take. A spanning tree that has lost a link elsewhere takes 10: it keeps what it knows
#: for 6 (the least `max_age` that Linux takes), then it listens and learns for 2 each.
PATIENCE = 60.0


def settle(switchboard: Rtnetlink, plan: dict[str, Any], timeout: float = PATIENCE) -> None:
    """Wait until no port is on its way to forwarding and linked switches have one root, seen twice.

    Raises `OSError` (ETIMEDOUT).
    """
    deadline = time.monotonic() + timeout
    spanning = {switch["name"] for switch in plan["switches"] if switch["stp"]}
    links = [(link["a"], link["b"]) for link in plan["links"] if link["a"]["netns"] is link["b"]["netns"] is None]
    pause, quiet = 0.0005, 0
    while quiet < 2:
        ports = on_the_way(switchboard)
        agreed = not ports and (not spanning or one_root(switchboard, links))
        quiet = quiet + 1 if agreed else 0
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), "switches")
        if quiet < 2:
            time.sleep(pause)
            pause = min(2 * pause, 0.05)


def running(rtnetlink: Rtnetlink, timeout: float = PATIENCE) -> None:
    """Wait until every link with a carrier sends: the kernel notices a carrier a little later, and drops till then."""
    deadline = time.monotonic() + timeout
    while any(link["flags"] & (IFF_LOWER_UP | IFF_RUNNING) == IFF_LOWER_UP for link in rtnetlink.links()):
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), "links")
        time.sleep(0.001)


def on_the_way(switchboard: Rtnetlink) -> bool:
    """Whether some port that has a carrier neither forwards nor blocks, or one that has none is not disabled yet."""
    settled = {True: (BR_STATE_FORWARDING, BR_STATE_BLOCKING), False: (BR_STATE_DISABLED,)}
    return any(state not in settled[carrier] for _, carrier, state in ports(switchboard))


def ports(switchboard: Rtnetlink) -> Iterator[tuple[str, bool, int]]:
    """Every port of a switch: its name, whether it has a carrier, its state (linux/if_bridge.h, BR_STATE_…)."""
    of_bridges = struct.pack("BBHiII", socket.AF_BRIDGE, 0, 0, 0, 0, 0)
    for _, message in switchboard.dump(RTM_GETLINK, of_bridges):
        known = dict(attributes(message, 16))
        if IFLA_PROTINFO in known:
            carrier = bool(struct.unpack_from("BBHiI", message)[4] & IFF_LOWER_UP)
            state = dict(attributes(known[IFLA_PROTINFO])).get(IFLA_BRPORT_STATE, b"\3")[0]
            yield known[IFLA_IFNAME].rstrip(b"\0").decode(), carrier, state


def one_root(switchboard: Rtnetlink, links: list[tuple[dict[str, Any], dict[str, Any]]]) -> bool:
    """Whether the switches at both ends of every link that has a carrier know the same root."""
    carrier: dict[str, bool] = {}
    roots: dict[int, bytes] = {}
    for _, message in switchboard.dump(RTM_GETLINK, link_message()):
        _, _, _, index, flags = struct.unpack_from("BBHiI", message)
        known = dict(attributes(message, 16))
        carrier[known[IFLA_IFNAME].rstrip(b"\0").decode()] = bool(flags & IFF_LOWER_UP)
        info = dict(attributes(dict(attributes(known.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_DATA, b"")))
        roots[index] = info.get(IFLA_BR_ROOT_ID, b"")
    return all(roots.get(a["master"]) == roots.get(b["master"]) for a, b in links if carrier.get(a["name"]))
