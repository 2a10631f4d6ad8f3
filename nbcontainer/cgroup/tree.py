"""The groups of one lab that have names: made, found, listed, removed. Those of its containers are their siblings."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nbcontainer.cgroup import settings
from nbcontainer.cgroup.cgroup import Cgroup, key_of
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.events import Events
from nbcontainer.cgroup.group import Group, count_io
from nbcontainer.cgroup.limits import Limits
from nbcontainer.cgroup.settings import Settings
from nbcontainer.errors import Conflict, InvalidArgument, NotFound, Unavailable

if TYPE_CHECKING:
    from nbcontainer.cgroup.cgroup import Run
    from nbcontainer.cgroup.sampler import Sampler
    from nbcontainer.lab.handle import Handle

#: One level of a name. A kernel's file may not be meant, nor a container's directory, which is named by its id.
LEVEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*(\.[a-zA-Z0-9_-]+)*")
_TAKEN = re.compile(
    r"(cgroup|cpu|cpuset|cpuacct|memory|pids|io|blkio|freezer|devices|hugetlb|rdma|misc|dmem|irq)\..*"
    r"|tasks|notify_on_release|release_agent|[0-9a-f]{64}"
)


def check_name(name: str) -> str:
    """`demo` or `a/b`. Raises `InvalidArgument`."""
    for level in name.split("/"):
        if not LEVEL.fullmatch(level) or _TAKEN.fullmatch(level):
            raise InvalidArgument(
                f"Invalid control group name ({name}): levels with / between them, each of [a-zA-Z0-9][a-zA-Z0-9_.-]* "
                "and none the name of a control file"
            )
    return name


class Tree:
    """The named groups of `lab`, below its directory. `run` runs a program on the lab's host, in a group.

    `others` are the groups of its containers by key, which have events too.
    """

    def __init__(
        self,
        lab: Handle,
        cgroups: Cgroups,
        run: Run,
        sampler: Callable[[], Sampler],
        others: Callable[[], Mapping[str, Group]],
    ) -> None:
        self.lab = lab
        self.cgroups = cgroups
        self.run = run
        self._sampler = sampler
        self._others = others
        self._groups: dict[str, Group] = {}
        self._lock = threading.RLock()

    @property
    def sampler(self) -> Sampler:
        """The lab's sampler."""
        return self._sampler()

    @cached_property
    def events(self) -> Events:
        """What happens to the lab's groups, those of containers too."""
        return Events(self.lab.loop, self.sampler, self.every, self.lab.scope)

    def every(self) -> dict[str, Group]:
        """The groups by key: `cgroup/demo`, `container/web`."""
        return {**self.named(), **self._others()}

    def named(self) -> dict[str, Group]:
        """Those that have names."""
        return {key_of(name): group for name, group in sorted(self._groups.items())}

    def container_of(self, pid: int) -> str | None:
        """The name of the container that a process is in."""
        found = (key for key, group in self._others().items() if pid in group.pids())
        return next((key.partition("/")[2] for key in found), None)

    # -- make

    def create(self, name: str, **values: object) -> Cgroup:
        """Make a group, and those above it, and set it: `create("a/b", cpu_max="20%", memory_max="64M")`.

        Raises `Conflict` when it is there or when the one above holds processes, `InvalidArgument`, `Unavailable`.
        """
        check_name(name)
        wanted = settings.parse(values)
        self.cgroups.check_controllers(settings.controllers(wanted))
        with self._lock:
            if name in self._groups:
                raise Conflict(f'Conflict. The control group "{name}" is already there: set it, or remove it first')
            self._make(name, wanted)
        return Cgroup(name, tree=self)

    def _make(self, name: str, wanted: Settings) -> None:
        above, _, _ = name.rpartition("/")
        if above:
            if above not in self._groups:
                self._make(above, {})
            self._check_empty(above)
            self.cgroups.prepare_parent(self._groups[above].path)
        if self.cgroups.mode == "none":
            raise Unavailable(f"cannot make the control group {name}: {self.cgroups.why}")
        group = self.cgroups.create(f"{self.lab.scope}/{name}", Limits())
        try:
            count_io(group)
            group.write(wanted)
        except BaseException:
            group.remove()
            raise
        self._groups[name] = group
        self.events.hold(self)

    def _check_empty(self, name: str) -> None:
        if self._groups[name].pids():
            raise Conflict(
                f"control group {name} holds processes, so it can have no groups below it: on v2 only a leaf holds "
                "processes (cgroup-v2.rst, No Internal Process Constraint), and here it is the same on v1"
            )

    def open(self, name: str, values: Mapping[str, object]) -> None:
        """Make the group of this name if it is not there; set it as `values` say."""
        with self._lock:
            if name not in self._groups:
                self.create(name, **values)
            elif values:
                wanted = settings.parse(values)
                self.cgroups.check_controllers(settings.controllers(wanted))
                self._groups[name].write(wanted)

    # -- find

    def get(self, name: str) -> Cgroup:
        """The group of this name. Raises `NotFound`."""
        self.group(name.strip("/"))
        return Cgroup(name, tree=self)

    def group(self, name: str) -> Group:
        """Its directories. Raises `NotFound`."""
        found = self._groups.get(name)
        if found is None:
            raise NotFound(f"No such control group: {name}")
        return found

    def list(self) -> list[Cgroup]:
        """All, by name."""
        return [Cgroup(name, tree=self) for name in sorted(self._groups)]

    def below(self, name: str) -> Sequence[str]:
        """The names of those below a group."""
        return sorted(found for found in self._groups if found.startswith(f"{name}/"))

    def check_leaf(self, name: str) -> None:
        """Raises `Conflict` for a group that has groups below it, `NotFound`."""
        self.group(name)
        below = self.below(name)
        if below:
            raise Conflict(
                f"control group {name} has groups below it, so it holds no process itself: use {below[0]} "
                "(cgroup-v2.rst, No Internal Process Constraint; here it is the same on v1)"
            )

    # -- remove

    def remove(self, name: str, force: bool = False) -> None:
        """Remove a group and, with `force`, its processes and the groups below it. Raises `Conflict`, `NotFound`."""
        with self._lock:
            group = self.group(name)
            below = self.below(name)
            if not force:
                if below:
                    raise Conflict(f"control group {name} has groups below it, such as {below[0]}: remove those first")
                if group.pids():
                    raise Conflict(f"control group {name} holds processes: kill them first, or force the removal")
            for one in (*reversed(below), name):
                self._groups[one].kill()
                self._groups[one].remove()
                self.cgroups.remove_tree(f"{self.lab.scope}/{one}")
                del self._groups[one]
                self.sampler.forget(key_of(one))
            if not self._groups:
                self.events.release(self)

    def close(self) -> None:
        """The lab ends: nothing is watched any more."""
        if "events" in self.__dict__:
            self.events.close()
