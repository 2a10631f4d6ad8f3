"""What the notebook's process, init and a set-up process say to each other while a container starts: listened to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nbcontainer import Lab
from nbcontainer.container import spare
from nbcontainer.harness.fixtures import have
from nbcontainer.network.capture.talk import Arrow, Talk

NOTEBOOK, INIT, SET_UP = "notebook", "init", "set-up"


def heard() -> Talk:
    """The messages of a container that is the first of its lab, so that no spare waits for it, from request to exit."""
    arrows: list[Arrow] = []
    #: The end comes to another thread, which may hear of it first.
    ends: list[Arrow] = []

    class Listening(spare.SetUp):
        """A set-up process whose messages are written down; those of the next one's are not."""

        def __init__(self, *args: Any) -> None:
            self._first = not arrows
            self._note(NOTEBOOK, INIT, "request", "container.setup:main")
            super().__init__(*args)
            self._note(INIT, NOTEBOOK, "answer", f"pid {self.process.pid}, a pidfd")
            if self._first:
                self.process.on_exit(lambda code: ends.append(Arrow(INIT, NOTEBOOK, "exit", f"status {code}")))

        def say(self, message: dict[str, Any], fds: Sequence[int]) -> None:
            super().say(message, fds)
            self._note(NOTEBOOK, SET_UP, *_words(message, len(fds)))

        def receive(self) -> tuple[bytes, list[int], int]:
            message, fds, pid = super().receive()
            if message:
                self._note(SET_UP, NOTEBOOK, *_words(json.loads(message), len(fds)))
            else:
                self._note(SET_UP, NOTEBOOK, "end", "the program runs")
            return message, fds, pid

        def _note(self, source: str, target: str, kind: str, said: str) -> None:
            if self._first:
                arrows.append(Arrow(source, target, kind, said))

    plain, spare.SetUp = spare.SetUp, Listening  # type: ignore[misc]
    try:
        with Lab() as lab:
            have(lab, "busybox")
            lab.containers.run("busybox", ["true"])
    finally:
        spare.SetUp = plain  # type: ignore[misc]
    return Talk((NOTEBOOK, INIT, SET_UP), (*arrows, *ends), {})


def _words(message: dict[str, Any], descriptors: int) -> tuple[str, str]:
    """What a message is called, by its first key, and what it brings."""
    kind = next(iter(message))
    return kind, f"{descriptors} descriptor{'s' * (descriptors > 1)}" if descriptors else ""
