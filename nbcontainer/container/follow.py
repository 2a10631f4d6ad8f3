"""What a container printed and, on request, what it goes on to print: `docker logs`, without a gap between the two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbcontainer.container.logs import Record, lines
from nbcontainer.container.look import Wanted, log_lines, stamp
from nbcontainer.container.stdio import Watcher

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def output(container: Container, wanted: Wanted, *, follow: bool = False) -> Iterator[tuple[int, bytes]]:
    """`(stream, bytes)` of the lines that are wanted, then with `follow` of what comes until the end."""
    stdio = container.stdio

    def past() -> list[tuple[int, str]]:
        return log_lines(container, wanted)

    if not follow or stdio is None or not container.state.running:
        yield from ((stream, text.encode()) for stream, text in past())
        return
    # Both on the loop's thread, which is what logs and hands on: nothing comes in between, nothing comes twice.
    known, watcher = container.lab.loop.do(lambda: (past(), stdio.watch()))
    try:
        yield from ((stream, text.encode()) for stream, text in known)
        for record in lines(_records(watcher)) if wanted.timestamps else _records(watcher):
            if wanted.until is not None and record.time > wanted.until:
                return
            yield record.stream, (stamp(record).encode() if wanted.timestamps else b"") + record.data
    finally:
        stdio.unwatch(watcher)


def _records(watcher: Watcher) -> Iterator[Record]:
    while (piece := watcher.get()) is not None:
        yield Record(piece[0], time.time_ns(), piece[1])
