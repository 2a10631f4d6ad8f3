"""The exercises of the lessons can be done as their solutions say, and the checks know it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.harness.needs import lacking

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SWAP = "if 'memory.swap.max' in group('small').settings():\n    group('small').set(memory_swap_max=0)"
SOLUTIONS = (
    "%cgroup create half --cpu-max 50%",
    "%cgroup create web --cpu-weight 400\n%cgroup create batch --cpu-weight 100",
    f"%cgroup create small --memory-max 32M\n{SWAP}\n"
    "%cgroup exec --no-check small python3 -c \"x = bytearray(b'x' * (64 << 20))\"",
)


def code_from(cells: list[Any], text: str) -> int:
    return next(index for index, cell in enumerate(cells) if cell.cell_type == "code" and text in cell.source)


@pytest.mark.skipif(
    not Cgroups.detect().controllers >= {"cpu", "memory", "pids"},
    reason="no control group here may be written: see `%lab doctor`",
)
def test_control_groups() -> None:
    notebook = nbformat.read(NOTEBOOKS / "02-cgroups.ipynb", as_version=4)
    cells = notebook.cells
    first = code_from(cells, "# your cell")
    # What they need of the lesson, then the exercises with the solutions in place.
    notebook.cells = [cells[code_from(cells, "%load_ext")], cells[code_from(cells, "def share")], *cells[first:]]
    places = [cell for cell in notebook.cells if cell.source == "# your cell"]
    assert len(places) == len(SOLUTIONS)
    for place, solution in zip(places, SOLUTIONS, strict=True):
        place.source = solution
    checks = [cell for cell in notebook.cells if "print(check_" in cell.source]
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    said = ["".join(output["text"] for output in cell.outputs if output.get("name") == "stdout") for cell in checks]
    assert said == ["well done\n"] * len(SOLUTIONS)


def the_way_shown(prose: str) -> str:
    """The lines that a cell of prose shows as one way to do an exercise."""
    return "\n".join(line[4:] for line in re.findall(r"^    .+$", prose.partition("<details>")[2], flags=re.MULTILINE))


def lacks(cell: Any) -> bool:
    """Whether the machine has not what a tag of the cell says that it needs."""
    needs = [tag.removeprefix("needs:") for tag in cell.metadata.get("tags", ()) if tag.startswith("needs:")]
    return any(lacking(what) for what in needs)


@pytest.mark.parametrize("lesson", ["04-container-networks", "07-many-containers"])
def test_the_way_shown(busybox: object, lesson: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    done = []
    for exercise, place, check in zip(notebook.cells, notebook.cells[1:], notebook.cells[2:], strict=False):
        if place.source == "# your lines" and "<details>" in exercise.source:
            place.source = the_way_shown(exercise.source)
            done.append(check)
    assert done
    notebook.cells = [cell for cell in notebook.cells if not lacks(cell)]
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    said = ["".join(output.get("text", "") for output in check.outputs).splitlines() for check in done]
    assert all(said)
    assert [line for lines in said for line in lines if not line.startswith("done: ")] == []
