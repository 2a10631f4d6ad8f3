"""Whose namespace each container is in: containers side by side, what they share marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbcontainer.container.look import namespaces_of_all
from nbcontainer.view import html
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.lab.handle import Handle

#: What the kernel calls them in /proc/PID/ns, and what stands above them.
KINDS = {"user": "USER", "mnt": "MOUNT", "pid": "PID", "uts": "UTS", "net": "NET", "ipc": "IPC", "cgroup": "CGROUP"}
#: The row of the lab's host.
HOST = "(the lab)"
COLUMNS = (Column("Name", "CONTAINER", "code"), *(Column(kind, header) for kind, header in KINDS.items()))
#: Degrees of the colours that tell one sharing from another; the words say the same.
HUES = (210, 30, 140, 290, 60, 0, 180, 330)


class NamespaceTable(Table):
    """A cell says `own`, or whose it is. Cells that are the same namespace have the same words and colour."""

    def _row(self, cells: Sequence[str]) -> str:
        groups = list(dict.fromkeys(text for row in self.cells() for text in row[1:] if text != "own"))
        made = [f'<th scope="row" class="nbc-code">{html.escape(cells[0])}</th>']
        for text in cells[1:]:
            if text == "own":
                made.append('<td class="nbc-none">own</td>')
            else:
                hue = HUES[groups.index(text) % len(HUES)]
                made.append(f'<td><span class="nbc-same" style="--nbc-hue: {hue}">{html.escape(text)}</span></td>')
        return "".join(made)


def namespace_table(lab: Handle, containers: Sequence[Container]) -> NamespaceTable:
    """The lab's host and `containers`, those that run, in the order given.

    A namespace is called after the first row that has it, so the table is the same each time; numbers are left out.
    """
    running = [(c.name, c.entry.pid) for c in containers if c.entry is not None]
    numbers = lab.call(namespaces_of_all, ["self", *(pid for _, pid in running)])
    names = [HOST, *(name for name, _ in running)]
    rows = []
    for name, own in zip(names, numbers, strict=True):
        row = {"Name": name}
        for kind in KINDS:
            having = [n for n, other in zip(names, numbers, strict=True) if own and other.get(kind) == own.get(kind)]
            row[kind] = "-" if not own else f"shared: {having[0].strip('()')}" if len(having) > 1 else "own"
        rows.append(row)
    return NamespaceTable("Namespaces", COLUMNS, tuple(rows))
