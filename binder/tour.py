"""The tour for this machine: `python binder/tour.py TOUR WRITTEN`.

Where a lab starts, it is the tour. Where none does, as on Binder, what needs none runs; the rest is shown as it was
recorded on another machine, and says so. Nothing is made to look as if it had run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nbcontainer import Lab
from nbcontainer.errors import NbcontainerError

WHY = """# Ten minutes with containers, where none can be made

{why}. So no container of ours can run here, and nothing below pretends that one does. The notebook has two parts:

1. **what runs here**, in cells;
2. **the tour as it was recorded** on a machine where everything runs: text, not cells.

To run all of it, take a Linux machine of your own: `make tour`."""

#: What needs no lab: prose, then the cell below it.
HERE = (
    ("## What runs here\n\nThe doctor tries each thing that a lab needs.", "%load_ext nbcontainer\n%lab doctor"),
    (
        "This notebook's own process is in somebody else's container, or at least under somebody's rules. The kernel "
        "tells what it may do: `CapEff` are its capabilities, `Seccomp: 2` is a filter on its system calls.",
        "from pathlib import Path\n\n"
        'for line in Path("/proc/self/status").read_text().splitlines():\n'
        '    if line.startswith(("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp:")):\n'
        "        print(line)",
    ),
    (
        "Its namespaces: two processes that show the same number share one.",
        'for link in sorted(Path("/proc/self/ns").iterdir()):\n    print(f"{link.name:18} {link.readlink()}")',
    ),
    (
        "What a container's layers are stacked on, if this is one, and the control group that limits it.",
        'mounts = Path("/proc/self/mountinfo").read_text().splitlines()\n'
        'print(next(line for line in mounts if line.split()[4] == "/"))\n'
        'print(Path("/proc/self/cgroup").read_text())',
    ),
    (
        "And this is what a container must not do, tried: a new user namespace, with which every lab begins.",
        "from nbcontainer.syscalls import namespaces\n\n"
        "try:\n    namespaces.unshare(namespaces.CLONE_NEWUSER)\nexcept OSError as error:\n    print(error)",
    ),
    (
        "A topology is planned, addressed and drawn without a lab; only `up` needs one.",
        "from nbcontainer import Topology\n\nTopology.tree(2, 2)",
    ),
    ("Every option of `docker run`, as this grammar knows them:", "%container run --help"),
)


def main(tour: Path, written: Path) -> int:
    """Write the tour that can run here."""
    try:
        Lab().close()
    except NbcontainerError as error:
        why = str(error).partition(";")[0]
        print(f"The tour shows what can run here: {why}")
        nbformat.write(without_a_lab(nbformat.read(tour, as_version=4), why), written)
    else:
        written.write_bytes(tour.read_bytes())
    return 0


def without_a_lab(tour: Any, why: str) -> Any:
    """What runs without one, then `tour` as it was recorded."""
    cells = [new_markdown_cell(WHY.format(why=why[0].upper() + why[1:]))]
    for prose, code in HERE:
        cells += [new_markdown_cell(prose), new_code_cell(code)]
    cells.append(new_markdown_cell("---\n\n## The tour, recorded elsewhere"))
    cells += [recorded(cell) for cell in tour.cells]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same each time
    return new_notebook(cells=cells, metadata=tour.metadata)


def recorded(cell: Any) -> Any:
    """A cell as prose: what was typed, and what was printed elsewhere."""
    if cell["cell_type"] != "code":
        return new_markdown_cell(cell["source"])
    said = "".join(map(_text, cell["outputs"])).rstrip()
    output = f"\n\n*Recorded elsewhere:*\n\n```text\n{said}\n```" if said else ""
    return new_markdown_cell(f"```python\n{cell['source']}\n```{output}")


def _text(output: Any) -> str:
    if output["output_type"] == "stream":
        return str(output["text"])
    return str(output.get("data", {}).get("text/plain", "")) + "\n"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
