"""The widget of a view: it hands on what the view emits to the pages that look, and what they say to the view.

A page says `open` when it shows the view, `ack` for every message it has drawn, and `close` when it shows it no more.
The view is asked to emit while somebody looks, and no longer: a page that is closed, or gone without a word, leaves
nothing behind that runs. Model ids come from a counter, so they repeat from one Restart-and-Run-All to the next.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]
import traitlets

from nbcontainer.lab import loop
from nbcontainer.view.view import Live
from nbcontainer.view.widgets.bundle import Bundle, bundle, script

#: Messages under way to the pages before more are kept back.
WINDOW = 32
#: Messages kept back before they are dropped for a new snapshot.
QUEUE = 256
#: Seconds in which a page does not answer, after which it is taken for gone.
PATIENCE = 60.0

_numbers = itertools.count(1)


def _next_id() -> str:
    return hashlib.sha256(f"nbcontainer/view/{next(_numbers)}".encode()).hexdigest()[:32]


class LiveView(anywidget.AnyWidget):
    """The kernel's end of one view, in however many pages it is shown."""

    _esm = script("widget")
    bundle = traitlets.Instance(Bundle).tag(sync=True, **ipywidgets.widget_serialization)
    snapshot = traitlets.Dict().tag(sync=True)
    #: Its own model id, by which the script finds the model that anywidget hides from it.
    address = traitlets.Unicode().tag(sync=True)

    def __init__(self, view: Live) -> None:
        self.view = view
        self._loop = loop.shared()
        #: The pages that look, and when each was heard of last (the loop's clock).
        self._looking: dict[str, float] = {}
        self._sent_at = 0.0
        self._end: Callable[[], None] | None = None
        self._under_way = 0
        self._kept: deque[tuple[Mapping[str, Any], Sequence[bytes]]] = deque()
        self._stale = False
        self._timer: asyncio.TimerHandle | None = None
        number = _next_id()
        super().__init__(bundle=bundle(view.bundle), snapshot=view.snapshot(), address=number, model_id=number)
        self.on_msg(self._said)

    @property
    def looking(self) -> int:
        """How many pages show it now."""
        return len(self._looking)

    def _said(self, _: object, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        # On whatever thread the kernel reads messages; everything else is on the loop's.
        self._loop.soon(self._receive, message, [bytes(data) for data in buffers])

    def _receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        kind, page = message.get("kind"), str(message.get("page", ""))
        if kind == "close":
            self._close_page(page)
            return
        new = page not in self._looking
        self._looking[page] = self._loop.asyncio.time()
        if new:
            self._open(page)
        if kind == "ack":
            self._under_way = max(0, self._under_way - int(message.get("count", 1)))
            self._flush()
        elif kind != "open":
            self.view.receive(message, buffers)

    def _open(self, page: str) -> None:
        self._put({"kind": "snapshot", "page": page, "data": self.view.snapshot()}, ())
        if self._end is None:
            self._under_way = 1
            self._end = self.view.begin(self._emit)
            self._timer = self._loop.asyncio.call_later(PATIENCE, self._look_round)
        else:
            self.view.receive({"kind": "again"}, ())

    def _close_page(self, page: str) -> None:
        self._looking.pop(page, None)
        if not self._looking:
            self._nobody_looks()

    def _nobody_looks(self) -> None:
        self._looking.clear()
        self._kept.clear()
        self._under_way = 0
        self._stale = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end is not None:
            end, self._end = self._end, None
            end()

    def _look_round(self) -> None:
        """Pages owe an answer to what they are sent: those that gave none for long are gone."""
        now = self._loop.asyncio.time()
        for page, heard in list(self._looking.items()):
            if heard < self._sent_at and now - heard > PATIENCE:
                del self._looking[page]
        if self._looking:
            self._timer = self._loop.asyncio.call_later(PATIENCE, self._look_round)
        else:
            self._nobody_looks()

    def _emit(self, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if self._under_way < WINDOW and not self._kept:
            self._put(message, buffers)
        elif len(self._kept) < QUEUE:
            self._kept.append((message, buffers))
        else:
            self._stale = True
            self._kept.clear()

    def _flush(self) -> None:
        if self._stale and self._under_way < WINDOW:
            self._stale = False
            self._kept.clear()
            self._put({"kind": "snapshot", "page": "", "data": self.view.snapshot()}, ())
        while self._kept and self._under_way < WINDOW:
            self._put(*self._kept.popleft())

    def _put(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        self._under_way += 1
        self._sent_at = self._loop.asyncio.time()
        self.send(message, list(buffers) or None)


def of(view: Live) -> LiveView:
    """The widget of `view`: one, however often it is displayed."""
    known: LiveView | None = view.__dict__.get("_widget")
    if known is None:
        known = view.__dict__["_widget"] = LiveView(view)
    return known


def refresh(view: Live) -> None:
    """Give the pages a view as it is now, though nobody has asked: the kernel hears no page while a cell computes.

    What the model itself holds is also what a page begins with that comes later.
    """
    known: LiveView | None = view.__dict__.get("_widget")
    if known is not None:
        known.snapshot = view.snapshot()


def box(views: Sequence[Live]) -> Any:
    """The widgets of several views, one below the other."""
    return ipywidgets.VBox([of(view) for view in views], model_id=_next_id())
