"""Restart policies: no, always, unless-stopped, on-failure[:n]. On the background loop, with Docker's delays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nbcontainer.container.state import seconds_since
from nbcontainer.errors import NbcontainerError

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: Seconds: the first delay, doubled at every restart up to the last; a run of `SETTLED` starts over.
FIRST, LAST, SETTLED = 0.1, 60.0, 10.0


class Policy:
    """The restart policy of one container."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.delay = FIRST
        self._timer: asyncio.TimerHandle | None = None

    def ended(self) -> bool:
        """The container has ended: whether it will be started again. The loop's thread."""
        state = self.container.state
        if not self._wanted():
            return False
        if seconds_since(state.started_at) >= SETTLED:
            self.delay = FIRST
        state.status = "restarting"
        state.restart_count += 1
        self._timer = self.container.lab.loop.asyncio.call_later(self.delay, self._due)
        self.delay = min(self.delay * 2, LAST)
        return True

    def _wanted(self) -> bool:
        state = self.container.state
        name, _, limit = self.container.options.restart.partition(":")
        if state.stopped_by_user or self.container.lab.gone:
            return False
        if name == "on-failure":
            return state.exit_code != 0 and (not limit or state.restart_count < int(limit))
        return name in ("always", "unless-stopped")

    def _due(self) -> None:
        # Starting waits for the set-up process, which the loop must not.
        self.container.lab.loop.away(self._start)

    def _start(self) -> None:
        container = self.container
        with container.lock:  # whoever cancels comes before, or finds it running
            if container.state.status != "restarting" or container.lab.gone:
                return
            try:
                container.start()
            except NbcontainerError as error:
                container.state.error = str(error)

    def cancel(self) -> None:
        """No further restart."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self.container.lab.loop.soon(timer.cancel)
        with self.container.lock:
            if self.container.state.status == "restarting":
                self.container.state.status = "exited"
