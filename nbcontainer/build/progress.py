"""A build's events as text, in the manner of `docker build --progress=plain`, without times, so that it repeats."""

from __future__ import annotations

from collections.abc import Callable

from nbcontainer.build.events import BuildEvent


class PlainProgress:
    """Call it with each event; `write` is given whole lines."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._begun = False

    def __call__(self, event: BuildEvent) -> None:
        if event.step is None:
            if event.action == "warning":
                self._write(f"WARNING: {event.text}")
            return
        mark = f"#{event.step.number}"
        if event.action == "start":
            if self._begun:
                self._write("")
            self._begun = True
            self._write(f"{mark} {event.step.title}")
        elif event.action == "output":
            self._write(f"{mark} {event.text}".rstrip())
        elif event.action == "failed":
            self._write(f"{mark} ERROR: {event.text}")
        else:
            self._write(f"{mark} {event.action.upper()}")
