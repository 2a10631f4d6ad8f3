"""What a command gives: rows as `ip -json` has them, and the text that `ip` would print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """`kind` says what the rows are: link, address, route, rule, neighbour, netns, tuntap, fdb, vlan, port."""

    kind: str
    rows: tuple[dict[str, Any], ...]
    text: str

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def as_json(self) -> Answer:
        """The same with its rows as the text."""
        return Answer(self.kind, self.rows, json.dumps(self.rows))


def answer(kind: str, rows: list[dict[str, Any]], lines: list[str]) -> Answer:
    """The answer of these rows and lines."""
    return Answer(kind, tuple(rows), "\n".join(lines))
