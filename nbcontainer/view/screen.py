"""What a terminal's screen says after some output: lines of text, or HTML with the colours (pyte)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pyte

from nbcontainer.view.html import escape

#: Lines that have scrolled away and are still shown.
HISTORY = 1000
_NAMED = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")


class Screen:
    """The screen and what scrolled off it."""

    def __init__(self, screen: Any) -> None:
        self._screen = screen
        self._rows: list[Mapping[int, Any]] = [*screen.history.top, *(screen.buffer[y] for y in range(screen.lines))]

    @classmethod
    def of(cls, output: bytes, rows: int, columns: int) -> Screen:
        """The screen of `rows` by `columns` characters after `output`."""
        screen = pyte.HistoryScreen(columns, rows, history=HISTORY, ratio=0.5)
        pyte.ByteStream(screen).feed(output)
        return cls(screen)

    def _cells(self, row: Mapping[int, Any]) -> list[Any]:
        cells = [row[x] for x in range(self._screen.columns)]
        while cells and cells[-1].data in ("", " ") and cells[-1].bg == "default" and not cells[-1].reverse:
            cells.pop()
        return cells

    def _filled(self) -> list[list[Any]]:
        rows = [self._cells(row) for row in self._rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def lines(self) -> list[str]:
        """Its lines without the blanks at their ends, and without the empty ones at the end."""
        return ["".join(cell.data for cell in cells).rstrip() for cells in self._filled()]

    def html(self) -> str:
        """The same in spans of one look each."""
        return "\n".join(self._row_html(cells) for cells in self._filled())

    def _row_html(self, cells: list[Any]) -> str:
        made = []
        for style, run in groupby(cells, key=_style):
            text = escape("".join(cell.data for cell in run))
            made.append(f'<span style="{style}">{text}</span>' if style else text)
        return "".join(made)


def _style(cell: Any) -> str:
    fg, bg = (cell.bg, cell.fg) if cell.reverse else (cell.fg, cell.bg)
    said = []
    if fg != "default" or cell.reverse:
        said.append(f"color:{_colour(fg, 'var(--nbc-screen)')}")
    if bg != "default" or cell.reverse:
        said.append(f"background:{_colour(bg, 'currentColor') if not cell.reverse or bg != 'default' else '#888'}")
    if cell.bold:
        said.append("font-weight:bold")
    if cell.italics:
        said.append("font-style:italic")
    if cell.underscore:
        said.append("text-decoration:underline")
    return ";".join(said)


#: Readable on white and on black alike.
_PALETTE = {
    "black": "#555", "red": "#d64545", "green": "#2a9a5b", "brown": "#b7791f", "blue": "#3f7fd6",
    "magenta": "#a55bc4", "cyan": "#1f93a8", "white": "#999",
}  # fmt: skip


def _colour(name: str, otherwise: str) -> str:
    if name == "default":
        return otherwise
    plain = name.removeprefix("bright")
    return _PALETTE.get(plain, f"#{name}")
