"""The steps that made a container, as its user sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of set-up: what kind it is, what it was about, and how long it took, in microseconds."""

    kind: str
    what: str
    microseconds: float


def steps(notes: list[tuple[str, str, int]]) -> tuple[Step, ...]:
    """What a `trace.Recorder` noted, as steps."""
    return tuple(Step(kind, what, nanoseconds / 1000) for kind, what, nanoseconds in notes)
