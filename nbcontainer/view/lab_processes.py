"""`%lab processes`: every process of the lab as a tree, with its pid in the lab and in its container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.container import look
from nbcontainer.view import words
from nbcontainer.view.page import PageView
from nbcontainer.view.rows import ellipsis
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

COLUMNS = (
    Column("Command", "COMMAND", "code"),
    Column("Container", "CONTAINER"),
    Column("Pid", "PID", "number"),
    Column("Inside", "PID INSIDE", "number"),
)
#: What changes from one look to the next, and so is not saved.
MOVING = (Column("State", "STATE"), Column("Memory", "MEMORY", "number"))
#: proc(5), /proc/PID/stat, field 3.
STATES = {"R": "running", "S": "sleeping", "D": "waiting", "T": "stopped", "t": "traced", "Z": "zombie", "I": "idle"}
WIDTH = 60


class LabProcesses(PageView):
    """The processes of a lab. The kernel tells nobody of them without root: they are looked at once a second.

    What is saved repeats to the letter: states, memory and, of all processes but each container's first, the pid in the
    lab are only in what a page shows, and in `rows`.
    """

    polls: ClassVar[bool] = True

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.rows = self._rows()

    def text(self) -> str:
        """The tree, as far as it repeats."""
        return str(Table("Processes", COLUMNS, self._repeating()))

    def html(self) -> str:
        """The same as a table."""
        return Table("Processes of the lab", COLUMNS, self._repeating())._repr_html_()

    def live_html(self) -> str:
        """As it is now, with states, memory and all pids."""
        return Table("Processes of the lab", (*COLUMNS, *MOVING), tuple(self._rows()))._repr_html_()

    def _repeating(self) -> tuple[dict[str, Any], ...]:
        """A container's first process has its pid in the lab from a counter, the others as the kernel comes to it."""
        return tuple({**row, "Pid": row["Pid"] if row["First"] else ""} for row in self.rows)

    def _rows(self) -> list[dict[str, Any]]:
        found = {int(row["PID"]): row for row in self.lab.call(look.every_process_inside)}
        names, first = {}, set()
        for container in self.lab.containers.list():
            entry = container.entry
            if entry is not None and entry.pid in found:
                names[found[entry.pid]["NAMESPACE"]] = container.name
                first.add(entry.pid)
        looker = next((pid for pid, row in found.items() if row["CMD"] and pid == max(found)), None)
        children: dict[int, list[int]] = {}
        for pid, row in found.items():
            if pid != looker or row["NAMESPACE"] in names:
                children.setdefault(int(row["PPID"]) if int(row["PPID"]) in found else 0, []).append(pid)
        return list(_walk(0, "", children, found, names, first))


def _walk(
    parent: int,
    indent: str,
    children: dict[int, list[int]],
    found: dict[int, dict[str, str]],
    names: dict[str, str],
    first: set[int],
) -> Iterator[dict[str, Any]]:
    below = children.get(parent, [])
    for number, pid in enumerate(below):
        row = found[pid]
        last = number == len(below) - 1
        branch = "" if not parent else "└─ " if last else "├─ "
        inside = names.get(row["NAMESPACE"], "")
        yield {
            "Command": indent + branch + ellipsis(row["CMD"], WIDTH),
            "Container": inside,
            "Pid": str(pid),
            "Inside": row["NSPID"] if inside else "",
            "First": pid in first,
            "State": STATES.get(row["STAT"], row["STAT"]),
            "Memory": words.binary_size(int(row["RSS"]) * 1024),
        }
        below_it = indent + ("" if not parent else "   " if last else "│  ")
        yield from _walk(pid, below_it, children, found, names, first)
