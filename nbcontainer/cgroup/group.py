"""A control group, whatever the version: what `v1` and `v2` offer, and the group that does nothing."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

from nbcontainer.cgroup.counters import Source
from nbcontainer.cgroup.limits import Limits
from nbcontainer.cgroup.settings import Settings, is_set
from nbcontainer.cgroup.usage import Usage
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

    def write(self, settings: Settings) -> None:
        """Set these files, in v2's words. Raises `Unavailable`."""

    def settings(self) -> dict[str, str]:
        """What it is set to, in v2's words: those that there are here."""

    def places(self) -> dict[str, list[str]]:
        """The files of this machine that do the work of each v2 file, by path."""

    def notices(self) -> tuple[list[str], str | None]:
        """Where the kernel tells of events: files to poll, and v1's memory directory for its eventfd, or None."""

    def attach(self, pid: int) -> None:
        """Move a process, as this process's /proc counts it, into it. Raises `OSError`."""

    def usage(self) -> Usage:
        """What it has used."""

    def sources(self) -> list[Source]:
        """The files that `usage` reads, and the sampler over and over."""

    def memory_limit(self) -> int | None:
        """Its limit of memory in bytes; None when there is none."""

    def pids(self) -> list[int]:
        """Its processes, as this process's /proc counts them."""

    def freeze(self) -> None:
        """Stop every process of it. Raises `Unavailable`."""

    def thaw(self) -> None:
        """Let them go on."""

    def frozen(self) -> bool:
        """Whether it is frozen."""

    def kill(self) -> None:
        """SIGKILL every process of it."""

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""

    def remove(self) -> None:
        """Remove it; nothing of it must be running. What the kernel still holds goes with `Cgroups.remove_tree`."""


class NoGroup:
    """Where no cgroup can be written: a container runs all the same, without limits."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why

    def __repr__(self) -> str:
        return f"<no control group: {self.why}>"

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

    def write(self, settings: Settings) -> None:
        """Raises `Unavailable` for any setting."""
        if settings:
            raise Unavailable(f"cannot set {', '.join(settings)}: {self.why}")

    def settings(self) -> dict[str, str]:
        """None."""
        return {}

    def places(self) -> dict[str, list[str]]:
        """None."""
        return {}

    def notices(self) -> tuple[list[str], str | None]:
        """Nowhere."""
        return [], None

    def attach(self, pid: int) -> None:
        """Raises `Unavailable`."""
        raise Unavailable(f"a process cannot be moved: {self.why}")

    def usage(self) -> Usage:
        """Nothing is counted."""
        return Usage()

    def sources(self) -> list[Source]:
        """None."""
        return []

    def memory_limit(self) -> int | None:
        """None."""
        return None

    def pids(self) -> list[int]:
        """Not known."""
        return []

    def freeze(self) -> None:
        """Raises `Unavailable`."""
        raise Unavailable(f"pausing takes a control group: {self.why}")

    def thaw(self) -> None:
        """Nothing was frozen."""

    def frozen(self) -> bool:
        """Never."""
        return False

    def kill(self) -> None:
        """A container's processes end with its pid 1."""

    def oom_kills(self) -> int:
        """Not counted."""
        return 0

    def remove(self) -> None:
        """There is nothing."""


def described(group: Group, mode: str) -> str:
    """A group in a line, for `repr`: its path, v1 or v2, and what it is set to, in v2's words."""
    limits = ", ".join(f"{file} {text}" for file, text in group.settings().items() if is_set(file, text))
    return f"<control group {group.path}, {mode}: {limits or 'no limits'}>"


def refused(error: OSError) -> Unavailable:
    """What to say of a control file that would not take what was written."""
    return Unavailable(f"the limit was refused: {os.path.basename(str(error.filename))}: {error.strerror}")


def count_io(group: Group) -> None:
    """On v1, put a group into the hierarchy that counts block io: it is in those of its limits only."""
    joined = getattr(group, "join_hierarchies", None)
    if joined is not None:
        joined("blkio")


def read(path: str) -> str:
    """The text of a control file. One read(2) gives no more than a page of it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces).decode()
    finally:
        os.close(fd)


def members(directory: str) -> list[int]:
    """The processes in a group's directory that this process can see: of others the kernel says 0."""
    return [pid for pid in map(int, read(f"{directory}/cgroup.procs").split()) if pid]


def adopt(directory: str, processes: Callable[[], list[int]]) -> None:
    """Move processes into a group, until none that was forked meanwhile is missing."""
    while missing := sorted(set(processes()) - set(members(directory))):
        for pid in missing:
            try:
                write(f"{directory}/cgroup.procs", str(pid))
            except ProcessLookupError:
                pass


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


def remove_directory(directory: str, patience: float = 2.0) -> None:
    """Remove a group and those its processes made in it; one just killed may take a moment to leave.

    Raises `OSError` when it is still in use after `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
        for below, _, _ in os.walk(directory, topdown=False):
            try:
                os.rmdir(below)
            except OSError:
                break
        else:
            return
        time.sleep(0.001)


def kill_processes(directory: str, rounds: int = 1000) -> None:
    """SIGKILL what is in a group, until nobody is left: cgroup.kill, or by pid where there is none (Linux 5.14)."""
    try:
        write(f"{directory}/cgroup.kill", "1")
        return
    except FileNotFoundError:
        pass
    for _ in range(rounds):
        found = members(directory)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)
