"""Runs inside the lab: a namespace's ARP table. Standard library only."""

from __future__ import annotations

import socket
import struct

from nbcontainer.network.wire import Rtnetlink, attribute, attributes

RTM_DELNEIGH, RTM_GETNEIGH = 29, 30
NUD_PERMANENT = 0x80
NDA_DST = 1
BATCH = 64


def forget_neighbours(rtnetlink: Rtnetlink) -> None:
    """`ip neigh flush all`. Entries that were put in by hand stay.

    The kernel has one table for all namespaces of the machine, and it is not ours alone (arp(7), gc_thresh3).
    """
    requests = []
    for _, message in rtnetlink.dump(RTM_GETNEIGH, struct.pack("BxxxiHBB", socket.AF_INET, 0, 0, 0, 0)):
        _, index, state, _, _ = struct.unpack_from("BxxxiHBB", message)
        address = dict(attributes(message, 12)).get(NDA_DST)
        if address is not None and not state & NUD_PERMANENT:
            body = struct.pack("BxxxiHBB", socket.AF_INET, index, 0, 0, 0) + attribute(NDA_DST, address)
            requests.append((RTM_DELNEIGH, 0, body, "neighbour"))
    for start in range(0, len(requests), BATCH):
        try:
            rtnetlink.batch(requests[start : start + BATCH])
        except FileNotFoundError:
            pass  # it has gone by itself
