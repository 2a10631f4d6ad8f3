"""What a group has used, in one vocabulary for v1 and v2."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from nbcontainer.cgroup import counters
from nbcontainer.cgroup.counters import FIELDS, Source


@dataclass(frozen=True)
class Usage:
    """What a group has used: the columns of `nbcontainer.cgroup.counters`, and its limit of memory.

    Bytes, microseconds and counts; None where this machine does not say.
    """

    cpu_usec: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_usec: int | None = None
    memory: int | None = None
    memory_anon: int | None = None
    memory_file: int | None = None
    memory_inactive_file: int | None = None
    memory_kernel: int | None = None
    memory_high_events: int | None = None
    memory_max_events: int | None = None
    oom_events: int | None = None
    oom_kills: int | None = None
    pids: int | None = None
    pids_max_events: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    io_reads: int | None = None
    io_writes: int | None = None
    cpu_pressure_usec: int | None = None
    memory_pressure_usec: int | None = None
    io_pressure_usec: int | None = None
    net_read_bytes: int | None = None
    net_write_bytes: int | None = None
    memory_limit: int | None = None


def of_row(row: array[float], memory_limit: int | None = None) -> Usage:
    """A row of counters as `Usage`."""
    known = {name: int(value) for name, value in zip(FIELDS, row, strict=True) if not math.isnan(value)}
    return Usage(**known, memory_limit=memory_limit)


def now(sources: Sequence[Source], memory_limit: int | None) -> Usage:
    """Read a group's files once."""
    return of_row(counters.read_once(sources), memory_limit)
