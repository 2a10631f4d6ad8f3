"""Queueing disciplines as rtnetlink messages: tbf for a rate, netem for delay and loss (tc-tbf(8), tc-netem(8)).

Standard library only: it runs inside the lab too.
"""

from __future__ import annotations

import socket
import struct

from nbcontainer.network.wire import CREATE, attribute

RTM_NEWQDISC = 36
TC_H_ROOT = 0xFFFFFFFF
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_TBF_PARMS, TCA_TBF_RATE64, TCA_TBF_BURST = 1, 4, 6
TCA_NETEM_LATENCY64, TCA_NETEM_JITTER64 = 10, 11
TC_LINKLAYER_ETHERNET = 1
#: Handles of ours: the token bucket, and what emulates the network below it.
TBF, NETEM = 1 << 16, 2 << 16
#: The largest packet of a link with an MTU of 1500, with its Ethernet header.
FRAME = 1514
#: Packets that a delayed link holds: 1,000 are too few for a fast one.
PACKETS = 100_000

Request = tuple[int, int, bytes, str]


def _message(index: int, parent: int, handle: int, kind: str, options: bytes) -> bytes:
    body = struct.pack("BxxxiIII", socket.AF_UNSPEC, index, handle, parent, 0)
    return body + attribute(TCA_KIND, kind.encode() + b"\0") + attribute(TCA_OPTIONS, options)


def token_bucket(index: int, rate: int, what: str) -> Request:
    """`tc qdisc add dev INDEX root tbf rate RATE …`: `rate` in bit/s; it holds back up to 50 ms of what is sent.

    The bucket takes 10 ms of the rate, and no less than four frames: a timer does not fire much more often.
    """
    each_second = max(1, rate // 8)
    burst = max(each_second // 100, 4 * FRAME)
    limit = burst + max(each_second // 20, 8 * FRAME)
    spec = struct.pack("BBHhHI", 0, TC_LINKLAYER_ETHERNET, 0, -1, 0, min(each_second, 0xFFFFFFFF))
    parameters = spec + struct.pack("BBHhHI", 0, 0, 0, 0, 0, 0) + struct.pack("III", min(limit, 0xFFFFFFFF), 0, 0)
    options = attribute(TCA_TBF_PARMS, parameters) + attribute(TCA_TBF_BURST, struct.pack("I", burst))
    options += attribute(TCA_TBF_RATE64, struct.pack("Q", each_second))
    return RTM_NEWQDISC, CREATE, _message(index, TC_H_ROOT, TBF, "tbf", options), what


def emulator(index: int, delay: int, jitter: int, loss: float, what: str, *, below_bucket: bool) -> Request:
    """`tc qdisc add dev INDEX … netem delay DELAY JITTER loss LOSS`: times in µs, the loss in percent."""
    options = struct.pack("IIIIII", 0, PACKETS, min(0xFFFFFFFF, round(loss / 100 * 0xFFFFFFFF)), 0, 0, 0)
    options += attribute(TCA_NETEM_LATENCY64, struct.pack("q", delay * 1000))
    options += attribute(TCA_NETEM_JITTER64, struct.pack("q", jitter * 1000))
    parent = TBF | 1 if below_bucket else TC_H_ROOT
    return RTM_NEWQDISC, CREATE, _message(index, parent, NETEM, "netem", options), what
