"""The C library, and the one way a failed call becomes an `OSError`.

Everything under `syscalls/` is stdlib-only: the lab's init and every set-up process load it.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

#: Calls glibc 2.36 does not wrap, by architecture (`asm/unistd.h`). Numbers from 424 on are the same everywhere.
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"clone": 56, "capget": 125, "capset": 126, "pivot_root": 155, "seccomp": 317},
    "aarch64": {"clone": 220, "capget": 90, "capset": 91, "pivot_root": 41, "seccomp": 277},
}
_COMMON = {
    "open_tree": 428,
    "move_mount": 429,
    "clone3": 435,
    "close_range": 436,
    "mount_setattr": 442,
}
MACHINE = os.uname().machine
_TABLE = {**_COMMON, **_NUMBERS.get(MACHINE, {})}


def check(result: int, what: str) -> int:
    """`result`, or the `OSError` that errno names when it is negative; `what` becomes the error's filename."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return int(result)


def syscall(name: str, *args: Any, what: str | None = None) -> int:
    """A raw call by its kernel name. Raises `OSError`; `NotImplementedError` on an unknown architecture."""
    number = _TABLE.get(name)
    if number is None:
        raise NotImplementedError(f"{name}: no system call number known for {MACHINE}")
    return check(libc.syscall(ctypes.c_long(number), *args), what or name)
