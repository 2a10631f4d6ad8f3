"""papermill as it is: with this Python's own kernel, and with one in a container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def execute(notebook: Path, kernel: str, *parameters: str, folder: Path, env: dict[str, str] | None = None) -> Any:
    """The notebook that papermill writes. What it has to say is shown when it fails."""
    written = folder / "written.ipynb"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "papermill", "--no-progress-bar", "--kernel", kernel, "--cwd", str(folder)),
            *(word for parameter in parameters for word in ("-p", *parameter.split("="))),
            *(str(notebook), str(written)),
        ],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return nbformat.read(written, as_version=4)


def printed(notebook: Any) -> list[str]:
    """What each cell with code printed."""
    return [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.outputs
    ]


def test_a_lesson(busybox: object, tmp_path: Path) -> None:
    lesson = NOTEBOOKS / "00-tour.ipynb"
    assert printed(execute(lesson, "python3", folder=tmp_path)) == printed(nbformat.read(lesson, as_version=4))


def test_a_kernel_in_a_container_is_given_parameters(lab: Any, tmp_path: Path) -> None:
    env = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_PATH": str(tmp_path / "data")}
    limit = ["--memory", "512m"] if "memory" in lab.cgroups.controllers else []
    wrap = [sys.executable, "-m", "nbcontainer", "kernelspec", "wrap", "python3", *limit]
    subprocess.run(wrap, env={**os.environ, **env}, check=True)

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data.txt").write_text("forty-two\n")
    cells = [nbformat.v4.new_code_cell("times = 1"), nbformat.v4.new_code_cell(SCRIPT)]
    cells[0].metadata.tags = ["parameters"]
    note = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(note, folder / "note.ipynb")

    written = execute(folder / "note.ipynb", "python3-container", "times=3", folder=folder, env=env)
    assert printed(written) == ["forty-two\n" * 3 + "['lo']\n"]
    assert written.metadata.papermill.parameters == {"times": 3}


SCRIPT = """import os

print(open("data.txt").read() * times, end="")
print(os.listdir("/sys/class/net"))"""
