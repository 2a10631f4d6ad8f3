"""The steps that made a container, as its user sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbcontainer.container.trace import GO, GROUP

#: A step as `trace.Recorder` notes it: kind, what, nanoseconds.
Note = tuple[str, str, int]


@dataclass(frozen=True)
class Step:
    """One step of set-up: what kind it is, what it was about, and how long it took, in microseconds."""

    kind: str
    what: str
    microseconds: float


def steps(inside: Iterable[Note], meanwhile: Iterable[Note]) -> tuple[Step, ...]:
    """What the set-up process noted, and in the places where it waited for it what the notebook's process did."""
    groups: list[Note] = []
    links: list[Note] = []
    for note in meanwhile:
        (groups if note[0] == "cgroup" else links).append(note)
    instead = {GROUP: groups, GO: links}
    found: list[Note] = []
    for note in inside:
        found += instead.get((note[0], note[1]), [note])
    return tuple(Step(kind, what, nanoseconds / 1000) for kind, what, nanoseconds in found)
