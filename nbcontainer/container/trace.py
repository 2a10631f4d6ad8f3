"""Runs inside the lab: notes the steps that make a container, each with its own duration."""

from __future__ import annotations

import time

#: The steps of waiting for what the notebook's process makes meanwhile: `timeline.steps` puts that in its place.
GROUP = ("exec", "wait for the cgroup")
GO = ("exec", "wait for the link")
#: The notebook's process waiting for a set-up process that was not ready yet.
READY = ("exec", "wait for set-up")


class Recorder:
    """Notes the time after each step: one clock reading, so it is always on."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int]] = []
        self._last = time.monotonic_ns()

    def resume(self) -> None:
        """Count from now: what passed since the last step was waiting."""
        self._last = time.monotonic_ns()

    def step(self, kind: str, what: str = "") -> None:
        """The work since the last call was this."""
        now = time.monotonic_ns()
        self.notes.append((kind, what, now - self._last))
        self._last = now
