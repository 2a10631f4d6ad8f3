"""What a lab could leave behind, looked for where it would be: processes, control groups, files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nbcontainer.container import launch

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab


def open_labs() -> set[str]:
    """The labs that this process holds: the pids of their inits (proc(5), /proc/PID/task/TID/children)."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue  # a thread that has ended
        for pid in children:
            try:
                if Path(f"/proc/{pid}/comm").read_text() == "nbcontainer\n":
                    found.add(f"a lab whose init is process {pid}")
            except OSError:
                continue
    return found


class Traces:
    """What tells a running lab's things from others', so that they can be looked for when it has ended."""

    def __init__(self, lab: Lab) -> None:
        self.pid = lab.pid
        self.scope = lab.scope
        self.directory = lab.directory
        # Held open: else the kernel gives the number to the next lab of somebody else's as soon as this one has ended.
        _, fds = cast("tuple[None, list[int]]", lab.call(launch.namespace, "self", "user"))
        self._held = fds[0]
        self.namespace = f"user:[{os.fstat(self._held).st_ino}]"

    def left(self) -> list[str]:
        """Each thing that is still there, named. To be asked once."""
        # An ordinary user cannot see the namespaces of init, which nobody may look into; its pid will do.
        found = [f"its init, process {self.pid}"] if Path(f"/proc/{self.pid}").exists() else []
        found += [f"process {process}" for process in self._processes()]
        for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            if (top / "nbcontainer" / self.scope).exists():
                found.append(f"control group {top / 'nbcontainer' / self.scope}")
        os.close(self._held)
        return found + ([f"directory {self.directory}"] if self.directory.exists() else [])

    def _processes(self) -> list[str]:
        found = []
        for link in Path("/proc").glob("[0-9]*/ns/user"):
            try:
                if os.readlink(link) == self.namespace:
                    found.append(f"{link.parts[2]} ({(link.parents[1] / 'comm').read_text().strip()})")
            except OSError:
                continue  # ended meanwhile, or another user's
        return found
