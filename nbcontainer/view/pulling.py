"""A pull or a push as it goes: on a terminal a line a layer, which changes in its place; in a page the next line."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from nbcontainer.image.registry.progress import Event, Lines, human

_BAR = 30
#: Seconds between two changes of a line that a page shows.
_EVERY = 0.2


class Live:
    """Events drawn on `stream`, which is a terminal (ECMA-48: CUU, EL)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._layers: dict[str, Event] = {}

    def __call__(self, event: Event) -> None:
        """One more."""
        if not event.layer:
            self._layers.clear()  # what is drawn stays, and what follows comes below it
            self._stream.write(f"{event.status}\n")
        else:
            drawn = len(self._layers)
            self._layers[event.layer] = event
            columns = shutil.get_terminal_size().columns
            up = f"\x1b[{drawn}A" if drawn else ""
            self._stream.write(up + "".join(f"\x1b[K{line(one)[: columns - 1]}\n" for one in self._layers.values()))
        self._stream.flush()


class Ticking(Lines):
    """Lines that come out the same every time; until the next one is there, how far it is stands in its place.

    That is written over, and never longer than what takes its place: pages drop what was written over from what they
    save, so nothing of it stays.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0.0
        self._ticked = False
        super().__init__(self._line)

    def _line(self, text: str) -> None:
        self._stream.write(f"\r{text}\n" if self._ticked else f"{text}\n")
        self._ticked = False

    def __call__(self, event: Event) -> None:
        """One more."""
        super().__call__(event)
        head = next(iter(self.waiting.values()), None)
        if head is not None and time.monotonic() > self._drawn + _EVERY:
            self._drawn = time.monotonic()
            self._stream.write(f"\r{tick(head)}" if self._ticked else tick(head))
            self._stream.flush()
            self._ticked = True


def tick(event: Event) -> str:
    """`e2334dd9fee4: 34% of 2.4MB`, no longer than with "Pull complete"; for a push no longer than with "Pushed"."""
    if event.status == "Pushing":
        return f"{event.layer}: {_percent(event)}%".ljust(20)
    if event.total:
        text = f"{_percent(event)}% of {event.total / 1000 ** _unit(event.total):.3g}{'BkMGT'[_unit(event.total)]}B"
        return f"{event.layer}: {text.replace('BB', 'B')}".ljust(27)[:27]
    return f"{event.layer}: unpacking" if event.status == "Download complete" else f"{event.layer}:"


def _percent(event: Event) -> int:
    return 100 * event.current // max(event.total, 1)


def _unit(size: int) -> int:
    return min((len(str(size)) - 1) // 3, 4)


def line(event: Event) -> str:
    """`e2334dd9fee4: Downloading [=====>     ]  1.2MB/2.4MB`."""
    if not event.total:
        return str(event)
    part = min(event.current / event.total, 1)
    bar = ("=" * int(part * _BAR) + ">")[:_BAR].ljust(_BAR)
    return f"{event} [{bar}]  {human(event.current)}/{human(event.total)}"
