"""A build: a row a step, with what it prints."""

from __future__ import annotations

from typing import Any

from nbcontainer.build.events import BuildEvent
from nbcontainer.build.progress import PlainProgress
from nbcontainer.view.progress.progress import Progress, Row


class Building(Progress[BuildEvent]):
    """The steps of a build. Its text is that of `PlainProgress`."""

    def __init__(self, name: str = "") -> None:
        super().__init__("Build", name)
        self._printed = PlainProgress(self.write)
        self._steps: dict[int, Row] = {}

    def take(self, event: BuildEvent) -> None:
        """Something happened to a step."""
        self._printed(event)
        step = event.step
        if step is None:
            self.entries.append(f"WARNING: {event.text}")
            return
        row = self._steps.get(step.number)
        if row is None:
            row = self._steps[step.number] = Row(f"#{step.number}", step.title, mood="running")
            self.entries.append(row)
        if event.action == "output":
            row.print(event.text.rstrip())
        elif event.action == "done":
            row.state, row.mood = "DONE", "done"
        elif event.action == "cached":
            row.state, row.mood = "CACHED", "known"
        elif event.action == "failed":
            row.state, row.mood = "ERROR", "failed"
            row.print(event.text)

    def summary(self) -> str:
        """`4 steps, 2 cached`: how many there will be is known only once they have been."""
        steps = self.rows
        cached = sum(row.mood == "known" for row in steps)
        if not steps:
            return ""
        return f"{len(steps)} step{'s' * (len(steps) > 1)}" + (f", {cached} cached" if cached else "")

    def shown(self, row: Row) -> dict[str, Any]:
        """With what it has printed."""
        return {
            "label": row.label,
            "title": row.title,
            "state": row.state,
            "mood": row.mood,
            "log": list(row.log),
            "cut": row.logged - len(row.log),
        }
