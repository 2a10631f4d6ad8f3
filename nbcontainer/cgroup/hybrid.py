"""v1 hierarchies and a v2 tree side by side: each controller is in one of them, and freezing is v2's."""

from __future__ import annotations

import os

from nbcontainer.cgroup import usage, v1, v2
from nbcontainer.cgroup.counters import Source
from nbcontainer.cgroup.group import adopt, described
from nbcontainer.cgroup.limits import Limits
from nbcontainer.cgroup.settings import BY_FILE, Settings
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

    def __repr__(self) -> str:
        return described(self, "hybrid" if self._controllers else "v1")

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

    def write(self, settings: Settings) -> None:
        """As `Group`."""
        mine = {file: text for file, text in settings.items() if self._is_new(file)}
        self._old.write({file: text for file, text in settings.items() if file not in mine})
        if mine:
            self._new.write(mine)

    def _is_new(self, file: str) -> bool:
        return BY_FILE[file].controller in self._controllers

    def settings(self) -> dict[str, str]:
        """As `Group`."""
        new = self._new.settings() if self._controllers else {}
        found = {**new, **self._old.settings()}
        return {file: found[file] for file in BY_FILE if file in found}

    def places(self) -> dict[str, list[str]]:
        """As `Group`."""
        found = {**(self._new.places() if self._controllers else {}), **self._old.places()}
        return {file: found[file] for file in BY_FILE if file in found}

    def notices(self) -> tuple[list[str], str | None]:
        """As `Group`."""
        files, memory = self._old.notices()
        return files + (self._new.notices()[0] if self._controllers else []), memory

    def attach(self, pid: int) -> None:
        """As `Group`."""
        self._old.attach(pid)
        if self._controllers:
            self._new.attach(pid)

    def join_hierarchies(self, *controllers: str) -> None:
        """As `GroupV1`."""
        self._old.join_hierarchies(*controllers)

    def sources(self) -> list[Source]:
        """As `Group`. Each controller is in one of the two; what both say, the processors' time, v1 says last."""
        return (self._new.sources() if self._controllers else []) + self._old.sources()

    def usage(self) -> Usage:
        """As `Group`."""
        return usage.now(self.sources(), self.memory_limit())

    def memory_limit(self) -> int | None:
        """As `Group`."""
        return self._old.memory_limit() or (self._new.memory_limit() if self._controllers else None)

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

    def frozen(self) -> bool:
        """As `Group`."""
        return self._new.frozen()

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
