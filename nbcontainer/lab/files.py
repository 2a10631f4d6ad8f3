"""Runs inside the lab: files whose owners only the lab can name."""

from __future__ import annotations

import os
import signal
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def remove_tree(path: str) -> None:
    """Remove `path` and all below it that the lab may remove; what it may not is left for the caller."""
    try:
        info = os.lstat(path)
    except OSError:
        return
    if not stat.S_ISDIR(info.st_mode):
        _quietly(os.unlink, path)
        return
    # overlayfs leaves its work/work without any permission, and images have directories like that too.
    if info.st_mode & 0o700 != 0o700:
        _quietly(os.chmod, path, 0o700)
    try:
        names = os.listdir(path)
    except OSError:
        return
    for name in names:
        remove_tree(f"{path}/{name}")
    _quietly(os.rmdir, path)


def size(path: str) -> int:
    """Bytes of the files in a tree; one with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            info = os.lstat(f"{directory}/{name}")
            if (info.st_dev, info.st_ino) not in seen and not stat.S_ISCHR(info.st_mode):
                seen.add((info.st_dev, info.st_ino))
                total += info.st_size
    return total


def _quietly(function: Callable[..., object], *args: object) -> None:
    try:
        function(*args)
    except OSError:
        pass


def end_all_and_remove(path: str) -> None:
    """Kill every process of the lab but init and the caller (kill(2), pid -1), then remove `path`."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    remove_tree(path)


def overwrite(pid: int, directory: str, name: str, text: str) -> None:
    """Write a file of the container that process `pid` is in. Links are not followed: they would lead out of it.

    `directory` is one name below the container's root. Raises `OSError`.
    """
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    fd = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    with os.fdopen(fd, "w") as file:
        file.write(text)
