"""Runs inside the lab: the way packets take, by their time to live and by what switches have learned.

Standard library only. ICMP echoes with a growing time to live, as `traceroute -I` (RFC 792, type 11).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time

from nbcontainer.network.neighbours import NDA_LLADDR, NDA_MASTER, NUD_PERMANENT, entries
from nbcontainer.network.wire import Rtnetlink
from nbcontainer.syscalls import namespaces
from nbcontainer.topology.build import open_netns
from nbcontainer.topology.ping import ECHO_REPLY, echo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNREACHABLE, TIME_EXCEEDED = 3, 11
TRIES = 3
IDENT = 0x7ACE


def trace(source: str, address: str, most: int, timeout: float) -> list[dict[str, Any] | None]:
    """For each hop who answered (`{"address", "ms", "reached"}`), or None; until the address itself does."""
    namespaces.setns(open_netns(source), namespaces.CLONE_NEWNET)
    hops: list[dict[str, Any] | None] = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP) as sock:
        for ttl in range(1, most + 1):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            answer = None
            for turn in range(TRIES):
                answer = answer or _probe(sock, address, ttl * TRIES + turn, timeout)
            hops.append(answer)
            if answer is not None and answer["reached"] is not None:
                break
    return hops


def _probe(sock: socket.socket, address: str, sequence: int, timeout: float) -> dict[str, Any] | None:
    started = time.monotonic()
    try:
        sock.sendto(echo(IDENT, sequence), (address, 0))
    except OSError as error:
        return {"address": "", "ms": 0.0, "reached": False, "why": os.strerror(error.errno or 0)}
    while (left := started + timeout - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return None
        packet, (sender, _) = sock.recvfrom(2048)
        took = 1000 * (time.monotonic() - started)
        start = (packet[0] & 15) * 4
        kind, code = packet[start], packet[start + 1]
        if kind in (TIME_EXCEEDED, UNREACHABLE):  # with the packet that it is about
            start += 8 + (packet[start + 8] & 15) * 4
        elif kind != ECHO_REPLY:
            continue
        if len(packet) < start + 8 or struct.unpack_from("!HH", packet, start + 4) != (IDENT, sequence):
            continue
        reached = {ECHO_REPLY: True, UNREACHABLE: False}.get(kind)
        why = f"unreachable ({code})" if kind == UNREACHABLE else ""
        return {"address": sender, "ms": took, "reached": reached, "why": why}
    return None


def learned(home: str) -> list[list[str]]:
    """What the switches know: `[switch, MAC address, port]` for each address they have learned (`bridge fdb`)."""
    namespaces.setns(open_netns(home), namespaces.CLONE_NEWNET)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        rtnetlink = Rtnetlink(sock)
        names = {link["index"]: link["name"] for link in rtnetlink.links()}
        found = []
        for port, state, known in entries(rtnetlink, socket.AF_BRIDGE):
            if NDA_MASTER in known and not state & NUD_PERMANENT:
                switch = names.get(struct.unpack("i", known[NDA_MASTER])[0], "")
                found.append([switch, known[NDA_LLADDR].hex(":"), names.get(port, "")])
    return found
