"""What the kernel counts for a group, read as one row of numbers: the same columns on v1, v2 and both.

Sources: kernel, admin-guide/cgroup-v2.rst ("Core Interface Files" of each controller), accounting/psi.rst,
admin-guide/cgroup-v1/ (cpuacct, memory, pids, blkio-controller).
"""

from __future__ import annotations

import errno
import math
import os
import resource
from array import array
from collections.abc import Callable, Sequence

#: The columns. Times are in microseconds and sizes in bytes; all but `memory…` and `pids` only ever grow.
FIELDS = (
    "cpu_usec",  # time on processors
    "periods",  # of cpu.max, in which somebody wanted to run
    "throttled_periods",  # of those, the ones in which somebody had to wait for the next
    "throttled_usec",
    "memory",
    "memory_anon",
    "memory_file",
    "memory_inactive_file",  # of that, what is given up first: Docker leaves it out of what it calls usage
    "memory_kernel",
    "memory_high_events",  # times that memory.high was passed
    "memory_max_events",  # times that memory.max was run into
    "oom_events",  # times that nothing could be reclaimed
    "oom_kills",  # processes killed for it
    "pids",
    "pids_max_events",  # forks refused
    "io_read_bytes",
    "io_write_bytes",
    "io_reads",
    "io_writes",
    "cpu_pressure_usec",  # time in which some process waited for a processor
    "memory_pressure_usec",
    "io_pressure_usec",
    "net_read_bytes",  # containers only
    "net_write_bytes",
)
INDEX = {name: at for at, name in enumerate(FIELDS)}

Row = array  # of doubles, one for each of FIELDS; NaN where this machine does not say
Parse = Callable[[bytes, "array[float]"], None]
#: A control file and what takes its text apart.
Source = tuple[str, Parse]

#: As much of a file as holds all we look for; the kernel gives a page of most.
PIECE = 1 << 14


def empty() -> array[float]:
    """A row in which nothing is known."""
    return array("d", [math.nan]) * len(FIELDS)


# -- what is in the files


def number(name: str, scale: float = 1) -> Parse:
    """A file that is one number."""
    at = INDEX[name]

    def parse(text: bytes, row: array[float]) -> None:
        row[at] = int(text) * scale

    return parse


def keyed(*wanted: tuple[bytes, str] | tuple[bytes, str, float]) -> Parse:
    """A file of `key value` lines: the keys that are looked for, their columns, and what to multiply with."""
    pairs = [(b"\n" + entry[0] + b" ", INDEX[entry[1]], entry[2] if len(entry) > 2 else 1) for entry in wanted]

    def parse(text: bytes, row: array[float]) -> None:
        text = b"\n" + text
        for key, at, scale in pairs:
            start = text.find(key)
            if start >= 0:
                start += len(key)
                row[at] = int(text[start : text.find(b"\n", start)]) * scale

    return parse


_IO = tuple(
    (key, INDEX[name])
    for key, name in (
        (b"rbytes=", "io_read_bytes"),
        (b"wbytes=", "io_write_bytes"),
        (b"rios=", "io_reads"),
        (b"wios=", "io_writes"),
    )
)


def io_stat(text: bytes, row: array[float]) -> None:
    """v2's io.stat: a line a device, `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`; their sums."""
    words = text.split()
    for key, at in _IO:
        row[at] = sum(int(word[len(key) :]) for word in words if word.startswith(key))


def blkio(read: str, write: str) -> Parse:
    """v1's blkio.throttle.io_…_recursive: lines such as `8:0 Read 4096`; their sums."""
    wanted = {b"Read": INDEX[read], b"Write": INDEX[write]}

    def parse(text: bytes, row: array[float]) -> None:
        for at in wanted.values():
            row[at] = 0
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in wanted:
                row[wanted[words[1]]] += int(words[2])

    return parse


def pressure(name: str) -> Parse:
    """A file of pressure stall information: the total of its line `some`, in microseconds."""
    at = INDEX[name]

    def parse(text: bytes, row: array[float]) -> None:
        start = text.find(b"total=")
        if text.startswith(b"some ") and start >= 0:
            row[at] = int(text[start + 6 : text.find(b"\n", start)])

    return parse


# -- reading them over and over


class Gone(Exception):
    """The group is not there any more."""


class Budget:
    """How many descriptors may be kept open: half of what this process may have, so that the rest is left to it."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.left = 1 << 16 if soft == resource.RLIM_INFINITY else soft // 2


class Counters:
    """The files of one group, kept open as far as `budget` goes: a read is then one pread(2) a file."""

    def __init__(self, sources: Sequence[Source], budget: Budget | None = None) -> None:
        self._budget = budget
        self._files: list[tuple[int, str, Parse]] = []
        for path, parse in sources:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # its controller is not there, or this kernel does not count it
            if budget is None or budget.left <= 0:
                os.close(fd)
                fd = -1
            else:
                budget.left -= 1
            self._files.append((fd, path, parse))

    def read(self, row: array[float]) -> None:
        """Fill in the columns that this group has. Raises `Gone`."""
        unsaid = None
        for file in self._files:
            fd, path, parse = file
            try:
                parse(os.pread(fd, PIECE, 0) if fd >= 0 else _read(path), row)
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ENOENT):
                    raise Gone from None
                unsaid = [*(unsaid or []), file]  # pressure is there but switched off: EOPNOTSUPP
        for file in unsaid or []:
            self._drop(file)

    def _drop(self, file: tuple[int, str, Parse]) -> None:
        self._files.remove(file)
        if file[0] >= 0:
            os.close(file[0])
            assert self._budget is not None
            self._budget.left += 1

    def close(self) -> None:
        """Close what is open."""
        for file in list(self._files):
            self._drop(file)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, PIECE)
    finally:
        os.close(fd)


def read_once(sources: Sequence[Source]) -> array[float]:
    """One row, now. What is gone is unknown."""
    row = empty()
    counters = Counters(sources)
    try:
        counters.read(row)
    except Gone:
        pass
    return row
