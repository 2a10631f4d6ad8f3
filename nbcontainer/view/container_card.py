"""A container as a card that follows it, with buttons to stop, pause and look at what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbcontainer.view import objects
from nbcontainer.view.html import escape
from nbcontainer.view.page import PageView

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: Lines of its log that a card shows.
LINES = 12


class ContainerCard(PageView):
    """The card of one container."""

    def __init__(self, container: Container) -> None:
        super().__init__(container.lab)  # type: ignore[arg-type]  # a container's lab is always a whole one
        self.container = container
        self._logs = False

    def text(self) -> str:
        """What `repr` says."""
        return repr(self.container)

    def html(self) -> str:
        """The card."""
        return objects.container_html(self.container)

    def live_html(self) -> str:
        """The card and its buttons."""
        status = self.container.status
        buttons = {"running": ("Stop", "Pause"), "paused": ("Unpause",), "removing": ()}.get(status, ("Start",))
        made = "".join(f'<button data-act="{name.lower()}">{name}</button>' for name in buttons)
        made += f'<button data-act="logs" aria-pressed="{str(self._logs).lower()}">Logs</button>'
        shown = ""
        if self._logs:
            text = self.container.logs(tail=LINES)
            pre = f'<pre class="nbc-screen" tabindex="0" aria-label="Logs">{escape(text) or "(nothing)"}</pre>'
            shown = f'<div class="nbc">{pre}</div>'
        return f'{self.html()}<div class="nbc-buttons">{made}</div>{shown}'

    def act(self, what: str) -> str:
        """Stop, start, pause or unpause it; show its logs or hide them."""
        if what == "logs":
            self._logs = not self._logs
            return ""
        if what in ("stop", "start", "pause", "unpause"):
            getattr(self.container, what)()
            return f"{self.container.name}: {self.container.status}"
        return ""
