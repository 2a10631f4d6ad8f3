"""A control group, whatever the version: what `v1` and `v2` offer, and the group that does nothing."""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import Protocol

from nbcontainer.cgroup.limits import Limits, Usage
from nbcontainer.errors import Unavailable


class Group(Protocol):
    """One group. Its processes are those of one container."""

    path: str

    @property
    def hierarchies(self) -> list[str]:
        """What a container sees below /sys/fs/cgroup: v1 controllers, or "" for v2's one tree."""

    def join_descriptors(self) -> list[int]:
        """Descriptors of the files through which a process of one thread joins by writing 0; the caller closes."""

    def set(self, limits: Limits) -> None:
        """Change limits; None leaves one as it is. Raises `Unavailable`."""

    def usage(self) -> Usage:
        """What it has used."""

    def pids(self) -> list[int]:
        """Its processes, as this process's /proc counts them."""

    def freeze(self) -> None:
        """Stop every process of it. Raises `Unavailable`."""

    def thaw(self) -> None:
        """Let them go on."""

    def kill(self) -> None:
        """SIGKILL every process of it."""

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""

    def remove(self) -> None:
        """Remove it; nothing of it must be running."""


class NoGroup:
    """Where no cgroup can be written: a container runs all the same, without limits."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why

    @property
    def hierarchies(self) -> list[str]:
        """None."""
        return []

    def join_descriptors(self) -> list[int]:
        """None."""
        return []

    def set(self, limits: Limits) -> None:
        """Raises `Unavailable` for any limit."""
        if limits.controllers():
            raise Unavailable(self.why)

    def usage(self) -> Usage:
        """Nothing is counted."""
        return Usage()

    def pids(self) -> list[int]:
        """Not known."""
        return []

    def freeze(self) -> None:
        """Raises `Unavailable`."""
        raise Unavailable(f"pausing takes a control group: {self.why}")

    def thaw(self) -> None:
        """Nothing was frozen."""

    def kill(self) -> None:
        """A container's processes end with its pid 1."""

    def oom_kills(self) -> int:
        """Not counted."""
        return 0

    def remove(self) -> None:
        """There is nothing."""


def read(path: str) -> str:
    """The text of a control file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1 << 16).decode()
    finally:
        os.close(fd)


def write(path: str, text: str) -> None:
    """Write a control file in one write(2), as the kernel wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def flat(text: str) -> dict[str, int]:
    """A flat keyed file: `name value` lines."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def remove_directory(path: str, patience: float = 2.0) -> None:
    """rmdir(2); a process that was just killed may take a moment to leave."""
    end = time.monotonic() + patience
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(0.001)


def kill_all(group: Group) -> None:
    """SIGKILL by pid until nobody is left: where the kernel has no cgroup.kill."""
    while found := group.pids():
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)
