"""The steps that made a container, each with its own duration. Used inside the lab and outside."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of set-up: what kind it is, what it was about, and how long it took, in microseconds."""

    kind: str
    what: str
    microseconds: float


class Recorder:
    """Notes the time after each step: one clock reading, so it is always on."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int]] = []
        self._last = time.monotonic_ns()

    def step(self, kind: str, what: str = "") -> None:
        """The work since the last call was this."""
        now = time.monotonic_ns()
        self.notes.append((kind, what, now - self._last))
        self._last = now


def steps(notes: list[tuple[str, str, int]]) -> tuple[Step, ...]:
    """What a `Recorder` noted, as steps."""
    return tuple(Step(kind, what, nanoseconds / 1000) for kind, what, nanoseconds in notes)
