"""Sorting a table in a page, without a script: a radio button a column and direction, and an `order` for each row.

Each row says, for each column, which place it has when sorted by it (`--s0`, `--s1`, …). When a button is checked the
table becomes a grid (CSS Grid, `order`; Selectors 4, `:has`), whose cells stand in that order. Where a page drops
styles or form controls the table stays as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

_TIMES = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000,
}  # fmt: skip
_DURATION = re.compile(r"(?:.*?\s)??(less than an?|about an?|\d+) (" + "|".join(_TIMES) + r")s?\b", re.IGNORECASE)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*([kKMGTP]i?|m|µ|n)?(?:B|s|%)?(?![\w.])")
_UNITS = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30,
    "Ti": 2.0**40, "Pi": 2.0**50, "m": 1e-3, "µ": 1e-6, "n": 1e-9,
}  # fmt: skip

Key = tuple[int, float, list[tuple[int, int, str]]]


def key(text: str) -> Key:
    """What a cell is compared by: a duration in words, a number with its unit, or letters, where numbers count."""
    duration = _DURATION.match(text)
    if duration:
        words = duration[1].lower()
        count = 0.5 if words.startswith("less") else 1.0 if words.startswith("about") else float(words)
        return (0, count * _TIMES[duration[2].lower()], [])
    number = _NUMBER.match(text)
    if number:
        return (0, float(number[1]) * _UNITS[number[2] or ""], _natural(text))
    return (1, 0.0, _natural(text))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """`eth10` after `eth9`."""
    parts = re.findall(r"\d+|\D+", text.casefold())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts]


def places(column: Sequence[str]) -> list[int]:
    """The place of each cell when its column is sorted; equal cells have the same one."""
    keys = [key(text) for text in column]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    found = [0] * len(keys)
    for place, (before, index) in enumerate(zip([None, *order], order, strict=False)):
        same = before is not None and keys[before] == keys[index]
        found[index] = found[before] if same and before is not None else place
    return found


def row_style(row: Sequence[int]) -> str:
    """The attribute that a row carries: its place by each column."""
    return ' style="' + ";".join(f"--s{column}:{place}" for column, place in enumerate(row)) + '"'


def buttons(header: str, last: bool) -> str:
    """What stands behind a header: up, down, and behind the last one the way back."""
    name = escape(header)
    made = "".join(
        f'<input type="radio" name="nbc-sort" aria-label="Sort by {name}, {way}" title="Sort by {name}, {way}"/>'
        for way in ("ascending", "descending")
    )
    back = '<button type="reset" aria-label="As listed" title="As listed"></button>' if last else ""
    return f'<span class="nbc-sort">{made}</span>{back}'


def rules(columns: int) -> str:
    """The style that a table of so many columns needs besides."""
    made = []
    for column in range(columns):
        for number, sign in ((1, ""), (2, "-1*")):
            chosen = f".nbc-sorts:has(th:nth-child({column + 1}) input:nth-of-type({number}):checked) td"
            made.append(f"{chosen}{{order:calc({sign}var(--s{column}))}}")
    return "<style>" + "".join(made) + "</style>"
