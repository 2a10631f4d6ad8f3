"""v1 hierarchies and a v2 tree side by side: each controller is in one of them, and freezing is v2's."""

from __future__ import annotations

import os
from dataclasses import fields

from nbcontainer.cgroup import v1, v2
from nbcontainer.cgroup.group import adopt
from nbcontainer.cgroup.limits import Limits
from nbcontainer.cgroup.usage import Usage


class GroupHybrid:
    """A group of v1's and one of v2's, of the same name.

    Where v2 has no controller, as systemd lays out a hybrid machine, nobody needs to be in it until something is
    frozen. It is v2 that freezes because v1's freezer holds a process even against SIGKILL: a paused container
    would outlive its notebook.
    """

    def __init__(self, tops: dict[str, str], top: str, path: str) -> None:
        self.path = path
        self._old = v1.GroupV1(tops, path)
        self._new = v2.GroupV2(top, path)
        self._controllers = v2.controllers(top)

    def make(self, limits: Limits) -> None:
        """Make the directories and set the limits; nothing is left when that fails."""
        self._old.make(limits.only(v1.controllers(self._old.tops)))
        if self._controllers:
            try:
                self._new.make(limits.only(self._controllers))
            except BaseException:
                self._old.remove()
                raise

    @property
    def hierarchies(self) -> list[str]:
        """As `Group`: v1's."""
        return self._old.hierarchies

    def join_descriptors(self) -> list[int]:
        """As `Group`."""
        return self._old.join_descriptors() + (self._new.join_descriptors() if self._controllers else [])

    def set(self, limits: Limits) -> None:
        """As `Group`."""
        self._old.set(limits.only(v1.controllers(self._old.tops)))
        if self._controllers:
            self._new.set(limits.only(self._controllers))

    def usage(self) -> Usage:
        """As `Group`: v2's word where v1 is silent."""
        old = self._old.usage()
        if not self._controllers:
            return old
        new = self._new.usage()
        found = {f.name: getattr(old, f.name) for f in fields(Usage)}
        merged = {name: getattr(new, name) if value is None else value for name, value in found.items()}
        return Usage(**{**merged, "oom_kills": self.oom_kills()})

    def pids(self) -> list[int]:
        """As `Group`."""
        return self._new.pids() if self._controllers else self._old.pids()

    def freeze(self) -> None:
        """As `Group`."""
        if not self._controllers:
            if not os.path.isdir(self._new.directory):
                self._new.make(Limits())
            adopt(self._new.directory, self._old.pids)
        self._new.freeze()

    def thaw(self) -> None:
        """As `Group`."""
        if os.path.isdir(self._new.directory):
            self._new.thaw()

    def kill(self) -> None:
        """As `Group`."""
        if self._controllers:
            self._new.kill()
        else:
            self.thaw()
            self._old.kill()

    def oom_kills(self) -> int:
        """As `Group`: the memory controller is in one of the two."""
        return self._old.oom_kills() + (self._new.oom_kills() if self._controllers else 0)

    def remove(self) -> None:
        """As `Group`."""
        self._new.remove()
        self._old.remove()
