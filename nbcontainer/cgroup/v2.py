"""Control groups v2: one hierarchy (kernel, admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import os
import time

from nbcontainer.cgroup import usage
from nbcontainer.cgroup.counters import Source, io_stat, keyed, number, pressure
from nbcontainer.cgroup.group import (
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
from nbcontainer.cgroup.settings import BY_FILE, Settings
from nbcontainer.cgroup.usage import Usage
from nbcontainer.errors import Unavailable

#: The controllers we hand down to our groups where they are to be had.
WANTED = ("cpu", "memory", "pids", "cpuset", "io")
NO_IO_WEIGHT = "this kernel has no block io weights (CONFIG_BFQ_GROUP_IOSCHED, CONFIG_BLK_CGROUP_IOCOST)"


class GroupV2:
    """A directory below `top`, which is ours."""

    def __init__(self, top: str, path: str) -> None:
        self.top = top
        self.path = path
        self.directory = f"{top}/{path}"

    def __repr__(self) -> str:
        return described(self, "v2")

    def make(self, limits: Limits) -> None:
        """Make the directory and set the limits; nothing is left when that fails."""
        parent = os.path.dirname(self.directory)
        if not os.path.isdir(parent):
            os.makedirs(parent, 0o755, exist_ok=True)
            hand_down(self.top)
            hand_down(parent)
        os.mkdir(self.directory, 0o755)
        try:
            self.set(limits)
        except BaseException:
            self.remove()
            raise

    @property
    def hierarchies(self) -> list[str]:
        """As `Group`."""
        return [""]

    def join_descriptors(self) -> list[int]:
        """As `Group`."""
        return [os.open(f"{self.directory}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)]

    def set(self, limits: Limits) -> None:
        """As `Group`."""
        try:
            for name, value in self._values(limits):
                write(f"{self.directory}/{name}", value)
        except OSError as error:
            raise refused(error) from None

    def write(self, settings: Settings) -> None:
        """As `Group`."""
        try:
            for file, text in settings.items():
                write(f"{self.directory}/{self._file(file)}", text)
        except FileNotFoundError as error:
            raise Unavailable(
                f"{os.path.basename(str(error.filename))} cannot be set: this kernel has it not"
            ) from None
        except OSError as error:
            raise refused(error) from None

    def _file(self, file: str) -> str:
        """BFQ's weight does io.weight's work where the cost controller is not built in."""
        if file == "io.weight" and not os.path.exists(f"{self.directory}/{file}"):
            if not os.path.exists(f"{self.directory}/io.bfq.weight"):
                raise Unavailable(NO_IO_WEIGHT)
            return "io.bfq.weight"
        return file

    def settings(self) -> dict[str, str]:
        """As `Group`."""
        found = {}
        for file in BY_FILE:
            try:
                text = read(f"{self.directory}/{self._file(file)}").strip()
            except (FileNotFoundError, Unavailable):
                continue
            found[file] = text.splitlines()[0].removeprefix("default ") if file == "io.weight" else text
        return found

    def places(self) -> dict[str, list[str]]:
        """As `Group`."""
        return {file: [f"{self.directory}/{self._file(file)}"] for file in self.settings()}

    def notices(self) -> tuple[list[str], str | None]:
        """As `Group`."""
        return [f"{self.directory}/{name}" for name in ("memory.events", "pids.events")], None

    def attach(self, pid: int) -> None:
        """As `Group`."""
        write(f"{self.directory}/cgroup.procs", str(pid))

    def _values(self, limits: Limits) -> list[tuple[str, str]]:
        values: list[tuple[str, str]] = []
        if limits.memory is not None:
            values.append(("memory.max", str(limits.memory)))
        if limits.memory_swap is not None and os.path.exists(f"{self.directory}/memory.swap.max"):
            swap = "max" if limits.memory_swap < 0 else str(max(0, limits.memory_swap - (limits.memory or 0)))
            values.append(("memory.swap.max", swap))
        if limits.memory_reservation is not None:
            values.append(("memory.low", str(limits.memory_reservation)))
        if limits.cpu_quota_us is not None or limits.cpu_period_us is not None:
            values.append(("cpu.max", self._bandwidth(limits.cpu_quota_us, limits.cpu_period_us)))
        if limits.cpu_shares is not None:
            values.append(("cpu.weight", str(weight_of(limits.cpu_shares))))
        if limits.cpuset_cpus is not None:
            values.append(("cpuset.cpus", limits.cpuset_cpus))
        if limits.cpuset_mems is not None:
            values.append(("cpuset.mems", limits.cpuset_mems))
        if limits.pids is not None:
            values.append(("pids.max", str(limits.pids)))
        if limits.io_weight is not None:
            values.append(self._weight(limits.io_weight))
        return values

    def _bandwidth(self, quota: int | None, period: int | None) -> str:
        """cpu.max, "QUOTA PERIOD": what was not given stays."""
        if quota is None:
            return f"{read(f'{self.directory}/cpu.max').split()[0]} {period}"
        kept = str(quota) if quota > 0 else "max"
        return kept if period is None else f"{kept} {period}"

    def _weight(self, weight: int) -> tuple[str, str]:
        """BFQ's weight has the range of v1's, io.weight (the cost controller's) one of its own."""
        if os.path.exists(f"{self.directory}/io.bfq.weight"):
            return "io.bfq.weight", str(weight)
        if os.path.exists(f"{self.directory}/io.weight"):
            return "io.weight", str(io_weight_of(weight))
        raise Unavailable(NO_IO_WEIGHT)

    def sources(self) -> list[Source]:
        """As `Group`."""
        wanted = (
            (
                "cpu.stat",
                keyed(
                    (b"usage_usec", "cpu_usec"),
                    (b"nr_periods", "periods"),
                    (b"nr_throttled", "throttled_periods"),
                    (b"throttled_usec", "throttled_usec"),
                ),
            ),
            ("memory.current", number("memory")),
            (
                "memory.stat",
                keyed(
                    (b"anon", "memory_anon"),
                    (b"file", "memory_file"),
                    (b"kernel", "memory_kernel"),
                    (b"inactive_file", "memory_inactive_file"),
                ),
            ),
            (
                "memory.events",
                keyed(
                    (b"high", "memory_high_events"),
                    (b"max", "memory_max_events"),
                    (b"oom", "oom_events"),
                    (b"oom_kill", "oom_kills"),
                ),
            ),
            ("pids.current", number("pids")),
            ("pids.events", keyed((b"max", "pids_max_events"))),
            ("io.stat", io_stat),
            ("cpu.pressure", pressure("cpu_pressure_usec")),
            ("memory.pressure", pressure("memory_pressure_usec")),
            ("io.pressure", pressure("io_pressure_usec")),
        )
        return [(f"{self.directory}/{file}", parse) for file, parse in wanted]

    def usage(self) -> Usage:
        """As `Group`."""
        return usage.now(self.sources(), self.memory_limit())

    def memory_limit(self) -> int | None:
        """As `Group`."""
        return self._number("memory.max")

    def _stat(self, name: str) -> dict[str, int]:
        try:
            return flat(read(f"{self.directory}/{name}"))
        except FileNotFoundError:  # its controller is not handed down to us
            return {}

    def _number(self, name: str) -> int | None:
        try:
            text = read(f"{self.directory}/{name}").strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def pids(self) -> list[int]:
        """As `Group`."""
        return members(self.directory)

    def freeze(self) -> None:
        """As `Group`. cgroup-v2.rst: cgroup.events says when all have stopped."""
        try:
            write(f"{self.directory}/cgroup.freeze", "1")
        except FileNotFoundError:
            raise Unavailable("pausing takes Linux 5.2 or newer with cgroup v2") from None
        for _ in range(2000):
            if self._stat("cgroup.events").get("frozen"):
                return
            time.sleep(0.001)
        self.thaw()
        raise Unavailable("a process of the container cannot be frozen: it waits in the kernel")

    def thaw(self) -> None:
        """As `Group`."""
        write(f"{self.directory}/cgroup.freeze", "0")

    def frozen(self) -> bool:
        """As `Group`."""
        return bool(self._stat("cgroup.events").get("frozen"))

    def kill(self) -> None:
        """As `Group`."""
        kill_processes(self.directory)

    def oom_kills(self) -> int:
        """As `Group`."""
        return self._stat("memory.events").get("oom_kill", 0)

    def remove(self) -> None:
        """As `Group`."""
        try:
            remove_directory(self.directory)
        except OSError:
            pass


def controllers(directory: str) -> frozenset[str]:
    """The controllers that a directory could hand down."""
    return frozenset(read(f"{directory}/cgroup.controllers").split())


def hand_down(directory: str) -> None:
    """Give a directory's children every controller there is for them."""
    there = controllers(directory)
    for name in WANTED:
        if name in there:
            try:
                write(f"{directory}/cgroup.subtree_control", f"+{name}")
            except OSError:
                continue  # one that cannot be handed down (a real-time task, a domain in the way) is gone without


def weight_of(shares: int) -> int:
    """cpu.weight for v1's cpu.shares, as runc converts it: 2…262144 onto 1…10000."""
    shares = min(max(shares, 2), 262_144)
    return 1 + (shares - 2) * 9999 // 262_142


def io_weight_of(weight: int) -> int:
    """io.weight for Docker's --blkio-weight, as runc converts it: 10…1000 onto 1…10000."""
    return 1 + (weight - 10) * 9999 // 990
