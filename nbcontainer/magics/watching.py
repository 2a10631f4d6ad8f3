"""A table that is shown again and again: on a terminal in the same place, in a notebook in the same output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from nbcontainer.errors import InvalidArgument
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Option
from nbcontainer.view import frontend
from nbcontainer.view.tables import Table
from nbcontainer.view.view import View

M = TypeVar("M")
T = TypeVar("T")

NO_STREAM = Option("no-stream", help="Disable streaming stats and only pull the first result")
FOR = Option("for", "", "string", "Seconds after which it ends by itself", metavar="seconds")
#: Seconds between two tables, and before the first: a share of a processor is between two samples.
INTERVAL, FIRST = 1.0, 0.25
#: Cursor home, clear what follows (ECMA-48 CUP and ED): what `docker stats` sends.
HOME = "\033[H\033[J"


def stream(call: Call, make: Callable[[], Table], live: Callable[[Table], View] | None = None) -> Table | View:
    """Show `make()`'s tables, each in the place of the one before, until Ctrl-C, or once with --no-stream.

    The last one. In a page, `live(table)` is shown instead, which goes on by itself.
    """
    if call.get("no_stream"):
        return again(call, make, call.show_table)
    if live is not None and call.get("for") is None and frontend.live():
        make()
        time.sleep(FIRST)
        return call.show(live(make()))
    place = Place()
    return shown(again(call, make, place.show))


def again(call: Call, make: Callable[[], M], show: Callable[[M], T]) -> T:
    """Make something and show it until Ctrl-C, or once with --no-stream; what `show` gave back last."""
    end = time.monotonic() + _seconds(call)
    make()
    time.sleep(FIRST)
    result = show(make())
    try:
        while not call.get("no_stream") and time.monotonic() < end:
            time.sleep(min(INTERVAL, max(0.0, end - time.monotonic())))
            result = show(make())
    except KeyboardInterrupt:
        pass
    return result


def _seconds(call: Call) -> float:
    text = call.get("for")
    try:
        return float("inf") if text is None else float(text)
    except ValueError:
        raise InvalidArgument(f'"{text}" is not a number of seconds') from None


class Place:
    """Where a table is shown, and others after it."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, table: Table) -> Table:
        """Show it in the place of the one before."""
        if self._handle is not None:
            self._handle.update(table)
        elif "IPython" in sys.modules and not sys.stdout.isatty():
            from IPython.display import display

            self._handle = display(table, display_id=True)  # type: ignore[no-untyped-call]
        else:
            print(f"{HOME if sys.stdout.isatty() else ''}{table}", flush=True)
        return table
