"""A pull, a push or a load: a row a layer."""

from __future__ import annotations

from typing import Any, Literal

from nbcontainer.image.registry.progress import FINAL, MOUNTED, Event, Lines, human
from nbcontainer.view.progress.progress import Mood, Progress, Row, State

#: Docker's words for a layer that was there before.
KNOWN = frozenset({"Already exists", "Layer already exists"})
#: And for one that waits for its turn.
WAITING = frozenset({"Pulling fs layer", "Preparing", "Waiting"})
#: Lines that come after the layers: the digest and the status of a pull; the digest of a push; the name of a load.
AFTER = {"Pull": 2, "Push": 1, "Load": 1}


class Transfer(Progress[Event]):
    """The layers of an image on their way. Its text is that of `Lines`; of a load, the images' names."""

    def __init__(self, verb: Literal["Pull", "Push", "Load"], name: str = "") -> None:
        super().__init__(verb, name)
        self._printed = Lines(self.write)
        self._here: dict[str, Row] = {}
        self._whole = True
        self._said_after = 0
        # A pull that was asked for says the whole name last.
        self._after = AFTER[verb] + (verb == "Pull" and bool(name))

    def take(self, event: Event) -> None:
        """A layer, or the whole."""
        if event.layer:
            self._layer(event)
        elif event.status:
            self._line(event.status)
        if self.verb != "Load" or not event.layer:
            self._printed(event)

    def _line(self, text: str) -> None:
        tag, pulling, path = text.partition(": Pulling from ")
        if pulling or text.startswith("The push refers to "):
            # One more image of several: its layers are rows of their own.
            self._here, self._whole, self._said_after = {}, False, 0
            if pulling and not self.name:
                self.name = f"{path}{'@' if tag.startswith('sha256:') else ':'}{tag}"
        elif text.startswith("Status: ") or ": digest: " in text:
            self._whole = True
        self._said_after += bool(self._here)
        self.entries.append(text)

    def _layer(self, event: Event) -> None:
        row = self._here.get(event.layer)
        if row is None:
            row = self._here[event.layer] = Row(event.layer)
            # Below the layers before it, wherever those stand.
            self.entries.append(row)
        row.state, row.mood = event.status, _mood(event.status)
        if event.total:
            row.current, row.total = event.current, event.total
        elif row.over or event.status in ("Download complete", "Extracting"):
            row.current = row.total

    def end(self, state: State) -> None:
        """What came whole is done, whatever went wrong later."""
        super().end("done" if self._whole and self.rows and state == "failed" else state)

    def to_come(self) -> int:
        """Lines below the layers."""
        return max(0, self._after - self._said_after)

    def summary(self) -> str:
        """`2 of 5 layers, 3.1MB of 9.8MB`."""
        rows = self.rows
        if not rows:
            return ""
        said = f"{sum(row.over and row.mood != 'stopped' for row in rows)} of {len(rows)} layers"
        total = sum(row.total for row in rows)
        if len(rows) == 1:
            said = said.removesuffix("s")
        return f"{said}, {human(sum(row.current for row in rows))} of {human(total)}" if total else said

    def part(self) -> float | None:
        """Each layer counts the same: how large those are that have not begun, nobody has said."""
        rows = self.rows
        if not rows:
            return 0.0
        whole = sum(1.0 if row.mood in ("done", "known") else _part(row) * 0.98 for row in rows)
        return whole / len(rows)

    def shown(self, row: Row) -> dict[str, Any]:
        """With its bytes."""
        detail = ""
        if row.total:
            detail = human(row.total) if row.current >= row.total else f"{human(row.current)} of {human(row.total)}"
        return {
            "label": row.label,
            "state": row.state,
            "mood": row.mood,
            "part": 1.0 if row.mood in ("done", "known") else _part(row),
            "detail": detail,
        }


def _mood(status: str) -> Mood:
    if status in KNOWN:
        return "known"
    if status in FINAL or status.startswith(MOUNTED):
        return "done"
    return "waiting" if status in WAITING else "running"


def _part(row: Row) -> float:
    return min(row.current / row.total, 1.0) if row.total else 0.0
