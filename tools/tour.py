"""Run a notebook without a browser and print it as text: `python tools/tour.py NOTEBOOK`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def text(output: dict[str, Any]) -> str:
    """The text form of one output of a cell."""
    if output["output_type"] == "stream":
        return str(output["text"])
    if output["output_type"] == "error":
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"]))
    return str(output["data"].get("text/plain", ""))


def show(cell: dict[str, Any]) -> None:
    """Print a cell: prose as it is, code behind a prompt with what it gave below."""
    if cell["cell_type"] != "code":
        print(f"\n{cell['source']}\n")
        return
    for line in cell["source"].splitlines():
        print(f"    > {line}")
    for output in cell["outputs"]:
        for line in text(output).rstrip("\n").splitlines():
            print(f"      {line}".rstrip())
    print(flush=True)


def main(path: Path) -> int:
    """Run and print every cell, until one fails; the exit code."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        timeout=600,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_complete=lambda cell, cell_index: show(cell) if cell["cell_type"] != "code" else None,
        on_cell_executed=lambda cell, cell_index, execute_reply: show(cell),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"{path} stops here: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
