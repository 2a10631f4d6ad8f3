"""Neighbours (ARP) and forwarding entries (MAC tables) as rtnetlink has them: rtnetlink(7), linux/neighbour.h.

Standard library only: it runs inside the lab too.
"""

from __future__ import annotations

import socket
import struct

from nbcontainer.network.wire import Rtnetlink, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NDA_DST, NDA_LLADDR, NDA_MASTER = 1, 2, 9
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_SELF, NTF_MASTER = 2, 4
_HEAD = struct.Struct("BxxxiHBB")
BATCH = 64


def neighbour_message(family: int, index: int = 0, state: int = 0, flags: int = 0) -> bytes:
    """The head of a message about an entry (struct ndmsg)."""
    return _HEAD.pack(family, index, state, flags, 0)


def entries(rtnetlink: Rtnetlink, family: int) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """Every entry: the link's index, the state, the attributes. AF_INET is ARP's table, AF_BRIDGE the MAC tables."""
    for _, message in rtnetlink.dump(RTM_GETNEIGH, neighbour_message(family)):
        _, index, state, _, _ = _HEAD.unpack_from(message)
        yield index, state, dict(attributes(message, _HEAD.size))


def forget_neighbours(rtnetlink: Rtnetlink) -> None:
    """`ip neigh flush all`. Entries that were put in by hand stay.

    The kernel has one table for all namespaces of the machine, and it is not ours alone (arp(7), gc_thresh3).
    """
    requests = []
    for index, state, known in entries(rtnetlink, socket.AF_INET):
        if NDA_DST in known and not state & NUD_PERMANENT:
            body = neighbour_message(socket.AF_INET, index) + attribute(NDA_DST, known[NDA_DST])
            requests.append((RTM_DELNEIGH, 0, body, "neighbour"))
    for start in range(0, len(requests), BATCH):
        try:
            rtnetlink.batch(requests[start : start + BATCH])
        except FileNotFoundError:
            pass  # it has gone by itself
