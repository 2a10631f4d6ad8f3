"""A stack of layers as one looks at it: the topmost first, and whose a path is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbcontainer.view import html, words
from nbcontainer.view.rows import CREATED_BY_WIDTH, ellipsis
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.image.stack import Stack

COLUMNS = (
    Column("Name", "LAYER", "code"),
    Column("CreatedBy", "CREATED BY", "code"),
    Column("Files", "FILES", "number"),
    Column("Size", "SIZE", "number"),
)
#: What a layer has to do with a path, in words and as a mark before them.
MARKS = {"seen": "●", "merged": "◐", "hidden": "○", "removed": "✕"}


def rows(stack: Stack, path: str = "", trunc: bool = True) -> list[dict[str, Any]]:
    """A row for each layer, topmost first."""
    said = stack.where(path) if path else [""] * len(stack)
    total = sum(layer.size for layer in stack) or 1
    made = [
        {
            "Name": layer.name if trunc else layer.diff_id or layer.name,
            "Digest": layer.diff_id,
            "CreatedBy": ellipsis(layer.created_by, CREATED_BY_WIDTH) if trunc else layer.created_by,
            "Files": "" if layer.files is None else str(layer.files),
            "Size": "" if layer.kind == "host" else words.size(layer.size),
            "Path": f"{MARKS[word]} {word}" if word else "",
            "Kind": layer.kind,
            "Share": round(100 * layer.size / total),
        }
        for layer, word in zip(stack, said, strict=True)
    ]
    return made[::-1]


class Layers(Table):
    """The same as a table; on a page, as slabs that lie on each other, with the writable one on top."""

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col"{_class(column)}>{html.escape(column.header)}</th>' for column in self.columns)
        body = "".join(f"<tr{_kind(row)}>{self._slab(row)}</tr>" for row in self.rows)
        return html.framed(
            f'<table class="nbc-table nbc-stack"><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _slab(self, row: Any) -> str:
        cells = []
        for column in self.columns:
            text = html.escape(str(row[column.key]))
            if column.key == "Size" and text:
                text += f'<span class="nbc-share" aria-hidden="true" style="width: {row["Share"]}%"></span>'
            cells.append(f"<td{_class(column)}>{text}</td>")
        return "".join(cells)


def _class(column: Column) -> str:
    return f' class="nbc-{column.kind}"' if column.kind != "text" else ""


def _kind(row: Any) -> str:
    names = [f"nbc-{row['Kind']}"] if row["Kind"] != "image" else []
    names += ["nbc-seen"] if row["Path"].endswith("seen") else []
    return f' class="{" ".join(names)}"' if names else ""


def table(stack: Stack, path: str = "", trunc: bool = True) -> Layers:
    """The table of a stack; with `path`, what each layer has to do with it."""
    columns = (*COLUMNS, Column("Path", path)) if path else COLUMNS
    return Layers(f"Layers of {stack.title}", columns, tuple(rows(stack, path, trunc)))


def stack_html(stack: Stack) -> str:
    """A stack as a cell's last value."""
    return table(stack)._repr_html_()


def stack_text(stack: Stack) -> str:
    """The same on a terminal."""
    return str(table(stack))
