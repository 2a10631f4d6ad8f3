"""The machine's control groups, as far as this process may use them: v2, v1, both, or none.

Ours are always below one directory: `nbcontainer` at the top for root; for an ordinary user, one that was given to
them (`NBCONTAINER_CGROUP`, or their own group where they may write it).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nbcontainer.cgroup import v1, v2
from nbcontainer.cgroup.group import Group as Group
from nbcontainer.cgroup.group import NoGroup, remove_directory
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import Unavailable

#: The name of our directory.
OURS = "nbcontainer"
REMEDY = (
    "limits need a control group you may write: start the notebook with `systemd-run --user --scope -p Delegate=yes`, "
    "or name a directory that is yours in NBCONTAINER_CGROUP"
)


class Cgroups:
    """`tops` are our directories by v1 controller, `top` ours in v2; what is not there may not be written."""

    def __init__(self, tops: dict[str, str], top: str | None, why: str = "") -> None:
        self.tops = tops
        self.top = top
        self.why = why or REMEDY

    @property
    def mode(self) -> str:
        """v2, v1, hybrid or none."""
        if self.tops:
            return "hybrid" if self.top is not None else "v1"
        return "v2" if self.top is not None else "none"

    @property
    def controllers(self) -> frozenset[str]:
        """What can be limited, by v2's names."""
        if self.tops:
            return frozenset(name for name, hierarchy in v1.NAMES.items() if hierarchy in self.tops)
        return v2.controllers(self.top) & frozenset(v2.WANTED) if self.top else frozenset()

    @classmethod
    def detect(cls, delegated: str | None = None) -> Cgroups:
        """Look at what is mounted and what may be written. `delegated` as NBCONTAINER_CGROUP."""
        delegated = delegated or os.environ.get("NBCONTAINER_CGROUP")
        tops: dict[str, str] = {}
        top: str | None = None
        own = _own_groups()
        for mount, kind, options in _mounts():
            if kind == "cgroup2":
                found = _ours(mount, delegated, own.get(""), process_rule=True)
                # An empty v2 beside v1 hierarchies has no controller for us, and nobody needs to be in it.
                if found is not None and v2.controllers(found):
                    top = found
            else:
                for controller in options & {*v1.ALWAYS, "cpuset", "blkio", "freezer"}:
                    found = _ours(mount, delegated, own.get(controller), process_rule=False)
                    if found is not None:
                        tops[controller] = found
        return cls(tops, top)

    def check(self, limits: Limits) -> None:
        """Raises `Unavailable` for a limit that no group here could have."""
        missing = limits.controllers() - self.controllers
        if missing:
            if self.mode == "none":
                raise Unavailable(f"cannot limit {', '.join(sorted(missing))}: {self.why}")
            raise Unavailable(
                f"cannot limit {', '.join(sorted(missing))}: the control groups given to us have only "
                f"{', '.join(sorted(self.controllers)) or 'no controller'}"
            )

    def create(self, path: str, limits: Limits) -> Group:
        """The group `path` below ours, with its limits. Raises `Unavailable`."""
        self.check(limits)
        if self.mode == "none":
            return NoGroup(path, self.why)
        group = v1.GroupV1(self.tops, path) if self.tops else v2.GroupV2(self.top or "", path)
        try:
            group.make(limits)
        except OSError as error:
            raise Unavailable(f"cannot make the control group {error.filename}: {error.strerror}") from None
        return group

    def _all_tops(self) -> list[str]:
        return list(dict.fromkeys([*self.tops.values(), *([self.top] if self.top else [])]))

    def leftovers(self) -> list[str]:
        """The names of the labs that have directories here."""
        found: set[str] = set()
        for top in self._all_tops():
            try:
                found |= {entry.name for entry in os.scandir(top) if entry.is_dir()}
            except FileNotFoundError:
                continue
        return sorted(found - {"supervisor"})

    def remove_tree(self, instance: str) -> None:
        """Remove the directories of a lab that has ended. One that still has processes stays."""
        for top in self._all_tops():
            for directory, _, _ in os.walk(f"{top}/{instance}", topdown=False):
                try:
                    remove_directory(directory)
                except OSError:
                    continue


def _mounts() -> list[tuple[str, str, frozenset[str]]]:
    """Mount point, type and super options of every cgroup file system: proc(5), /proc/self/mountinfo."""
    found = []
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            found.append((before.split(" ")[4], kind, frozenset(options.split(","))))
    return found


def _own_groups() -> dict[str, str]:
    """The group this process is in, by v1 controller; v2's under the empty name."""
    found: dict[str, str] = {}
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _ours(mount: str, delegated: str | None, own: str | None, *, process_rule: bool) -> str | None:
    """Our directory in the hierarchy at `mount`, if we may have one."""
    if delegated:
        relative = delegated.removeprefix(mount).strip("/")
        return _writable(f"{mount}/{relative}", process_rule, lambda d: d)
    if os.geteuid() == 0:
        return _writable(mount, process_rule, lambda d: f"{d}/{OURS}")
    if own and own != "/" and process_rule:
        return _writable(f"{mount}{own}", process_rule, lambda d: f"{d}/{OURS}")
    return None


def _writable(directory: str, process_rule: bool, name: Callable[[str], str]) -> str | None:
    needed = ("", "/cgroup.procs", "/cgroup.subtree_control") if process_rule else ("",)
    if not all(os.access(directory + file, os.W_OK) for file in needed):
        return None
    if process_rule and not _make_room(directory):
        return None
    found = name(directory)
    try:
        if process_rule:
            v2.hand_down(directory)
        os.makedirs(found, 0o755, exist_ok=True)
    except OSError:
        return None  # a read-only mount, or a hierarchy that another is in the way of
    return found


def _make_room(directory: str) -> bool:
    """A v2 group that hands down controllers may hold no process: ours moves into a child (no internal processes).

    Only this process moves; with others beside it the directory is not ours to arrange.
    """
    if directory in (mount for mount, kind, _ in _mounts() if kind == "cgroup2"):
        return True  # the root is exempt
    pids = [int(pid) for pid in (Path(directory) / "cgroup.procs").read_text().split()]
    if pids and pids != [os.getpid()]:
        return False
    if pids:
        supervisor = Path(directory) / "supervisor"
        supervisor.mkdir(exist_ok=True)
        (supervisor / "cgroup.procs").write_text(str(os.getpid()))
    return True
