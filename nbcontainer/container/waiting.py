"""A process of the lab that waits for a request, from the notebook's side: what is said to it and by it."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from nbcontainer.container import setup
from nbcontainer.errors import LabGone, NbcontainerError, StartFailed
from nbcontainer.lab.handle import Handle, PidNamespace, memfd


class Waiting:
    """One such process, as the notebook's process holds it."""

    def __init__(
        self,
        lab: Handle,
        target: Callable[..., object],
        *args: Any,
        fds: Sequence[int] = (),
        pidns: PidNamespace | int = "lab",
        number: int = 0,
    ) -> None:
        """Start it: `target(*args, fds=[…])`, the other end of its socket before `fds` (`Handle.spawn`)."""
        self.lab = lab
        self.sync, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sync.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            self.process = lab.spawn(target, *args, fds=[theirs.fileno(), *fds], pidns=pidns, number=number)
        except BaseException:
            self.sync.close()
            raise
        finally:
            theirs.close()

    def __del__(self) -> None:
        self.close()

    def say(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        """Send it `message`; a long one goes as a file. Nothing happens when it has ended: `receive` tells."""
        encoded = json.dumps(message).encode()
        large = memfd(encoded) if len(encoded) >= setup.MESSAGE - 4096 else -1
        try:
            if large >= 0:
                socket.send_fds(self.sync, [b"file"], [large, *fds])
            else:
                socket.send_fds(self.sync, [encoded], fds)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            if large >= 0:
                os.close(large)

    def receive(self) -> tuple[bytes, list[int], int]:
        """Its next message, the descriptors with it, and its sender's pid as this process counts (unix(7)).

        No message when it has ended, or become the program.
        """
        room = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(4 * 4)
        try:
            message, ancillary, _, _ = self.sync.recvmsg(setup.MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            # Once, when it ended without having read everything; what it has said is still there.
            message, ancillary, _, _ = self.sync.recvmsg(setup.MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        fds: list[int] = []
        pid = 0
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = struct.unpack("3i", data)[0]
        return message, fds, pid

    def ended(self) -> NbcontainerError:
        """Why it has ended before its program ran."""
        if self.lab.gone:
            return LabGone("the lab ended while the container was starting; the next command starts a new one")
        code = self.process.wait()
        by = f"by signal {code - 128}" if code > 128 else f"with {code}"
        return StartFailed(f"setting up the container failed: its set-up process ended {by}")

    def close(self) -> None:
        """Let go of it: one that still waits for its request ends."""
        self.sync.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
