"""The one background thread of a process that has labs: an asyncio loop for exits, logs, health and restarts."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """An asyncio event loop in a daemon thread."""

    def __init__(self) -> None:
        self.asyncio = asyncio.new_event_loop()
        self.process = os.getpid()
        self.thread = threading.Thread(target=self._run, name="nbcontainer", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.asyncio)
        self.asyncio.run_forever()

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` on the loop's thread; returns at once."""
        self.asyncio.call_soon_threadsafe(function, *args)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio)

    def away(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` on a thread of its own (from the loop's), but not once the interpreter ends."""
        try:
            self.asyncio.run_in_executor(None, function, *args)
        except RuntimeError:
            pass  # no thread starts any more: the lab ends by itself, and with it what was to be done

    def do(self, function: Callable[..., T], *args: Any) -> T:
        """Call `function(*args)` on the loop's thread and wait for what it returns."""
        if threading.current_thread() is self.thread:
            return function(*args)

        async def run() -> T:
            return function(*args)

        return self.call(run()).result()


_loop: Loop | None = None
_lock = threading.Lock()


def shared() -> Loop:
    """This process's loop, started on first use. A forked child gets one of its own."""
    global _loop
    with _lock:
        if _loop is None or _loop.process != os.getpid():
            _loop = Loop()
        return _loop
