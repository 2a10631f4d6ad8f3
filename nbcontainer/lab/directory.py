"""A directory held by a lock that dies with its owner: a lab's, a kernel's; and what dead owners left behind."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import Conflict
from nbcontainer.lab.home import Home

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
#: Marks a directory without a name of its own, as that of a lab: it may go when its owner has gone.
_EPHEMERAL = "~"
_BEGINNING = "+"
#: Seconds after which a directory that never got further than its beginning is a dead owner's too.
_STUCK = 60.0

#: Directories this process holds: a POSIX lock never refuses the process that has it.
_held: set[Path] = set()


@dataclass
class Claim:
    """The hold on a directory: an fcntl(2) record lock, which a forked child does not inherit."""

    path: Path
    fd: int

    def release(self, remove: bool) -> None:
        """Let go; with `remove`, of the files too."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.fd)
        _held.discard(self.path)


def claim(home: Home, name: str | None) -> Claim:
    """Hold the directory of lab `name`, or a new one. Raises `Conflict` when another process holds it."""
    if name is None:
        return claim_new(home.labs, 0o711)
    path = home.labs / name
    if not path.is_dir():
        make(path, 0o711)
    fd = _try_lock(path)
    if fd is None:
        raise Conflict(f"Conflict. The lab {name} is in use by another kernel; end that one, or use another name")
    return Claim(path, fd)


def claim_new(place: Path, mode: int, prefix: str = "") -> Claim:
    """A new directory in `place`, named only once it is locked: until then nobody may take it for a dead owner's."""
    unique = secrets.token_hex(6)
    beginning, path = place / f"{prefix}{_BEGINNING}{unique}", place / f"{prefix}{_EPHEMERAL}{unique}"
    make(beginning, mode)
    fd = _try_lock(beginning)
    assert fd is not None
    _held.add(path)
    beginning.rename(path)
    _held.discard(beginning)
    return Claim(path, fd)


def _try_lock(path: Path) -> int | None:
    if path in _held:
        return None
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    _held.add(path)
    return fd


def dead(place: Path, prefix: str = "") -> list[Claim]:
    """Those that `claim_new` made in `place` whose owner is gone, held by us now so that nobody else removes them.

    Others may write to `place`, as to /tmp: only what is this user's own is looked at.
    """
    found = []
    for path in place.glob(f"{prefix}[{_EPHEMERAL}{_BEGINNING}]*"):
        if _is_own(path) and (path.name.startswith(prefix + _EPHEMERAL) or _stuck(path)):
            try:
                fd = _try_lock(path)
            except OSError:
                continue  # removed meanwhile
            if fd is not None:
                found.append(Claim(path, fd))
    return found


def _is_own(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _stuck(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _STUCK
    except FileNotFoundError:
        return False


def alive(home: Home, instance: str) -> bool:
    """Whether some process holds the lab with this directory name."""
    path = home.labs / instance
    if path in _held:
        return True
    if not path.is_dir():
        return False
    fd = _try_lock(path)
    if fd is None:
        return True
    Claim(path, fd).release(remove=False)
    return False


def make(path: str | Path, mode: int) -> None:
    """mkdir(2) with just this mode: the ids of a lab must get through whatever this process's umask is."""
    os.mkdir(path, mode)
    if os.stat(path).st_mode & 0o777 != mode:
        os.chmod(path, mode)


def reachable(path: Path) -> bool:
    """Whether anybody may pass through every directory down to `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))
