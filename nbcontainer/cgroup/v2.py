"""Control groups v2: one hierarchy (kernel, admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import os

from nbcontainer.cgroup.group import flat, kill_all, read, remove_directory, write
from nbcontainer.cgroup.limits import Limits, Usage
from nbcontainer.errors import Unavailable

#: The controllers we hand down to our groups where they are to be had.
WANTED = ("cpu", "memory", "pids", "cpuset", "io")


class GroupV2:
    """A directory below `top`, which is ours."""

    def __init__(self, top: str, path: str) -> None:
        self.top = top
        self.path = path
        self.directory = f"{top}/{path}"

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
            raise Unavailable(
                f"the limit was refused: {os.path.basename(str(error.filename))}: {error.strerror}"
            ) from None

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
            quota = limits.cpu_quota_us
            values.append(
                ("cpu.max", f"{'max' if quota is None or quota <= 0 else quota} {limits.cpu_period_us or 100_000}")
            )
        if limits.cpu_shares is not None:
            values.append(("cpu.weight", str(weight_of(limits.cpu_shares))))
        if limits.cpuset_cpus is not None:
            values.append(("cpuset.cpus", limits.cpuset_cpus))
        if limits.cpuset_mems is not None:
            values.append(("cpuset.mems", limits.cpuset_mems))
        if limits.pids is not None:
            values.append(("pids.max", str(limits.pids)))
        if limits.io_weight is not None:
            name = next(
                (n for n in ("io.bfq.weight", "io.weight") if os.path.exists(f"{self.directory}/{n}")), "io.weight"
            )
            values.append((name, str(limits.io_weight)))
        return values

    def usage(self) -> Usage:
        """As `Group`."""
        cpu = flat(read(f"{self.directory}/cpu.stat"))
        return Usage(
            cpu_usec=cpu.get("usage_usec"),
            throttled_periods=cpu.get("nr_throttled"),
            throttled_usec=cpu.get("throttled_usec"),
            memory=self._number("memory.current"),
            memory_limit=self._number("memory.max"),
            pids=self._number("pids.current"),
            oom_kills=self.oom_kills(),
        )

    def _number(self, name: str) -> int | None:
        try:
            text = read(f"{self.directory}/{name}").strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def pids(self) -> list[int]:
        """As `Group`."""
        return [int(pid) for pid in read(f"{self.directory}/cgroup.procs").split()]

    def freeze(self) -> None:
        """As `Group`."""
        write(f"{self.directory}/cgroup.freeze", "1")

    def thaw(self) -> None:
        """As `Group`."""
        write(f"{self.directory}/cgroup.freeze", "0")

    def kill(self) -> None:
        """As `Group`."""
        try:
            write(f"{self.directory}/cgroup.kill", "1")
        except FileNotFoundError:  # before Linux 5.14
            kill_all(self)

    def oom_kills(self) -> int:
        """As `Group`."""
        try:
            return flat(read(f"{self.directory}/memory.events")).get("oom_kill", 0)
        except FileNotFoundError:
            return 0

    def remove(self) -> None:
        """As `Group`."""
        remove_directory(self.directory)


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
