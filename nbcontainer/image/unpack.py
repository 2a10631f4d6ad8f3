"""Runs inside the lab: a layer's tar archive as a directory that overlayfs takes for a lower one.

The whole work happens with the layer's own directory as root (chroot(2)): wherever a name or a link in the archive
leads, it leads inside. What its entries become: `nbcontainer.image.changeset`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress

from nbcontainer.errors import ImageError
from nbcontainer.image import locks
from nbcontainer.image.changeset import Layer
from nbcontainer.image.tar import CHUNK, Tar
from nbcontainer.lab.files import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How names end of directories that are being filled or emptied. One that nobody holds is left from a kill.
UNFINISHED = ".tmp"


def unpack(directory: str, name: str | None, *, fds: list[int]) -> dict[str, int]:
    """Unpack the plain archive that comes through `fds[0]` to `directory`/NAME, which appears whole or not at all.

    NAME is what `fds[1]` says once all of the archive has come and was found to be right; nothing there means that
    the archive was given up. With `name`, which is then the NAME, only one process does it at a time, and one that
    finds it done just counts.

    `{"size": …, "devices": …, "owners": …, "attributes": …}`: bytes of its files, and how many devices, owners and
    attributes were left out because no lab, or not this one, can make them. Raises `ImageError` when the archive is
    none, or the disk is full.
    """
    os.umask(0o022)
    with _alone(directory, name), _beside(directory) as beside:
        try:
            if name is not None and os.path.isdir(f"{directory}/{name}"):
                done = _count(fds[0])
            else:
                done = _fill(beside, fds[0])
            verdict = os.read(fds[1], 256).decode()
            if not verdict:
                raise ImageError("it was given up")
            target = f"{directory}/{verdict}"
            if os.path.isdir(target):
                remove_tree(beside)
            else:
                os.rename(beside, target)
        except BaseException as error:
            remove_tree(beside)
            raise _told(error) from None
        return done


def sweep(directory: str) -> None:
    """Remove what killed processes have left in `directory`, and what was marked for removal."""
    for name in os.listdir(directory):
        if not name.endswith(UNFINISHED):
            continue
        try:
            held = locks.hold(f"{directory}/{name}", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # at work
        remove_tree(f"{directory}/{name}")
        os.close(held)


@contextmanager
def _alone(directory: str, name: str | None) -> Iterator[None]:
    """Be the only one that makes `name`; wait for whoever does."""
    if name is None:
        yield
        return
    path = f"{directory}/{name}{UNFINISHED}"
    held = locks.hold(path)
    try:
        yield
    finally:
        remove_tree(path)
        os.close(held)


@contextmanager
def _beside(directory: str) -> Iterator[str]:
    """An empty directory to fill, held.

    Its name is a new one every time: ext4 chooses by the name where on the disk to put it (`lab.home.spread`), and
    where the same layer has just been removed, files are slow to make.
    """
    path = f"{directory}/{os.urandom(12).hex()}{UNFINISHED}"
    held = locks.hold(path)
    try:
        os.chmod(path, 0o755)
        with suppress(OSError):
            # Else what is made in it would not have the modes it is made with (acl(5)).
            os.removexattr(path, "system.posix_acl_default")
        yield path
    finally:
        os.close(held)


def _told(error: BaseException) -> BaseException:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ImageError("no space left on device; nothing of it was kept")
    if isinstance(error, OSError | ValueError):
        return ImageError(str(error))
    return error


def _coming(fd: int) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        return os.read(fd, most)

    return read


def _fill(root: str, fd: int) -> dict[str, int]:
    read = _coming(fd)
    layer = Layer()
    outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chroot(root)
    try:
        os.chdir("/")
        tar = Tar(read)
        for entry in tar:
            layer.add(entry, tar)
        layer.finish()
    finally:
        os.fchdir(outside)
        os.chroot(".")
        os.close(outside)
    _drain(read)
    return {"size": layer.size, **layer.left_out}


def _count(fd: int) -> dict[str, int]:
    read = _coming(fd)
    size = sum(entry.size for entry in Tar(read))
    _drain(read)
    return {"size": size}


def _drain(read: Callable[[int], bytes]) -> None:
    """What follows the end of the archive is part of its digest too."""
    while read(CHUNK):
        pass
