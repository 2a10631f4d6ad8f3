"""What happens to groups, told as it happens: OOM kills, throttling that begins, limits that are run into.

An event is a counter that has grown (`nbcontainer.cgroup.counters`). The sampler's passes find it within a tenth of a
second; where the kernel gives notice (v2: POLLPRI of memory.events and pids.events; v1: an eventfd in
cgroup.event_control, memory.rst "OOM Control"), a pass is taken at once. Who was killed, and for whose limit, is in the
kernel's log, where that may be read (`nbcontainer.cgroup.oom`).
"""

from __future__ import annotations

import os
import select
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcontainer.cgroup.counters import Budget
from nbcontainer.cgroup.group import Group
from nbcontainer.cgroup.oom import Victim, Victims
from nbcontainer.cgroup.series import COLUMNS

if TYPE_CHECKING:
    from nbcontainer.cgroup.sampler import Batch, Sampler
    from nbcontainer.lab.loop import Loop

#: Events that are kept.
KEPT = 4096
#: Seconds without more of the same, after which the next one is told again.
QUIET = 10.0
#: Passes a second while events are watched.
HZ = 10.0

OOM_KILL, THROTTLED = "oom-kill", "throttled"
#: Counters, what it means when they grow, and the limit that is behind it.
KINDS = {
    "throttled_periods": (THROTTLED, "cpu.max"),
    "memory_high_events": ("memory.high reached", "memory.high"),
    "memory_max_events": ("memory.max reached", "memory.max"),
    "pids_max_events": ("pids.max reached", "pids.max"),
    "oom_kills": (OOM_KILL, "memory.max"),
}
_WATCHED = [(COLUMNS.index(name), kind, file) for name, (kind, file) in KINDS.items()]
_MEMORY_MAX = KINDS["memory_max_events"][0]


@dataclass(frozen=True)
class Event:
    """Something that happened to a group.

    `time` is in seconds since the epoch, `key` as the sampler's (`cgroup/demo`, `container/web`), `limit` the group's
    own limit at the time, as v2 writes it. `victim` is who was killed, where the kernel's log tells.
    """

    time: float
    key: str
    kind: str
    file: str
    limit: str | None = None
    victim: Victim | None = None

    @property
    def name(self) -> str:
        """The group's or the container's name."""
        return self.key.partition("/")[2]


Callback = Callable[[Event], object]


class Events:
    """The events of `groups()`, by key. Watched while anybody holds it or has subscribed."""

    def __init__(self, loop: Loop, sampler: Sampler, groups: Callable[[], Mapping[str, Group]], scope: str) -> None:
        self._loop = loop
        self._sampler = sampler
        self._groups = groups
        self._scope = scope
        self._happened: deque[Event] = deque(maxlen=KEPT)
        self._callbacks: list[Callback] = []
        self._holders: set[int] = set()
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self._last: dict[str, array[float]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._notices = Notices(loop, sampler.budget, self._noticed)
        self._victims: Victims | None = None

    # -- for others

    def hold(self, holder: object) -> None:
        """Watch, until the same holder releases it."""
        with self._lock:
            self._holders.add(id(holder))
        self._adjust()

    def release(self, holder: object) -> None:
        """See `hold`."""
        with self._lock:
            self._holders.discard(id(holder))
        self._adjust()

    def watch(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(event)` on the loop's thread from now on; what is given back ends it."""
        self._callbacks.append(callback)
        self._adjust()

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
            self._adjust()

        return end

    def happened(self) -> list[Event]:
        """All that is kept, oldest first."""
        return list(self._happened)

    def settle(self) -> None:
        """See to it that what has happened until now has been told."""
        if self._end is not None:
            self._sampler.take()

    def anew(self, key: str) -> None:
        """Something begins in a group: what happens from now on is told even if it happened just before."""
        self.settle()
        for told in [told for told in self._told if told[0] == key]:
            self._told.pop(told, None)

    def close(self) -> None:
        """Watch no more, whoever holds it."""
        self._holders.clear()
        self._callbacks.clear()
        self._adjust()

    def _adjust(self) -> None:
        self._loop.do(self._adjust_here)

    # -- the loop's thread

    def _adjust_here(self) -> None:
        wanted = bool(self._holders or self._callbacks)
        if wanted and self._end is None:
            self._victims = Victims(self._scope)
            self._end = self._sampler.subscribe(self._look, HZ)
        elif not wanted and self._end is not None:
            self._end()
            self._end = None
            self._notices.close()
            self._last.clear()
            if self._victims is not None:
                self._victims.close()

    def _noticed(self) -> None:
        """The kernel gave notice. On v1 that comes just before the counter has grown, so there is a second look."""
        if self._end is not None:
            self._sampler.take()
            self._loop.asyncio.call_later(0.02, self._second_look)

    def _second_look(self) -> None:
        if self._end is not None:
            self._sampler.take()

    def _look(self, batch: Batch) -> None:
        groups = self._groups()
        self._notices.follow(groups)
        self._tell_grown(batch, groups)
        if self._victims is not None:
            self._victims.note(groups.values())

    def _tell_grown(self, batch: Batch, groups: Mapping[str, Group]) -> None:
        """Tell of counters that have grown since the pass before."""
        grown: list[tuple[str, str, str]] = []
        for index, key in enumerate(batch.keys):
            sample = batch.sample(index)
            before = self._last.get(key)
            self._last[key] = sample
            for at, kind, file in _WATCHED:
                # A group's first sample counts from nothing: it may have hit a limit before the first pass.
                if sample[at] > (before[at] if before is not None else 0):
                    grown.append((key, kind, file))
        for gone in self._last.keys() - set(batch.keys):
            del self._last[gone]
        for key, kind, file in grown:
            if kind == OOM_KILL and any(other.startswith(f"{key}/") and k == kind for other, k, _ in grown):
                continue  # v2 counts it in the groups above as well
            self._tell(key, kind, file, groups)

    def _tell(self, key: str, kind: str, file: str, groups: Mapping[str, Group]) -> None:
        now = time.time()
        if kind == OOM_KILL:
            # Nobody is killed before the limit was reached, whichever counter was read first.
            self._once(now, key, _MEMORY_MAX, file, groups)
            victims = self._victims.new(groups[key].path if key in groups else "") if self._victims else []
            told: list[Victim | None] = [*victims] or [None]
            for victim in told:
                self._emit(Event(now, key, kind, file, self._limit(groups, key, file), victim))
        else:
            self._once(now, key, kind, file, groups)

    def _once(self, now: float, key: str, kind: str, file: str, groups: Mapping[str, Group]) -> None:
        """Tell it, unless the same goes on already."""
        before = self._told.get((key, kind), 0.0)
        self._told[key, kind] = now
        if now - before > QUIET:
            self._emit(Event(now, key, kind, file, self._limit(groups, key, file)))

    def _limit(self, groups: Mapping[str, Group], key: str, file: str) -> str | None:
        try:
            return groups[key].settings().get(file) if key in groups else None
        except OSError:
            return None

    def _emit(self, event: Event) -> None:
        self._happened.append(event)
        for callback in list(self._callbacks):
            try:
                callback(event)
            except Exception as error:
                self._callbacks.remove(callback)
                self._loop.asyncio.call_exception_handler({"message": "a watcher of events", "exception": error})


class Notices:
    """The kernel's notices about groups, on the loop: one epoll for all of v2's files, an eventfd a group of v1."""

    def __init__(self, loop: Loop, budget: Budget, noticed: Callable[[], object]) -> None:
        self._loop = loop
        self._budget = budget
        self._noticed = noticed
        self._epoll: select.epoll | None = None
        self._followed: dict[str, tuple[Group, list[int]]] = {}

    def follow(self, groups: Mapping[str, Group]) -> None:
        """Follow these groups and no others."""
        for key in [key for key, (group, _) in self._followed.items() if groups.get(key) is not group]:
            self._drop(key)
        for key, group in groups.items():
            if key not in self._followed:
                self._followed[key] = (group, self._register(group))

    def _register(self, group: Group) -> list[int]:
        files, memory = group.notices()
        if self._budget.left < len(files) + 1:
            return []  # the passes will tell, a tenth of a second later
        fds = []
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.asyncio.add_reader(self._epoll.fileno(), self._ready)
        for path in files:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            os.pread(fd, 1, 0)  # what is there now is no news: kernfs tells of changes since the last read
            self._epoll.register(fd, select.EPOLLPRI)
            fds.append(fd)
        if memory is not None:
            fds += self._register_v1(memory)
        self._budget.left -= len(fds)
        return fds

    def _register_v1(self, memory: str) -> list[int]:
        try:
            oom = os.open(f"{memory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return []
        told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(f"{memory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(control, f"{told} {oom}".encode())
            finally:
                os.close(control)
        except OSError:
            os.close(told)
            return []
        finally:
            os.close(oom)
        assert self._epoll is not None
        self._epoll.register(told, select.EPOLLIN)
        return [told]

    def _ready(self) -> None:
        assert self._epoll is not None
        for fd, happened in self._epoll.poll(0):
            if happened & select.EPOLLIN:
                os.eventfd_read(fd)
            else:
                try:
                    os.pread(fd, 1, 0)
                except OSError:  # its group is gone
                    self._epoll.unregister(fd)
        self._noticed()

    def _drop(self, key: str) -> None:
        for fd in self._followed.pop(key)[1]:
            os.close(fd)  # which ends its place in the epoll too
            self._budget.left += 1

    def close(self) -> None:
        """Follow none."""
        for key in list(self._followed):
            self._drop(key)
        if self._epoll is not None:
            self._loop.asyncio.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
