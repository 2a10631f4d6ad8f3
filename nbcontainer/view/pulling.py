"""A pull or a push as it goes on a terminal: a line a layer, which changes in its place."""

from __future__ import annotations

import shutil
from typing import TextIO

from nbcontainer.image.registry.progress import Event, human

_BAR = 30


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


def line(event: Event) -> str:
    """`e2334dd9fee4: Downloading [=====>     ]  1.2MB/2.4MB`."""
    if not event.total:
        return str(event)
    part = min(event.current / event.total, 1)
    bar = ("=" * int(part * _BAR) + ">")[:_BAR].ljust(_BAR)
    return f"{event} [{bar}]  {human(event.current)}/{human(event.total)}"
