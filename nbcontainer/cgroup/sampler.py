"""The usage of every group, sampled on the background loop: one pass over all of them, no thread each.

A pass reads the files of every target (`nbcontainer.cgroup.counters`; a group's are kept open), appends a sample to
the target's ring (`nbcontainer.cgroup.series`) and hands the whole pass to each subscriber as one `Batch`. It runs only
while somebody has subscribed, at the highest rate that anybody asked for, and never takes more than a tenth of one
processor: after a slow pass it waits longer.

    end = lab.sampler.subscribe(on_batch, hz=10)    # called on the loop's thread: be quick
    end()                                           # nothing is called any more
    lab.sampler.samples("container/web")            # what the ring has, from any thread
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcontainer.cgroup import counters
from nbcontainer.cgroup.counters import Budget, Counters, Gone, Source
from nbcontainer.cgroup.series import COLUMNS, WIDTH, Series

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from nbcontainer.lab.loop import Loop

#: At most this part of one processor goes into sampling.
SHARE = 0.1
#: Passes a second, at most.
FASTEST = 50.0


@dataclass(frozen=True)
class Target:
    """Something to sample. `sources` are the files of its group; `extra` fills in what no control group counts.

    `identity` changes when the files are others, as those of a container that was started again.
    """

    identity: object
    sources: Callable[[], list[Source]]
    extra: Callable[[array[float]], object] | None = None


@dataclass(frozen=True)
class Batch:
    """One pass: a sample a target. `values` holds them one after the other, `len(COLUMNS)` doubles each.

    `keys` says whose they are, and is the same object as in the pass before while nothing came or went. NaN stands
    for what this machine does not count. `values.tobytes()` is what a widget sends.
    """

    number: int
    keys: tuple[str, ...]
    values: array[float]

    columns = COLUMNS

    def __len__(self) -> int:
        return len(self.keys)

    def sample(self, index: int) -> array[float]:
        """The sample of `keys[index]`."""
        return self.values[index * WIDTH : (index + 1) * WIDTH]


Callback = Callable[[Batch], object]


class Sampler:
    """Samples `targets()`, a mapping from a key such as `container/web` or `cgroup/demo` to a `Target`."""

    def __init__(self, loop: Loop, targets: Callable[[], Mapping[str, Target]]) -> None:
        self._loop = loop
        self._targets = targets
        #: How many descriptors may be kept open for watching groups.
        self.budget = Budget()
        self._open: dict[str, tuple[object, Counters, Target]] = {}
        self._series: dict[str, Series] = {}
        self._subscribers: dict[int, tuple[Callback, float]] = {}
        self._next_subscriber = 0
        self._timer: TimerHandle | None = None
        self._keys: tuple[str, ...] = ()
        self._number = 0
        self._closed = False

    # -- for others, from any thread

    def subscribe(self, callback: Callback, hz: float = 10.0) -> Callable[[], None]:
        """Call `callback(batch)` on the loop's thread `hz` times a second; what is given back ends it.

        With several subscribers every pass goes to all of them. A callback that raises is told to the loop and dropped.
        """
        return self._loop.do(self._subscribe, callback, min(max(hz, 0.1), FASTEST))

    def take(self) -> Batch:
        """One pass, now; subscribers get it too."""
        return self._loop.do(self._pass)

    def samples(self, key: str) -> list[array[float]]:
        """What is kept of a target, oldest first, each with the columns `series.COLUMNS`."""
        series = self._series.get(key)
        return self._loop.do(series.copy) if series is not None else []

    def forget(self, key: str) -> None:
        """The target is gone for good: drop what is kept of it."""
        self._loop.do(self._forget, key)

    def close(self) -> None:
        """End it: no callback is called any more and no file is open."""
        self._loop.do(self._close)

    # -- the loop's thread

    def _subscribe(self, callback: Callback, hz: float) -> Callable[[], None]:
        number = self._next_subscriber
        self._next_subscriber += 1
        self._subscribers[number] = (callback, hz)
        if self._timer is None and not self._closed:
            self._tick()
        return lambda: self._loop.do(self._unsubscribe, number)

    def _unsubscribe(self, number: int) -> None:
        self._subscribers.pop(number, None)

    def _tick(self) -> None:
        self._timer = None
        if not self._subscribers or self._closed:
            self._close_files()
            return
        started, used = time.monotonic(), time.thread_time()
        self._pass()
        took, used = time.monotonic() - started, time.thread_time() - used
        wait = 1 / max(hz for _, hz in self._subscribers.values()) if self._subscribers else 0
        self._timer = self._loop.asyncio.call_later(max(wait - took, used / SHARE - took), self._tick)

    def _pass(self) -> Batch:
        found = self._targets()
        if tuple(found) != self._keys:
            self._keys = tuple(found)
        for key in [key for key in self._open if key not in found]:
            self._open.pop(key)[1].close()
        values: array[float] = array("d")
        for key, target in found.items():
            row = counters.empty()
            self._read(key, target, row)
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series()
            values += series.add(time.time(), time.monotonic(), row)
        self._number += 1
        batch = Batch(self._number, self._keys, values)
        for number, (callback, _) in list(self._subscribers.items()):
            try:
                callback(batch)
            except Exception as error:
                self._subscribers.pop(number, None)
                self._loop.asyncio.call_exception_handler({"message": "a subscriber of samples", "exception": error})
        return batch

    def _read(self, key: str, target: Target, row: array[float]) -> None:
        known = self._open.get(key)
        if known is None or known[0] is not target.identity:
            if known is not None:
                known[1].close()
                self._series.pop(key, None)  # its counters begin anew
            known = self._open[key] = (target.identity, Counters(target.sources(), self.budget), target)
        try:
            known[1].read(row)
        except Gone:
            return
        if target.extra is not None:
            target.extra(row)

    def _forget(self, key: str) -> None:
        known = self._open.pop(key, None)
        if known is not None:
            known[1].close()
        self._series.pop(key, None)

    def _close_files(self) -> None:
        for _, opened, _ in self._open.values():
            opened.close()
        self._open.clear()

    def _close(self) -> None:
        self._closed = True
        self._subscribers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_files()


def known(value: float) -> float | None:
    """A number of a sample; None for one that is not known."""
    return None if math.isnan(value) else value
