"""`with Cgroup("demo"):` puts the children of this process into a group; this process itself never moves.

A child joins between fork and exec: it writes 0 to the control files, which were opened before (cgroups(7): 0 is the
writer, and the permission is the opener's). So it is in the group before its program's first instruction, and so is all
that it starts. Which children are meant:

- everything that `subprocess` starts, and so `asyncio`'s, `os.popen`'s and the notebook's `!command`;
- `os.fork`, `os.forkpty`, `pty`, and `multiprocessing` where it forks;
- if the thread, or the task of `asyncio`, that is in the block starts it. Others are not touched (`contextvars`).

Not meant: `os.posix_spawn` and `os.system`, which run no code of ours in the child, and `multiprocessing`'s spawn and
forkserver, whose server may be running already. Who joins is not refused by pids.max, which holds for forks in the
group only (cgroup-v2.rst, "PID"). Between fork and exec no lock is taken and nothing is imported: one
write(2) a file, as is allowed there even when other threads of this process held locks (fork(2)).
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

#: The blocks that this thread or task is in, innermost last: the descriptors through which each is joined.
_blocks: ContextVar[tuple[tuple[int, ...], ...]] = ContextVar("nbcontainer_cgroup", default=())

_lock = threading.Lock()
_inside = 0
_hooked = False
_popen: Callable[..., None] = subprocess.Popen.__init__


def enter(descriptors: list[int]) -> None:
    """Begin a block. The descriptors are closed by `leave`."""
    global _inside, _hooked
    with _lock:
        if not _hooked:
            os.register_at_fork(after_in_child=_join)
            _hooked = True
        _inside += 1
        if _inside == 1:
            subprocess.Popen.__init__ = _joining_popen  # type: ignore[method-assign]
    _blocks.set((*_blocks.get(), tuple(descriptors)))


def leave() -> None:
    """End the innermost block."""
    global _inside
    *outer, descriptors = _blocks.get()
    _blocks.set(tuple(outer))
    with _lock:
        _inside -= 1
        if _inside == 0:
            subprocess.Popen.__init__ = _popen  # type: ignore[method-assign]
    for fd in descriptors:
        os.close(fd)


def _join() -> None:
    """In a forked child: write 0 to each file of the innermost block."""
    blocks = _blocks.get()
    if blocks:
        for fd in blocks[-1]:
            os.write(fd, b"0")


@wraps(_popen)
def _joining_popen(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
    # A function to run in the child makes `subprocess` fork, with the hooks of `os.register_at_fork`; else it would
    # vfork, without.
    if _blocks.get() and len(args) <= _PREEXEC and kwargs.get("preexec_fn") is None:
        kwargs["preexec_fn"] = _nothing
    _popen(self, *args, **kwargs)


#: Where Popen takes preexec_fn when it is given by position.
_PREEXEC = 6


def _nothing() -> None:
    pass
