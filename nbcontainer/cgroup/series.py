"""What was sampled of one group lately: a ring of rows, and what follows from two rows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from nbcontainer.cgroup.counters import FIELDS, INDEX

#: Rows that are kept of each group: a minute and a half at ten a second.
CAPACITY = 1000
#: What a sample has: seconds since the epoch, processors in percent (100 is one of them), then the counters.
COLUMNS = ("time", "cpu_percent", *FIELDS)
WIDTH = len(COLUMNS)
CPU_PERCENT = 1
_CPU_USEC = INDEX["cpu_usec"]


class Series:
    """The last `capacity` samples of one group, oldest first when iterated."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._ring = array("d", bytes(8 * WIDTH * capacity))
        self._next = 0
        self._count = 0
        self._clock = math.nan

    def add(self, time: float, clock: float, counters: array[float]) -> array[float]:
        """Take a row of counters, read at `time`, with `clock` seconds on a clock that never jumps; the sample."""
        sample = array("d", (time, math.nan))
        sample.extend(counters)
        if self._count:
            spent = counters[_CPU_USEC] - self._at(self._count - 1)[2 + _CPU_USEC]
            sample[CPU_PERCENT] = max(0.0, spent / 1e4 / max(clock - self._clock, 1e-6))
        self._clock = clock
        start = self._next * WIDTH
        self._ring[start : start + WIDTH] = sample
        self._next = (self._next + 1) % self.capacity
        self._count = min(self._count + 1, self.capacity)
        return sample

    def _at(self, index: int) -> array[float]:
        start = (self._next - self._count + index) % self.capacity * WIDTH
        return self._ring[start : start + WIDTH]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[array[float]]:
        return (self._at(index) for index in range(self._count))

    @property
    def last(self) -> array[float] | None:
        """The newest sample."""
        return self._at(self._count - 1) if self._count else None

    def copy(self) -> list[array[float]]:
        """All samples, oldest first."""
        return list(self)
