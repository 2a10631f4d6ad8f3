"""Sockets of any network namespace of a lab: what the notebook's process asks `opener` for."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

from nbcontainer.errors import LabGone
from nbcontainer.lab.handle import Handle
from nbcontainer.network import opener


class Opener:
    """The lab's process that opens sockets, started on first use and again when it was killed.

    Each method takes a descriptor of a network namespace, or a pidfd of a process in it; None is the lab's host.
    """

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None

    def close(self) -> None:
        """End that process."""
        with self._lock:
            sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def ask(self, what: str, netns: int | None, **request: Any) -> int:
        """One request; the descriptor it gives. Raises `OSError`, `LabGone`."""
        message = json.dumps({"open": what, **request}).encode()
        given = [] if netns is None else [netns]
        with self._lock:
            for turn in (1, 2):
                try:
                    return self._ask(message, given)
                except ConnectionError:
                    self._sock = None
                    if turn == 2:
                        raise LabGone("the lab's opener of sockets has ended; `%lab reset` makes a new lab") from None
        raise AssertionError

    def _ask(self, message: bytes, given: list[int]) -> int:
        if self._sock is None:
            self._sock = self._start()
        try:
            socket.send_fds(self._sock, [message], given)
            answer, fds, _, _ = socket.recv_fds(self._sock, opener.MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        except KeyboardInterrupt:
            # Its late answer would be taken for that to the next request.
            self._sock.close()
            self._sock = None
            raise
        if not answer:
            raise ConnectionResetError
        number = json.loads(answer).get("errno")
        if number is not None:
            raise OSError(number, os.strerror(number))
        return fds[0]

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self.lab.spawn(opener.serve, fds=[theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def open_socket(self, family: int, type: int, proto: int, netns: int | None) -> int:
        """The descriptor of a new socket."""
        return self.ask("socket", netns, family=int(family), type=int(type), proto=proto)

    def new(self, family: int, type: int, proto: int = 0, netns: int | None = None) -> socket.socket:
        """A new socket."""
        return socket.socket(family, type, proto, fileno=self.open_socket(family, type, proto, netns))

    def netlink(self, protocol: int = socket.NETLINK_ROUTE, netns: int | None = None) -> socket.socket:
        """A bound netlink socket."""
        return self.new(socket.AF_NETLINK, socket.SOCK_RAW, protocol, netns)

    def netns(self, netns: int | None = None) -> int:
        """A descriptor of the namespace itself: of the lab's host, or of that a pidfd's process is in."""
        return self.ask("netns", netns)

    def file(self, path: str, netns: int | None = None, flags: int = os.O_RDONLY) -> int:
        """A descriptor of `net/…` below /proc/self or /proc/sys, as that namespace has it."""
        return self.ask("file", netns, path=path, flags=flags)

    def tuntap(self, name: str, flags: int, netns: int | None = None) -> int:
        """A descriptor of a tun or tap link (linux/if_tun.h, IFF_…), which is made when there is none."""
        return self.ask("tuntap", netns, name=name, flags=flags)
