"""A table as Docker prints it, and the same table as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nbcontainer.view import html, sorting

#: Docker's tabwriter: no column is narrower than this, and three blanks stand between two.
NARROWEST, PADDING = 10, 3


@dataclass(frozen=True)
class Column:
    """`key` is the cell's name in a row, `header` what stands above it. "code" is for ids and commands,
    "prose" for sentences, which may wrap."""

    key: str
    header: str
    kind: Literal["text", "code", "number", "state", "prose"] = "text"


@dataclass(frozen=True)
class Table:
    """Rows under headers. A row maps a column's key to what its cell says, and may have more keys."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.rows[index]

    def cells(self) -> list[list[str]]:
        """The text of every row's cells."""
        return [[_one_line(row.get(column.key, "")) for column in self.columns] for row in self.rows]

    def __str__(self) -> str:
        return align([[column.header for column in self.columns], *self.cells()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        if len(self.rows) > 1 and self.columns:
            return self._sortable()
        head = "".join(f'<th scope="col"{_class(column)}>{html.escape(column.header)}</th>' for column in self.columns)
        body = "".join(f"<tr>{self._row(cells)}</tr>" for cells in self.cells())
        if not body:
            body = f'<tr><td class="nbc-none" colspan="{len(self.columns)}">none</td></tr>'
        return html.framed(
            f'<table class="nbc-table"><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _sortable(self) -> str:
        """The same with buttons in the headers. Roles are said, since a grid in place of a table loses them."""
        cells = self.cells()
        by_column = [sorting.places(column) for column in zip(*cells, strict=True)]
        last = len(self.columns) - 1
        head = "".join(
            f'<th scope="col"{_class(column)}>{html.escape(column.header)}'
            f"{sorting.buttons(column.header, number == last)}</th>"
            for number, column in enumerate(self.columns)
        )
        body = "".join(
            f'<tr role="row"{sorting.row_style(places)}>{self._row(row)}</tr>'
            for row, places in zip(cells, zip(*by_column, strict=True), strict=True)
        )
        return html.framed(
            f'{sorting.rules(len(self.columns))}<form class="nbc-sorts" style="--n:{len(self.columns)}">'
            f'<table class="nbc-table" role="table"><caption>{html.escape(self.caption)}</caption>'
            f'<thead><tr role="row">{head}</tr></thead><tbody>{body}</tbody></table></form>'
        )

    def _row(self, cells: Sequence[str]) -> str:
        return "".join(
            f"<td{_class(column)}>{html.state(text) if column.kind == 'state' and text else html.escape(text)}</td>"
            for column, text in zip(self.columns, cells, strict=True)
        )


def _class(column: Column) -> str:
    return f' class="nbc-{column.kind}"' if column.kind in ("code", "number", "prose") else ""


def _one_line(value: object) -> str:
    return str(value).replace("\n", " ").replace("\t", " ")


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text as Docker's tabwriter sets them, without blanks at the end of a line."""
    widths = [max(NARROWEST, max(map(len, column)) + PADDING) for column in zip(*rows, strict=True)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
