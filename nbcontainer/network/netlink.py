"""Requests and answers over a netlink socket, with pyroute2's messages (netlink(7), rtnetlink(7)).

The socket is one that was opened in the lab, so the transport is ours: plain, without an event loop, and it says what
the kernel said (NETLINK_EXT_ACK). `wire` is the same without pyroute2, for a container's start.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from types import TracebackType
from typing import Any, Self

from nbcontainer.network.wire import NLM_F_ACK, NLM_F_REQUEST, NLM_F_ROOT_MATCH, NLMSG_DONE, NLMSG_ERROR

SOL_NETLINK = 270
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_DUMP_INTR = 0x10
NLMSGERR_ATTR_MSG = 1
#: As much as the kernel puts into one message of a dump, and more.
BUFFER = 1 << 18
#: A dump during which something changed is asked for again, this often.
TURNS = 10

RTM_NEWNSID, RTM_GETNSID = 88, 90
NETNSA_PID, NETNSA_FD = 2, 3
NETNSA_UNKNOWN = 0xFFFFFFFF


class Refused(OSError):
    """The kernel refused a request. `said` is its own sentence about it, often empty."""

    def __init__(self, number: int, said: str = "", what: str | None = None) -> None:
        super().__init__(number, os.strerror(number), what)
        self.said = said


# OSError.__new__ gives the subclass of an errno only for OSError itself: these keep `except FileExistsError` working.
class _Exists(Refused, FileExistsError):
    pass


class _Denied(Refused, PermissionError):
    pass


_KINDS: dict[int, type[Refused]] = {17: _Exists, 1: _Denied, 13: _Denied}


class Netlink:
    """A netlink socket of some network namespace; closed with it, or as a context manager."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()
        self._sequence = 0
        for option in (NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            try:
                sock.setsockopt(SOL_NETLINK, option, 1)
            except OSError:
                pass  # an older kernel: it says less, and filters less of a dump

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(self, kind: int, message: Any, flags: int = 0, what: str | None = None) -> list[Any]:
        """Send a pyroute2 message (or its bytes) and wait for the acknowledgement; what else came back, decoded.

        Raises `Refused`, whose filename is `what`.
        """
        return self._exchange(kind, message, NLM_F_REQUEST | NLM_F_ACK | flags, what)

    def dump(self, kind: int, message: Any, what: str | None = None) -> list[Any]:
        """Everything of a kind, as messages of `message`'s class."""
        for _ in range(TURNS):
            try:
                return self._exchange(kind, message, NLM_F_REQUEST | NLM_F_ROOT_MATCH, what)
            except InterruptedError:
                continue
        return self._exchange(kind, message, NLM_F_REQUEST | NLM_F_ROOT_MATCH, what, whole=False)

    def _exchange(self, kind: int, message: Any, flags: int, what: str | None, whole: bool = True) -> list[Any]:
        with self._lock:
            self._sequence += 1
            self.sock.send(_encode(kind, message, flags, self._sequence))
            found: list[Any] = []
            interrupted = False
            while True:
                data = self.sock.recv(BUFFER)
                offset = 0
                while offset + 16 <= len(data):
                    length, reply, reply_flags, sequence, _ = struct.unpack_from("IHHII", data, offset)
                    if length < 16:
                        break
                    part = data[offset : offset + length]
                    offset += (length + 3) & ~3
                    if sequence != self._sequence:
                        continue  # to a request that Ctrl-C cut short
                    interrupted = interrupted or bool(reply_flags & NLM_F_DUMP_INTR)
                    if reply in (NLMSG_DONE, NLMSG_ERROR):
                        _raise_refusal(part, reply, reply_flags, what)
                        if interrupted and whole:
                            raise InterruptedError
                        return found
                    found.append(_decode(message, part))

    # -- names for other namespaces (RTM_GETNSID, RTM_NEWNSID; linux/net_namespace.h)

    def netns_id(self, fd: int) -> int | None:
        """What this namespace calls the one behind `fd`, or None."""
        return self._netns_id(NETNSA_FD, fd)

    def netns_id_of_process(self, pid: int) -> int | None:
        """What this namespace calls the one of a process, or None."""
        return self._netns_id(NETNSA_PID, pid)

    def _netns_id(self, by: int, value: int) -> int | None:
        # By hand: pyroute2's modules take longer to import than a whole topology to draw.
        for answer in self.request(RTM_GETNSID, struct.pack("BxxxHHi", 0, 8, by, value)):
            length, _, number = struct.unpack_from("HHi", answer, 20)
            return None if length < 8 or number & 0xFFFFFFFF == NETNSA_UNKNOWN else int(number)
        return None

    def set_netns_id(self, fd: int, number: int) -> None:
        """Call it `number` from now on; -1 for the lowest free one. Raises `FileExistsError`."""
        from pyroute2.netlink.rtnl.nsidmsg import nsidmsg

        message = nsidmsg()
        message["attrs"] = [("NETNSA_FD", fd), ("NETNSA_NSID", number & 0xFFFFFFFF)]
        self.request(RTM_NEWNSID, message)


def _encode(kind: int, message: Any, flags: int, sequence: int) -> bytes:
    if isinstance(message, bytes):
        return struct.pack("IHHII", 16 + len(message), kind, flags, sequence, 0) + message
    message["header"].update({"type": kind, "flags": flags, "sequence_number": sequence, "pid": 0})
    message.reset()
    message.encode()
    return bytes(message.data)


def _decode(asked: Any, data: bytes) -> Any:
    if isinstance(asked, bytes):
        return data
    message = type(asked)(data)
    message.decode()
    return message


def _raise_refusal(data: bytes, kind: int, flags: int, what: str | None) -> None:
    number = -struct.unpack_from("i", data, 16)[0]
    if not number:
        return
    said = ""
    if flags & NLM_F_ACK_TLVS:
        offset = 20
        if kind == NLMSG_ERROR:
            offset += 16 if flags & NLM_F_CAPPED else struct.unpack_from("I", data, 20)[0]
        said = _attribute_text(data, (offset + 3) & ~3)
    raise _KINDS.get(number, Refused)(number, said, what)


def _attribute_text(data: bytes, offset: int) -> str:
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, offset)
        if length < 4:
            return ""
        if kind & 0x3FFF == NLMSGERR_ATTR_MSG:
            return data[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += (length + 3) & ~3
    return ""
