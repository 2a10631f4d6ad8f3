"""Pictures of the sources: which room calls which, and what the kernel makes of a line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from nbcontainer_kernel.lines import call_of, command_of

from nbcontainer.view import html
from nbcontainer.view.tables import Column, Table

PACKAGE = Path(__file__).resolve().parents[2] / "nbcontainer"
#: From what is typed down to the kernel's calls.
ROOMS = (
    "magics", "harness", "view", "topology", "build", "container", "image", "network", "cgroup", "lab", "syscalls",
)  # fmt: skip


def rooms() -> str:
    """A matrix: the room of a row imports from that of a column, as so many import statements say."""
    counts = {(row, column): 0 for row in ROOMS for column in ROOMS}
    for row in ROOMS:
        for file in (PACKAGE / row).rglob("*.py"):
            for column in _imported(ast.parse(file.read_text())):
                if column in ROOMS:
                    counts[row, column] += 1
    head = "".join(f'<th scope="col">{column}</th>' for column in ROOMS)
    body = "".join(
        f'<tr><th scope="row">{row}</th>{"".join(_cell(counts, row, column) for column in ROOMS)}</tr>' for row in ROOMS
    )
    return html.framed(
        '<table class="nbc-table nbc-matrix"><caption>Which room imports from which</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(counts: dict[tuple[str, str], int], row: str, column: str) -> str:
    if row == column:
        return '<td class="nbc-self"></td>'
    count = counts[row, column]
    return f'<td class="nbc-yes">{count}</td>' if count else "<td></td>"


def _imported(tree: ast.AST) -> Iterator[str]:
    """The rooms that a module imports from when it runs: not for its types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, rest = node.module.partition(".")
            if package == "nbcontainer":
                yield from [rest.partition(".")[0]] if rest else [alias.name for alias in node.names]
        yield from _imported(node)


LINES = (
    "docker stop web",
    "docker ps -q | wc -l",
    "ip netns add r1",
    "ip = web.endpoint.ip",
    "print(ip)",
)


def lines() -> Table:
    """What the kernel Containers (Python) runs for a line of a cell."""
    rows = [{"Line": line, "Runs": call_of(line) if command_of(line, lambda name: False) else line} for line in LINES]
    columns = (Column("Line", "A LINE OF A CELL", "code"), Column("Runs", "WHAT PYTHON RUNS", "code"))
    return Table("What the kernel makes of a line", columns, tuple(rows))
