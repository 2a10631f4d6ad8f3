"""`with netns:` — the sockets Python makes in a block live in a network namespace."""

from __future__ import annotations

import contextvars
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbcontainer.network.sockets import Opener

#: Where sockets of this context are opened: each thread and each asyncio task has its own.
_place: contextvars.ContextVar[tuple[Opener, int] | None] = contextvars.ContextVar("netns", default=None)
_lock = threading.Lock()
_blocks = 0
_plain: Callable[..., None] = socket.socket.__init__


@contextmanager
def sockets_of(opener: Opener, netns: int) -> Iterator[None]:
    """Until the block ends, `socket.socket()` opens in `netns`, a descriptor that is closed then.

    The kernel lets a process without CAP_SYS_ADMIN in its own user namespace enter none of a lab's namespaces, so
    the socket is opened by a process of the lab; the class is changed only while some block is running.
    """
    global _blocks
    with _lock:
        _blocks += 1
        if _blocks == 1:
            socket.socket.__init__ = _init  # type: ignore[method-assign]
    before = _place.set((opener, netns))
    try:
        yield
    finally:
        _place.reset(before)
        os.close(netns)
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                socket.socket.__init__ = _plain  # type: ignore[method-assign]


def _init(self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:
    place = _place.get()
    if place is None or fileno is not None:
        _plain(self, family, type, proto, fileno)
        return
    opener, netns = place
    family = socket.AF_INET if family == -1 else family
    type = socket.SOCK_STREAM if type == -1 else type
    fd = opener.open_socket(family, type, max(proto, 0), netns)
    # The kernel's own answers would do for family and type, but not for every protocol.
    _plain(self, family, type & ~(socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK), max(proto, 0), fd)
    if type & socket.SOCK_NONBLOCK:
        self.setblocking(False)
