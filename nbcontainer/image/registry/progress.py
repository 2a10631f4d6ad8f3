"""What a pull, a push or a load says meanwhile: events, as Docker's API streams them, and the lines made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Docker's words for a layer that nothing more will be heard of.
FINAL = frozenset({"Pull complete", "Already exists", "Pushed", "Layer already exists", "Load complete"})
#: How those begin that a registry has taken over from another repository of its own; the repository's name follows.
MOUNTED = "Mounted from "


@dataclass(frozen=True)
class Event:
    """A step. Without `layer` it is about the whole; `layer` is the first 12 digits of its digest.

    `current` and `total` are bytes, of a "Downloading", a "Pushing" or a "Loading layer"; 0 when not known.
    """

    status: str
    layer: str = ""
    current: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.layer}: {self.status}" if self.layer else self.status


Progress = Callable[[Event], object]


def nobody(event: Event) -> None:
    """Whom events are told when nobody listens."""


class Lines:
    """Events as lines that come out the same every time: for each layer the last one, in the layers' order."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        #: The last event of each layer that no line has been said of, in the layers' order.
        self.waiting: dict[str, Event] = {}

    def __call__(self, event: Event) -> None:
        """One more."""
        if event.layer:
            self.waiting[event.layer] = event
            self._flush()
        elif event.status:
            self._flush()
            self._say(event.status)

    def _flush(self) -> None:
        for layer, event in list(self.waiting.items()):
            if event.status not in FINAL and not event.status.startswith(MOUNTED):
                return
            self._say(str(event))
            del self.waiting[layer]


def human(count: int) -> str:
    """Bytes as Docker's progress has them: `3.25MB`."""
    value, unit = float(count), 0
    while value >= 1000 and unit < 4:
        value, unit = value / 1000, unit + 1
    return f"{value:.4g}{('B', 'kB', 'MB', 'GB', 'TB')[unit]}"
