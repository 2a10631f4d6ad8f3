"""The model of all progress: lines and rows in the order in which they began, and how the whole stands.

A page is given all of it, at most ten times a second, without having asked: while the cell that works is computing, the
kernel hears nobody. So nothing here is kept for who looks, and the last state is what a page that comes later gets.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

from nbcontainer.lab import loop
from nbcontainer.view.view import Emit, View

E = TypeVar("E", contravariant=True)
#: How the whole stands; what a row's mark says.
State = Literal["running", "done", "failed", "interrupted"]
Mood = Literal["waiting", "running", "done", "known", "failed", "stopped"]
#: Seconds between two states that pages are given.
EVERY = 0.1
#: Lines of a row's output that a page and a saved notebook show; the text has all.
LOG = 500


@dataclass
class Row:
    """A layer or a step: what it is called, what it does, its state in Docker's words, and how far it is.

    `current` of `total` are bytes; `log` is what it prints.
    """

    label: str
    title: str = ""
    state: str = ""
    mood: Mood = "waiting"
    current: int = 0
    total: int = 0
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG))
    logged: int = 0

    def print(self, line: str) -> None:
        """A line of its output."""
        self.log.append(line)
        self.logged += 1

    @property
    def over(self) -> bool:
        """Whether nothing more will be heard of it."""
        return self.mood in ("done", "known", "failed", "stopped")


class Progress(View, Generic[E]):
    """Call it with each event; `end` says how it ended. A subclass makes lines and rows of events, in `take`."""

    bundle: ClassVar[str] = "progress"

    def __init__(self, verb: str, name: str = "") -> None:
        self.verb = verb
        self.name = name
        self.state: State = "running"
        #: Lines and rows, in the order in which they began.
        self.entries: list[str | Row] = []
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._loop = loop.shared()
        self._timer: asyncio.TimerHandle | None = None
        self._pending = False

    # -- what happens

    def take(self, event: E) -> None:
        """One event, into lines and rows; the lock is held."""
        raise NotImplementedError

    def __call__(self, event: E) -> None:
        """One more event, on whatever thread."""
        with self._lock:
            self.take(event)
            if self._pending:
                return
            self._pending = True
        self._loop.soon(self._wait)

    def end(self, state: State) -> None:
        """It is over; what was under way has stopped."""
        with self._lock:
            self.state = state
            for row in self.rows:
                if not row.over:
                    row.mood = "stopped"
        self._loop.do(self._refresh)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self._loop.asyncio.call_later(EVERY, self._refresh)

    def _refresh(self) -> None:
        with self._lock:
            self._pending = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if "_widget" in self.__dict__:
            from nbcontainer.view.widgets import widget

            widget.refresh(self)

    # -- what is said of it

    @property
    def rows(self) -> list[Row]:
        """Its rows."""
        return [entry for entry in self.entries if isinstance(entry, Row)]

    def to_come(self) -> int:
        """How many lines will still be said below the rows: a page leaves room for them."""
        return 0

    def summary(self) -> str:
        """How far the whole is, in words."""
        return ""

    def part(self) -> float | None:
        """The same as a number from 0 to 1; None where nobody knows how much there is."""
        return None

    def write(self, line: str) -> None:
        """A line of the text."""
        self._lines.append(line)

    def text(self) -> str:
        """What is printed where no page shows it."""
        return "\n".join(self._lines)

    def html(self) -> str:
        """The rows, with the output of steps folded."""
        from nbcontainer.view.progress.page import progress_html

        return progress_html(self.snapshot())

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON."""
        with self._lock:
            return {
                "verb": self.verb,
                "name": self.name,
                "state": self.state,
                "summary": self.summary(),
                "part": 1.0 if self.state == "done" else self.part(),
                "room": self.to_come() if self.state == "running" else 0,
                "entries": [{"line": one} if isinstance(one, str) else self.shown(one) for one in self.entries],
            }

    def shown(self, row: Row) -> dict[str, Any]:
        """A row as JSON."""
        raise NotImplementedError

    # -- a page looks: it has been given everything already

    def begin(self, emit: Emit) -> Callable[[], None]:
        """Nothing: see `widgets.widget.refresh`."""
        return lambda: None

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """Nothing is asked."""
