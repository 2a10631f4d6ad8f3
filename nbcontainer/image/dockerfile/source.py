"""The text of a Dockerfile, and errors that point into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nbcontainer.errors import DockerfileError

#: Lines shown before and after the ones that an error is about, as BuildKit does.
AROUND = 2
_RULE = "-" * 20


@dataclass(frozen=True)
class Source:
    """A Dockerfile: what it is called in messages, and its text."""

    name: str
    text: str

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines without their ends; a byte order mark is left out."""
        return tuple(line.removesuffix("\r") for line in self.text.removeprefix("\ufeff").split("\n"))

    def excerpt(self, start: int, end: int) -> str:
        """The lines `start` to `end`, counted from 1, marked, with those around them."""
        last = len(self.lines) - (1 if self.lines[-1] == "" else 0)
        shown = range(max(start - AROUND, 1), min(max(end, start) + AROUND, last) + 1)
        rows = [f"{n:4d} | {'>>>' if start <= n <= end else '   '} {self.lines[n - 1]}".rstrip() for n in shown]
        return "\n".join([f"{self.name}:{start}", _RULE, *rows, _RULE])

    def error(self, message: str, start: int, end: int | None = None, exit_code: int = 1) -> DockerfileError:
        """An error about the lines `start` to `end`: its message names the place in one line."""
        end = start if end is None else end
        return DockerfileError(f"{self.name}:{start}: {message}", self.excerpt(start, end), exit_code)
