"""Views that are a page's own elements: tables, cards with buttons, whatever HTML says. Made anew when something
happens, or once a second while somebody looks where the kernel tells nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.errors import NbcontainerError
from nbcontainer.view.view import Emit, View

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

#: Seconds that events are gathered; seconds between two looks at what has no events.
GATHER, EVERY = 0.05, 1.0


class PageView(View):
    """HTML that follows the lab. A subclass says what, in `html` and `text`, and in `act` what its buttons do.

    With `polls`, it is made anew every second while somebody looks.
    """

    bundle: ClassVar[str] = "page"
    polls: ClassVar[bool] = False

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._emit: Emit | None = None
        self._said = ""
        self._timer: asyncio.TimerHandle | None = None

    def html(self) -> str:
        """What is saved."""
        raise NotImplementedError

    def live_html(self) -> str:
        """What a page shows: the same, perhaps with buttons (`data-act` is what `act` is given)."""
        return self.html()

    def act(self, what: str) -> str:
        """A button was pressed (on a thread of its own); what to say about it. Raises `NbcontainerError`."""
        return ""

    def snapshot(self) -> dict[str, Any]:
        """The HTML."""
        return {"html": self.live_html()}

    def begin(self, emit: Emit) -> Callable[[], None]:
        """New HTML when there is some."""
        self._emit = emit
        end = self.lab.containers.watch(lambda event: self.lab.loop.soon(self._changed))
        self._changed()

        def stop() -> None:
            self._emit = None
            end()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return stop

    def _changed(self) -> None:
        if self._emit is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.lab.loop.asyncio.call_later(GATHER, self._look)

    def _look(self) -> None:
        self._timer = None
        self.lab.loop.asyncio.create_task(self._make())

    async def _make(self) -> None:
        try:
            html = await asyncio.to_thread(self.live_html)
        except (NbcontainerError, OSError):
            html = self._said  # the lab has ended, or a container is just going
        if self._emit is not None:
            if html != self._said:
                self._said = html
                self._emit({"kind": "html", "data": html}, ())
            if self.polls and self._timer is None:
                self._timer = self.lab.loop.asyncio.call_later(EVERY, self._look)

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """A button."""
        if message["kind"] == "act":
            self.lab.loop.asyncio.create_task(self._do(str(message["what"])))

    async def _do(self, what: str) -> None:
        try:
            said = await asyncio.to_thread(self.act, what)
        except (NbcontainerError, OSError) as error:
            said = f"Error: {error}"
        if self._emit is not None:
            self._emit({"kind": "said", "data": said}, ())
        self._changed()
