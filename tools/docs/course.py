"""The notebooks as pages: what was typed and what was printed, as they were saved. Nothing is run."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
HEAD = """# The course

Each page is a notebook of `notebooks/`, with what it printed when it was run last; the tests run it again and compare
the letters. To run it yourself, `make lab`.
"""


def _notebooks() -> dict[str, Any]:
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


def _title(notebook: Any) -> str:
    """The first heading."""
    return next(
        line.removeprefix("# ")
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    )


def navigation() -> list[str | dict[str, str]]:
    """In the order of their numbers."""
    return [
        "course/index.md",
        *({_title(notebook).replace("`", ""): f"course/{name}.md"} for name, notebook in _notebooks().items()),
    ]


def made() -> dict[str, str]:
    """A page for each, and one that lists them."""
    notebooks = _notebooks()
    listed = "".join(f"- [{_title(notebook)}]({name}.md)\n" for name, notebook in notebooks.items())
    pages = {"course/index.md": f"{HEAD}\n{listed}"}
    for name, notebook in notebooks.items():
        cells = "\n\n".join(_cell(cell) for cell in notebook.cells)
        pages[f"course/{name}.md"] = re.sub(r"\]\((\S+)\.ipynb\)", r"](\1.md)", cells)
    return pages


def shown(name: str, source: str) -> str:
    """What the cell `source` of a notebook showed when it was saved."""
    cell = next(cell for cell in _notebooks()[name].cells if cell.source == source)
    return _shown(cell.outputs[-1].data, cell.outputs[-1])


def _cell(cell: Any) -> str:
    if cell.cell_type != "code":
        return str(cell.source)
    parts = [_fenced("python", cell.source)]
    printed = ""
    for output in cell.outputs:
        text = output.get("text") or "\n".join(output.get("traceback", []))
        if text:
            printed += text
            continue
        parts += [_fenced("text", printed, "printed")] if printed else []
        printed = ""
        parts.append(_shown(output.get("data", {}), output))
    parts += [_fenced("text", printed, "printed")] if printed else []
    return "\n\n".join(parts)


def _shown(data: dict[str, str], output: Any) -> str:
    """The best form that needs no script."""
    if "image/png" in data:
        said = output.get("metadata", {}).get("image/png", {})
        alt, width = escape(said.get("alt", _plain(data))), said.get("width", "")
        drawn = data["image/png"].strip()
        return f'<p class="shown"><img alt="{alt}" width="{width}" src="data:image/png;base64,{drawn}"></p>'
    if "image/svg+xml" in data:
        drawn = base64.b64encode(data["image/svg+xml"].encode()).decode()
        return f'<p class="shown"><img alt="{escape(_plain(data))}" src="data:image/svg+xml;base64,{drawn}"></p>'
    if "text/html" in data:
        return f'<div class="shown" tabindex="0" markdown="0">{" ".join(data["text/html"].split(chr(10)))}</div>'
    return _fenced("text", data.get("text/plain", ""), "printed")


def _plain(data: dict[str, str]) -> str:
    return " ".join(data.get("text/plain", "a picture").split())


def _fenced(language: str, text: str, kind: str = "") -> str:
    """A block, behind more backticks than it has itself."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip("\n")
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", text)), 3)
    return f"{fence}{{ .{language} .{kind} }}\n{text}\n{fence}" if kind else f"{fence}{language}\n{text}\n{fence}"
