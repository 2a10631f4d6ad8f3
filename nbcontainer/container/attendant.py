"""The process that waits to enter a container: the next exec's, forked and warm before anybody asks.

There is at most one, made soon after an exec. It is in no container while it waits.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nbcontainer.container import enter, values
from nbcontainer.container.spare import PAUSE, UNCOUNTED
from nbcontainer.container.waiting import Waiting
from nbcontainer.errors import NbcontainerError
from nbcontainer.lab.handle import Handle

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.options import ExecOptions

#: Where their pids begin: the pids of what they start do not depend on how many there were.
FIRST_PID = UNCOUNTED + 1000


def may_serve(container: Container, options: ExecOptions) -> bool:
    """Whether an attendant can start it: one cannot give it a terminal, a profile of the user's own may refuse the
    calls it still has to make, and limits may have no room for them.
    """
    profile = values.security_options(container.options.security_opt).get("seccomp", "unconfined")
    return not options.tty and not container.options.ulimit and profile == "unconfined"


class Attendants:
    """The attendants of `lab`."""

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self._lock = threading.Lock()
        self._waiting: Waiting | None = None
        self._coming = False
        self._expected: dict[str, Any] = {}

    def take(self, process: dict[str, Any]) -> Waiting:
        """One for a request like `process`, the `process` of a spec."""
        self.lab.check_ours()
        with self._lock:
            waiting, self._waiting = self._waiting, None
            alike = self._expected.get("capabilities") == process["capabilities"]
            self._expected = process
            if waiting is None or not alike or not waiting.process.alive():
                waiting = self._make()
        self._replenish_soon()
        return waiting

    def _replenish_soon(self) -> None:
        with self._lock:
            if self._coming:
                return
            self._coming = True
        self.lab.loop.soon(self.lab.loop.asyncio.call_later, PAUSE, self._replenish)

    def _replenish(self) -> None:
        with self._lock:
            self._coming = False
            if self._waiting is None:
                try:
                    self._waiting = self._make()
                except (NbcontainerError, OSError):
                    pass  # the next exec says what is wrong

    def _make(self) -> Waiting:
        return Waiting(self.lab, enter.attend, self._expected, number=FIRST_PID)
