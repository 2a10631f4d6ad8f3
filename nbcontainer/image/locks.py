"""Directories that say who is at work: held with flock(2), which ends with the process that holds it.

Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import fcntl
import os


def hold(directory: str, operation: int = fcntl.LOCK_EX) -> int:
    """A descriptor that holds `directory`, made if need be. It holds until it is closed.

    `operation` is flock(2)'s; with `LOCK_NB` raises `BlockingIOError` when another process holds it.
    """
    while True:
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, operation)
            if _is(fd, directory):
                return fd
        except BaseException:
            os.close(fd)
            raise
        # Whoever held it has removed or renamed it: what we hold now is not what the name means.
        os.close(fd)


def _is(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
