"""Runs inside the lab: ICMP echo from many hosts to many addresses, from one process. Standard library only.

One raw socket for each host that asks; the answers are the kernel's own (icmp(7), RFC 792).
"""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
import time

from nbcontainer.network.neighbours import forget_neighbours
from nbcontainer.network.wire import Rtnetlink
from nbcontainer.syscalls import namespaces
from nbcontainer.topology.build import open_netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO_REPLY, ECHO_REQUEST = 0, 8
SOL_RAW, ICMP_FILTER = 255, 1
#: Echoes on their way at a time: more would overflow the buffers of sockets.
WINDOW = 256
#: Entries that the machine's one ARP table (gc_thresh2 is 512, gc_thresh3 1024: arp(7)) may have of us.
ARP_ENTRIES = 400


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(ident: int, sequence: int) -> bytes:
    """An echo request with 56 bytes, as ping sends it."""
    body = bytes(56)
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, ident, sequence)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum(head + body), ident, sequence) + body


class Asking:
    """A host that asks: a raw socket in its namespace, and one to empty its ARP table with."""

    def __init__(self, name: str, ident: int) -> None:
        self.ident = ident
        fd = open_netns(name)
        namespaces.setns(fd, namespaces.CLONE_NEWNET)
        os.close(fd)
        self.sock = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP
        )
        self.sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("I", 0xFFFFFFFF & ~(1 << ECHO_REPLY)))
        self.rtnetlink = Rtnetlink(
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        )

    def replies(self) -> Iterator[tuple[int, str]]:
        """The sequence numbers that have been answered, and by whom."""
        while True:
            try:
                packet, (sender, _) = self.sock.recvfrom(2048)
            except BlockingIOError:
                return
            start = (packet[0] & 15) * 4
            kind, _, _, ident, sequence = struct.unpack_from("!BBHHH", packet, start)
            if kind == ECHO_REPLY and ident == self.ident:
                yield sequence, sender


def ping_all(sources: list[str], targets: list[list[str]], timeout: float, count: int) -> list[list[list[float]]]:
    """From each source to each of its addresses, `count` times: round trips in ms, as many as were answered.

    `targets[i]` are the addresses that source i asks. What has no answer after `timeout` seconds is lost.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asking = [Asking(name, 1 + number) for number, name in enumerate(sources)]
    found: list[list[list[float]]] = [[[] for _ in addresses] for addresses in targets]
    pairs = sum(map(len, targets))
    crowded = 2 * pairs > ARP_ENTRIES
    widest = max((len(addresses) for addresses in targets), default=1)
    group = max(1, ARP_ENTRIES // (2 * max(1, widest))) if crowded else max(1, len(sources))
    for start in range(0, len(sources), group):
        chosen = range(start, min(start + group, len(sources)))
        for _ in range(count):
            _round([(asking[at], targets[at], found[at]) for at in chosen], timeout)
        if crowded:
            for each in asking:
                forget_neighbours(each.rtnetlink)
    return found


def _round(askers: list[tuple[Asking, list[str], list[list[float]]]], timeout: float) -> None:
    poll = select.epoll()
    by_fd = {}
    for asker, addresses, results in askers:
        poll.register(asker.sock, select.EPOLLIN)
        by_fd[asker.sock.fileno()] = (asker, addresses, results)
    # In turn, so that no host is asked by all at once.
    longest = max((len(addresses) for _, addresses, _ in askers), default=0)
    waiting = iter([(asker, at) for at in range(longest) for asker, addresses, _ in askers if at < len(addresses)])
    sent: dict[tuple[int, int], float] = {}
    more = True
    while more or sent:
        while more and len(sent) < WINDOW:
            entry = next(waiting, None)
            if entry is None:
                more = False
                break
            asker, at = entry
            addresses = by_fd[asker.sock.fileno()][1]
            sent[asker.sock.fileno(), at] = time.perf_counter()
            try:
                asker.sock.sendto(echo(asker.ident, at), (addresses[at], 0))
            except OSError:
                del sent[asker.sock.fileno(), at]  # no route: lost at once
        for fd, _ in poll.poll(0.05):
            asker, addresses, results = by_fd[fd]
            now = time.perf_counter()
            for sequence, sender in asker.replies():
                started = sent.pop((fd, sequence), None)
                if started is not None and sender == addresses[sequence]:
                    results[sequence].append(1000 * (now - started))
        late = time.perf_counter() - timeout
        for key in [key for key, at in sent.items() if at < late]:
            del sent[key]
    poll.close()
