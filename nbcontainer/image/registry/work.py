"""Work that waits for servers, away from the caller's thread: Ctrl-C always gives the prompt back."""

from __future__ import annotations

import queue
import socket
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from nbcontainer.image.registry.progress import Event, Progress

T = TypeVar("T")
#: Seconds that work which was called off may take to put things away.
_PATIENCE = 20.0


class Cancelled(Exception):
    """The caller does not want it any more."""


class Cancel:
    """Calls work off: from then on nothing waits, and nothing comes from a socket."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def check(self) -> None:
        """Raises `Cancelled` once it was called off."""
        if self._set.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Sleep. Raises `Cancelled` as soon as it is called off."""
        if self._set.wait(seconds):
            raise Cancelled

    def watch(self, sock: socket.socket) -> None:
        """A connection whose end nobody may wait for then."""
        with self._lock:
            self._sockets.add(sock)
        if self._set.is_set():
            _shut(sock)

    def cancel(self) -> None:
        """Call it off."""
        self._set.set()
        self.shut()

    def shut(self) -> None:
        """Cut every connection there is."""
        with self._lock:
            for sock in list(self._sockets):
                _shut(sock)


def _shut(sock: socket.socket) -> None:
    try:
        # The plain one even for TLS: another thread is in the middle of using its state.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass


def in_thread(function: Callable[[], T]) -> Future[T]:
    """Begin `function()` in a thread that keeps no process from ending."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="registry", daemon=True).start()
    return future


def away(work: Callable[[Progress, Cancel], T], progress: Progress) -> T:
    """What `work(progress, cancel)` returns. `progress` is called on the caller's own thread.

    Ctrl-C, or whatever `progress` raises, calls the work off and waits until it has put things away.
    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    cancel = Cancel()
    future = in_thread(lambda: work(events.put, cancel))
    future.add_done_callback(lambda _: events.put(None))
    try:
        while (event := events.get()) is not None:
            progress(event)
    except BaseException:
        cancel.cancel()
        try:
            future.exception(_PATIENCE)
        except TimeoutError:
            pass
        raise
    return future.result()
