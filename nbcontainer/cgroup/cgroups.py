"""The machine's control groups, as far as this process may use them: v2, v1, both, or none.

Ours are always below one directory of each hierarchy (`nbcontainer.cgroup.delegation`): a directory a lab, and in it
one a container.
"""

from __future__ import annotations

import os
import threading

from nbcontainer.cgroup import systemd, v1, v2
from nbcontainer.cgroup.delegation import REMEDY, SUPERVISOR, hierarchies, ours
from nbcontainer.cgroup.group import Group as Group
from nbcontainer.cgroup.group import NoGroup, kill_processes, remove_directory, write
from nbcontainer.cgroup.hybrid import GroupHybrid
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import Unavailable


class Cgroups:
    """`tops` are our directories by v1 controller, `top` ours in v2; what is not there may not be written."""

    def __init__(self, tops: dict[str, str], top: str | None, why: str = "") -> None:
        self.tops = tops
        self.top = top
        self.why = why or REMEDY
        self._lock = threading.Lock()

    @property
    def mode(self) -> str:
        """v2, v1, hybrid (controllers in both) or none."""
        if self.tops:
            return "hybrid" if self.top is not None and v2.controllers(self.top) else "v1"
        return "v2" if self.top is not None else "none"

    @property
    def controllers(self) -> frozenset[str]:
        """What can be limited, by v2's names."""
        new = v2.controllers(self.top) & frozenset(v2.WANTED) if self.top is not None else frozenset()
        return v1.controllers(self.tops) | new

    @classmethod
    def detect(cls, delegated: str | None = None) -> Cgroups:
        """Look at what is mounted and what may be written. `delegated` as NBCONTAINER_CGROUP.

        An ordinary user to whom nothing was given asks their systemd for it.
        """
        delegated = delegated or os.environ.get("NBCONTAINER_CGROUP")
        found = cls._look(delegated)
        if found.mode == "none" and delegated is None and os.geteuid() != 0 and _unified() and systemd.bus():
            try:
                systemd.delegate()
            except Unavailable as error:
                found.why = f"{found.why} ({error})"
            else:
                found = cls._look(None)
        return found

    @classmethod
    def _look(cls, delegated: str | None) -> Cgroups:
        tops: dict[str, str] = {}
        top: str | None = None
        why = ""
        for hierarchy in hierarchies():
            wanted = hierarchy.controllers & {*v1.ALWAYS, "cpuset", "blkio", "freezer"}
            if not hierarchy.is_v2 and not wanted:
                continue
            try:
                found = ours(hierarchy, delegated)
            except Unavailable as error:
                # What v2 says is worth more: there a user can be given something without root.
                why = str(error) if hierarchy.is_v2 or not why else why
                continue
            if hierarchy.is_v2:
                top = found
            else:
                tops.update(dict.fromkeys(wanted, found))
        if not tops and top is not None and not v2.controllers(top):
            top, why = None, f"{top} has no controller: its parent hands none down (cgroup.subtree_control)"
        return cls(tops, top, why)

    def check(self, limits: Limits) -> None:
        """Raises `Unavailable` for a limit that no group here could have."""
        self.check_controllers(limits.controllers())

    def check_controllers(self, wanted: frozenset[str]) -> None:
        """Raises `Unavailable` when one of these is not to be had."""
        missing = wanted - self.controllers
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
        if not self.tops and self.top is None:
            return NoGroup(path, self.why)
        group: v1.GroupV1 | v2.GroupV2 | GroupHybrid
        if self.top is None:
            group = v1.GroupV1(self.tops, path)
        elif not self.tops:
            group = v2.GroupV2(self.top, path)
        else:
            group = GroupHybrid(self.tops, self.top, path)
        try:
            with self._lock:  # the first one makes what is above it ready
                group.make(limits)
        except OSError as error:
            raise Unavailable(f"cannot make the control group {error.filename}: {error.strerror}") from None
        return group

    def prepare_parent(self, path: str) -> None:
        """Make the group `path` fit to have groups below it: on v2 it hands its controllers down."""
        if self.top is not None and os.path.isdir(f"{self.top}/{path}"):
            v2.hand_down(f"{self.top}/{path}")

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
        return sorted(found - {SUPERVISOR})

    def _trees(self, instance: str) -> list[str]:
        return [tree for tree in (f"{top}/{instance}" for top in self._all_tops()) if os.path.isdir(tree)]

    def thaw_tree(self, instance: str) -> None:
        """Let everything in a lab go on: what v1's freezer holds does not even die of SIGKILL."""
        for tree in self._trees(instance):
            for directory, _, files in os.walk(tree):
                for name, go_on in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    try:
                        if name in files:
                            write(f"{directory}/{name}", go_on)
                    except OSError:
                        continue  # gone meanwhile: another lab is at the same work

    def remove_tree(self, instance: str) -> None:
        """Remove the directories of a lab that has ended, and end what is left in them."""
        self.thaw_tree(instance)
        for tree in self._trees(instance):
            for directory, _, _ in os.walk(tree, topdown=False):
                try:
                    kill_processes(directory)
                    remove_directory(directory)
                except OSError:
                    continue


def _unified() -> bool:
    """Whether there is a v2 tree with controllers, which a systemd could give a part of."""
    return any(h.is_v2 and v2.controllers(h.point) & frozenset(v2.WANTED) for h in hierarchies())
