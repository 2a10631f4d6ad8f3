"""A terminal in a cell: live while the program runs, and then its last screen, as text."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.container.stdio import SIZE
from nbcontainer.container.terminal import Viewer
from nbcontainer.view import html
from nbcontainer.view.screen import Screen
from nbcontainer.view.view import Emit, View

if TYPE_CHECKING:
    from nbcontainer.container.terminal import Terminal

#: Bytes sent to a page and not drawn yet, before the program has to wait.
AHEAD = 1 << 20
#: Seconds that output is gathered, so that a page draws often enough and no oftener.
GATHER = 0.008


class TerminalView(View):
    """A view of a `Terminal`."""

    bundle: ClassVar[str] = "terminal"

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.rows, self.columns = SIZE
        self.exit_code: int | None = None
        self._at_end: list[Callable[[TerminalView], object]] = []
        self._lock = threading.Lock()
        self._over = False
        self._emit: Emit | None = None
        self._gathered: list[bytes] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._ahead = 0
        self._viewer = Viewer(self._put, lambda: None)
        terminal.resize(*SIZE)
        # Whether somebody looks or not: its end is what the saved notebook shows. A thread, for it has to wait for the
        # exit code, and lasts no longer.
        wait = threading.Thread(target=self._wait, name="nbcontainer terminal", daemon=True)
        terminal.at_end(wait.start)

    # -- the three forms

    def text(self) -> str:
        """What its screen says, and, once it has ended with something other than 0, how."""
        lines = Screen.of(self.terminal.output, self.rows, self.columns).lines()
        if self.exit_code:
            lines.append(f"[exited with {self.exit_code}]")
        return "\n".join(lines)

    def html(self) -> str:
        """The same, with its colours."""
        screen = Screen.of(self.terminal.output, self.rows, self.columns)
        return html.framed(f'<pre class="nbc-screen">{screen.html()}</pre>')

    def snapshot(self) -> dict[str, Any]:
        """What it is; its output comes as messages."""
        return {"title": self.terminal.title, "rows": self.rows, "columns": self.columns, "code": self.exit_code}

    # -- a page looks (the loop's thread)

    def begin(self, emit: Emit) -> Callable[[], None]:
        """Output from the first byte kept on."""
        self._emit = emit
        self._ahead = 0
        self._viewer.behind = False
        self._replay(self.terminal.view(self._viewer))
        return self._leave

    def _leave(self) -> None:
        self._emit = None
        self._viewer.behind = False
        self._gathered.clear()
        self.terminal.leave(self._viewer)

    def _replay(self, output: bytes) -> None:
        self._gathered.clear()
        if self._emit is not None:
            self._ahead += len(output)
            self._emit({"kind": "replay", "code": self.exit_code}, [output])

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """Keys, a size, or how much has been drawn."""
        kind = message["kind"]
        if kind == "input":
            self.terminal.write(buffers[0] if buffers else str(message["data"]).encode())
        elif kind == "size":
            self.rows = max(2, min(500, int(message["rows"])))
            self.columns = max(2, min(1000, int(message["columns"])))
            self.terminal.resize(self.rows, self.columns)
        elif kind == "drawn":
            self._ahead -= int(message["bytes"])
            if self._viewer.behind and self._ahead < AHEAD // 2:
                self._viewer.behind = False
                self.terminal.caught_up()
        elif kind == "again":
            self._replay(self.terminal.output)

    def _put(self, data: bytes) -> None:
        self._gathered.append(data)
        if self._gathering is None:
            self._gathering = self.terminal.stdio.loop.asyncio.call_later(GATHER, self._send)

    def _send(self) -> None:
        self._gathering = None
        data = b"".join(self._gathered)
        self._gathered.clear()
        if data and self._emit is not None:
            self._ahead += len(data)
            self._viewer.behind = self._ahead > AHEAD
            self._emit({"kind": "output"}, [data])

    def _wait(self) -> None:
        try:
            self.exit_code = self.terminal.wait()
        except Exception:
            self.exit_code = 137  # its lab has ended under it
        self.terminal.stdio.loop.soon(self._say_the_end)
        with self._lock:
            self._over = True
        for callback in self._at_end:
            callback(self)

    def at_end(self, callback: Callable[[TerminalView], object]) -> None:
        """Call `callback(view)` when its program has ended and `exit_code` is known; at once if so already."""
        with self._lock:
            if not self._over:
                self._at_end.append(callback)
                return
        callback(self)

    def _say_the_end(self) -> None:
        self._send()
        if self._emit is not None:
            self._emit({"kind": "ended", "code": self.exit_code}, ())
