"""Control groups v1: one hierarchy a controller (cgroups(7); kernel, admin-guide/cgroup-v1/).

`nbcontainer.cgroup.v1_files` says which of their files do the work of which of v2's; freezing is freezer.state.
"""

from __future__ import annotations

import errno
import os
import time

from nbcontainer.cgroup import usage
from nbcontainer.cgroup.counters import Source, blkio, keyed, number
from nbcontainer.cgroup.group import (
    adopt,
    described,
    flat,
    kill_processes,
    members,
    read,
    refused,
    remove_directory,
    write,
)
from nbcontainer.cgroup.limits import Limits
from nbcontainer.cgroup.settings import Settings
from nbcontainer.cgroup.usage import Usage
from nbcontainer.cgroup.v1_files import MAPPED, MISSING
from nbcontainer.errors import Unavailable

#: Hierarchies every group is in: what is counted, and what is limited most often.
ALWAYS = ("cpu", "cpuacct", "memory", "pids")
#: v2's controllers and the v1 hierarchies that do their work.
NAMES = {"cpu": "cpu", "memory": "memory", "pids": "pids", "cpuset": "cpuset", "io": "blkio"}


def controllers(tops: dict[str, str]) -> frozenset[str]:
    """What can be limited in these hierarchies, by v2's names."""
    return frozenset(name for name, hierarchy in NAMES.items() if hierarchy in tops)


class GroupV1:
    """A directory of the same name in every hierarchy that is used. `tops` are ours, by controller."""

    def __init__(self, tops: dict[str, str], path: str) -> None:
        self.tops = tops
        self.path = path
        self._made: list[str] = []

    def __repr__(self) -> str:
        return described(self, "v1")

    def _directory(self, controller: str) -> str:
        return f"{self.tops[controller]}/{self.path}"

    def make(self, limits: Limits) -> None:
        """Make the directories and set the limits; nothing is left when that fails."""
        wanted = {NAMES[controller] for controller in limits.controllers()}
        there = [name for name in (*ALWAYS, *sorted(wanted - set(ALWAYS))) if name in self.tops]
        try:
            for controller in there or sorted(self.tops)[:1]:
                self._make(controller)
            self.set(limits)
        except BaseException:
            self.remove()
            raise

    def _make(self, controller: str) -> None:
        if self._is_in(controller):
            return
        directory = self._directory(controller)
        try:
            os.mkdir(directory, 0o755)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(directory), 0o755, exist_ok=True)
            os.mkdir(directory, 0o755)
        self._made.append(controller)
        if controller == "cpuset":
            self._inherit_cpuset(directory)

    def _is_in(self, controller: str) -> bool:
        """Whether it has a directory for a controller. cpu and cpuacct are one mount on many machines."""
        return controller in self.tops and self.tops[controller] in (self.tops[made] for made in self._made)

    def _inherit_cpuset(self, directory: str) -> None:
        """A new cpuset is empty, and takes no process until it is not; so for every level up to the top."""
        levels, level = [], directory
        while level != os.path.dirname(self.tops["cpuset"]):
            levels.append(level)
            level = os.path.dirname(level)
        for level in reversed(levels):
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not read(f"{level}/{name}").strip():
                    write(f"{level}/{name}", read(f"{os.path.dirname(level)}/{name}").strip())

    @property
    def hierarchies(self) -> list[str]:
        """As `Group`; those that are mounted together, as cpu and cpuacct on many machines, as one name."""
        return [
            ",".join(name for name, top in self.tops.items() if top == self.tops[controller])
            for controller in self._made
        ]

    def join_descriptors(self) -> list[int]:
        """As `Group`, but of v1's `tasks`: for a process of one thread the same, without cgroup.procs's RCU wait."""
        return [
            os.open(f"{self._directory(controller)}/tasks", os.O_WRONLY | os.O_CLOEXEC) for controller in self._made
        ]

    def set(self, limits: Limits) -> None:
        """As `Group`."""
        try:
            self._set(limits)
        except OSError as error:
            raise refused(error) from None

    def write(self, settings: Settings) -> None:
        """As `Group`, by what `nbcontainer.cgroup.v1_files` knows."""
        try:
            for file, text in settings.items():
                mapped = MAPPED.get(file)
                if mapped is None:
                    raise Unavailable(f"{file} cannot be set: {MISSING[file]}")
                self._join_late(mapped.hierarchy)
                mapped.write(self._directory(mapped.hierarchy), text)
        except OSError as error:
            raise refused(error) from None

    def settings(self) -> dict[str, str]:
        """As `Group`: of the hierarchies that it is in."""
        found = {}
        for file, mapped in MAPPED.items():
            if self._is_in(mapped.hierarchy):
                try:
                    found[file] = mapped.read(self._directory(mapped.hierarchy))
                except FileNotFoundError:
                    continue  # this kernel has it not
        return found

    def places(self) -> dict[str, list[str]]:
        """As `Group`."""
        return {
            file: [f"{self._directory(mapped.hierarchy)}/{name}" for name in mapped.files]
            for file, mapped in MAPPED.items()
            if self._is_in(mapped.hierarchy)
        }

    def notices(self) -> tuple[list[str], str | None]:
        """As `Group`. memory.rst, "OOM Control": v1 tells of it through an eventfd."""
        files = [f"{self._directory('pids')}/pids.events"] if self._is_in("pids") else []
        return files, self._directory("memory") if self._is_in("memory") else None

    def attach(self, pid: int) -> None:
        """As `Group`."""
        for controller in self._made:
            write(f"{self._directory(controller)}/cgroup.procs", str(pid))

    def join_hierarchies(self, *controllers: str) -> None:
        """Be in these hierarchies too, as far as they are there: to be counted in them."""
        for controller in controllers:
            if controller in self.tops:
                self._join_late(controller)

    def _set(self, limits: Limits) -> None:
        if limits.memory is not None or limits.memory_swap is not None or limits.memory_reservation is not None:
            self._set_memory(limits)
        if limits.cpu_period_us is not None:
            write(f"{self._directory('cpu')}/cpu.cfs_period_us", str(limits.cpu_period_us))
        if limits.cpu_quota_us is not None:
            write(f"{self._directory('cpu')}/cpu.cfs_quota_us", str(limits.cpu_quota_us))
        if limits.cpu_shares is not None:
            write(f"{self._directory('cpu')}/cpu.shares", str(limits.cpu_shares))
        if limits.pids is not None:
            write(f"{self._directory('pids')}/pids.max", str(limits.pids))
        for name, value in (("cpuset.cpus", limits.cpuset_cpus), ("cpuset.mems", limits.cpuset_mems)):
            if value is not None:
                self._join_late("cpuset")
                write(f"{self._directory('cpuset')}/{name}", value)
        if limits.io_weight is not None:
            self._join_late("blkio")
            self._set_weight(limits.io_weight)

    def _set_memory(self, limits: Limits) -> None:
        directory = self._directory("memory")
        values = []
        if limits.memory is not None:
            values.append(("memory.limit_in_bytes", limits.memory))
        memsw = f"{directory}/memory.memsw.limit_in_bytes"
        if limits.memory_swap is not None and os.path.exists(memsw):
            values.append(("memory.memsw.limit_in_bytes", limits.memory_swap))
            # memory must never exceed memory and swap: raising starts with the larger one.
            current = int(read(memsw))
            if len(values) == 2 and limits.memory is not None and limits.memory > current:
                values.reverse()
        if limits.memory_reservation is not None:
            values.append(("memory.soft_limit_in_bytes", limits.memory_reservation))
        for name, value in values:
            write(f"{directory}/{name}", str(value))

    def _set_weight(self, weight: int) -> None:
        for name in ("blkio.bfq.weight", "blkio.weight"):
            if os.path.exists(f"{self._directory('blkio')}/{name}"):
                write(f"{self._directory('blkio')}/{name}", str(weight))
                return
        raise Unavailable("this kernel has no block io weights (CONFIG_BFQ_GROUP_IOSCHED is off)")

    def _join_late(self, controller: str) -> None:
        """Be in a hierarchy that was not asked for at first; processes that are already running move there."""
        if controller not in self.tops:
            raise Unavailable(f"this machine has no {controller} hierarchy that may be written")
        self._make(controller)
        adopt(self._directory(controller), self.pids)

    def sources(self) -> list[Source]:
        """As `Group`."""
        wanted = (
            ("cpuacct", "cpuacct.usage", number("cpu_usec", 1e-3)),
            (
                "cpu",
                "cpu.stat",
                keyed(
                    (b"nr_periods", "periods"),
                    (b"nr_throttled", "throttled_periods"),
                    (b"throttled_time", "throttled_usec", 1e-3),
                ),
            ),
            ("memory", "memory.usage_in_bytes", number("memory")),
            (
                "memory",
                "memory.stat",
                keyed(
                    (b"total_rss", "memory_anon"),
                    (b"total_cache", "memory_file"),
                    (b"total_inactive_file", "memory_inactive_file"),
                ),
            ),
            ("memory", "memory.kmem.usage_in_bytes", number("memory_kernel")),
            ("memory", "memory.failcnt", number("memory_max_events")),
            ("memory", "memory.oom_control", keyed((b"oom_kill", "oom_kills"))),
            ("pids", "pids.current", number("pids")),
            ("pids", "pids.events", keyed((b"max", "pids_max_events"))),
            ("blkio", "blkio.throttle.io_service_bytes_recursive", blkio("io_read_bytes", "io_write_bytes")),
            ("blkio", "blkio.throttle.io_serviced_recursive", blkio("io_reads", "io_writes")),
        )
        return [(f"{self._directory(name)}/{file}", parse) for name, file, parse in wanted if name in self.tops]

    def usage(self) -> Usage:
        """As `Group`."""
        return usage.now(self.sources(), self.memory_limit())

    def _number(self, controller: str, name: str) -> int | None:
        if controller not in self.tops:
            return None
        try:
            return int(read(f"{self._directory(controller)}/{name}"))
        except FileNotFoundError:  # kernel memory is counted only where it was compiled in
            return None

    def memory_limit(self) -> int | None:
        """As `Group`."""
        limit = self._number("memory", "memory.limit_in_bytes")
        return None if limit is None or limit > 1 << 60 else limit

    def pids(self) -> list[int]:
        """As `Group`."""
        return members(self._directory(self._made[0])) if self._made else []

    def freeze(self) -> None:
        """As `Group`. freezer-subsystem.rst: FREEZING until all have stopped."""
        self._join_late("freezer")
        state = f"{self._directory('freezer')}/freezer.state"
        for _ in range(2000):
            write(state, "FROZEN")
            if read(state).strip() == "FROZEN":
                return
            time.sleep(0.001)
        write(state, "THAWED")
        raise Unavailable("a process of the container cannot be frozen: it waits in the kernel")

    def thaw(self) -> None:
        """As `Group`."""
        if self._is_in("freezer"):
            write(f"{self._directory('freezer')}/freezer.state", "THAWED")

    def frozen(self) -> bool:
        """As `Group`."""
        return self._is_in("freezer") and read(f"{self._directory('freezer')}/freezer.state").strip() == "FROZEN"

    def kill(self) -> None:
        """As `Group`."""
        self.thaw()
        if self._made:
            kill_processes(self._directory(self._made[0]))

    def oom_kills(self) -> int:
        """As `Group`."""
        if "memory" not in self.tops:
            return 0
        try:
            return flat(read(f"{self._directory('memory')}/memory.oom_control")).get("oom_kill", 0)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return 0

    def remove(self) -> None:
        """As `Group`."""
        while self._made:
            try:
                remove_directory(self._directory(self._made.pop()))
            except OSError:
                continue
