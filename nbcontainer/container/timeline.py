"""The steps that made a container, as its user sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbcontainer.container.trace import GO

#: A step as `trace.Recorder` notes it: kind, what, nanoseconds.
Note = tuple[str, str, int]


@dataclass(frozen=True)
class Step:
    """One step of set-up: what kind it is, what it was about, and how long it took, in microseconds."""

    kind: str
    what: str
    microseconds: float


def steps(inside: Iterable[Note], meanwhile: Iterable[Note]) -> tuple[Step, ...]:
    """What the set-up process noted, and in the place where it waited for it what the notebook's process did."""
    found: list[Note] = []
    for note in inside:
        found += meanwhile if (note[0], note[1]) == GO else [note]
    return tuple(Step(kind, what, nanoseconds / 1000) for kind, what, nanoseconds in found)
