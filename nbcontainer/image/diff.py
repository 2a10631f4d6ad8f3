"""Runs inside the lab: what was written on top of an image, as the tar archive of a layer.

What a container wrote lies in the upper directory of each of its overlays or, where the kernel has no overlayfs for
us, in a copy of the whole root, which is then compared with the layers below. The archive has names in order, a
directory before what is in it, `.wh.NAME` for what was removed, `.wh..wh..opq` for a directory that hides the one
below it. OCI image-spec, layer.md, "Representing Changes"; kernel, Documentation/filesystems/overlayfs.rst.

A container may run while it is read: every name is opened below the directory it was found in, and no link is
followed, so nothing outside is ever read.
"""

from __future__ import annotations

import errno
import os
import stat

from nbcontainer.errors import ImageError
from nbcontainer.image.changeset import DEEPEST, OPAQUE, WHITEOUT, is_whiteout
from nbcontainer.image.contents import is_opaque
from nbcontainer.image.tar import Entry, Kind
from nbcontainer.image.tar_writer import Sum, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

#: The attributes that a layer keeps, but for overlayfs's own: what programs set, and capabilities(7).
_KEPT = ("user.", "security.capability")
_OVERLAYFS = "user.overlay."
#: Whose a file is when the lab has no id for its owner (user_namespaces(7), overflowuid).
_UNMAPPED = 65534
_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write(overlays: list[dict[str, Any]], driver: str, latest: int | None, *, fds: list[int]) -> dict[str, Any]:
    """Write what `overlays` have on top to the descriptor `fds[0]`, as an uncompressed tar archive.

    Each has its `prefix`, its `lowers`, topmost first (one that is not there is left out), and its `upper`; with the
    `driver` "copy", the first one's `upper` is the whole root. No file is said to be younger than `latest`,
    nanoseconds since 1970. Sockets and devices are left out.

    `{"diff_id": …, "size": …, "entries": …}`: the archive's digest, bytes of its files, how many entries it has.
    Raises `ImageError` for what no layer can say, and `OSError`.
    """
    target = Sum(fds[0])
    tar = TarWriter(target.write)
    changes = _Changes(tar, latest)
    if driver == "copy":
        lowers = {one["prefix"].rstrip("/"): _there(one["lowers"]) for one in overlays}
        _compare(changes, os.open(overlays[0]["upper"], _DIRECTORY), "", lowers[""], lowers)
    else:
        for one in sorted(overlays, key=lambda one: str(one["prefix"])):
            prefix = one["prefix"].rstrip("/")
            upper = os.open(one["upper"], _DIRECTORY)
            parents = ["/".join(prefix.split("/")[:count]) for count in range(2, prefix.count("/") + 2)]
            waiting = [changes.wait(upper, parent) for parent in parents]
            _walk(changes, upper, prefix, _there(one["lowers"]))
            for entry in reversed(waiting):
                changes.leave(entry)
    tar.finish()
    return {"diff_id": target.finish(), "size": tar.size, "entries": tar.entries}


def _there(lowers: list[str]) -> list[str]:
    return [lower for lower in lowers if os.path.isdir(lower)]


class _Changes:
    """The archive. Directories may wait: they are written once something in them is, or not at all."""

    def __init__(self, tar: TarWriter, latest: int | None) -> None:
        self._tar = tar
        self._latest = latest
        self._waiting: list[Entry] = []
        self._written: set[str] = set()
        #: Files with several names, by device and inode: the first of those names.
        self._linked: dict[tuple[int, int], str] = {}

    def remove(self, path: str) -> None:
        """`path` of the layers below is gone."""
        parent, _, name = path.rpartition("/")
        self._add(Entry(f"{parent}/{WHITEOUT}{name}"[1:], "file", 0, 0, 0, 0))

    def hide(self, path: str) -> None:
        """Nothing that the layers below have in the directory `path` is seen any more."""
        self._add(Entry(f"{path}/{OPAQUE}"[1:], "file", 0, 0, 0, 0))

    def wait(self, fd: int, path: str) -> Entry:
        """The directory `fd` is written when something in it is."""
        entry = self._entry(path, "directory", os.fstat(fd))
        entry.attributes = _attributes(fd)
        self._waiting.append(entry)
        return entry

    def leave(self, entry: Entry) -> None:
        """Nothing more comes for that directory."""
        if self._waiting and self._waiting[-1] is entry:
            self._waiting.pop()

    def directory(self, fd: int, path: str) -> None:
        """The directory `fd`, whatever is in it."""
        entry = self.wait(fd, path)
        self.leave(entry)
        self._add(entry)

    def leaf(self, parent: int, name: str, path: str, info: os.stat_result) -> None:
        """Whatever is no directory: `name` in the directory `parent`."""
        if name.startswith(WHITEOUT):
            raise ImageError(
                f'"{path}" cannot be in a layer: names that begin with {WHITEOUT} say what was removed; rename it'
            )
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return
        first = self._linked.setdefault((info.st_dev, info.st_ino), path) if info.st_nlink > 1 else path
        entry = self._entry(path, kind if first == path else "link", info)
        try:
            if first != path:
                entry.target = first[1:]
                self._add(entry)
            elif kind == "file":
                self._file(parent, name, entry, info)
            else:
                if kind == "symlink":
                    entry.target = os.readlink(name, dir_fd=parent)
                    entry.size = len(os.fsencode(entry.target))
                self._add(entry)
        except FileNotFoundError:
            self._linked.pop((info.st_dev, info.st_ino), None)  # removed while we look

    def _file(self, parent: int, name: str, entry: Entry, info: os.stat_result) -> None:
        fd = os.open(name, _FILE, dir_fd=parent)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_ino != info.st_ino:
                raise FileNotFoundError
            entry.size = found.st_size
            entry.attributes = _attributes(fd)
            self._add(entry, fd)
        finally:
            os.close(fd)

    def _entry(self, path: str, kind: Kind, info: os.stat_result) -> Entry:
        mtime = info.st_mtime_ns if self._latest is None else min(info.st_mtime_ns, self._latest)
        return Entry(path[1:], kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, mtime)

    def _add(self, entry: Entry, content: int | None = None) -> None:
        waiting, self._waiting = self._waiting, []
        for directory in waiting:
            if directory.name not in self._written:
                self._add(directory)
        if entry.kind == "directory":
            self._written.add(entry.name)
        self._tar.add(entry, content)


def _walk(changes: _Changes, fd: int, path: str, lowers: list[str]) -> None:
    """All that is in the upper directory `fd`, which is `path` in the container."""
    try:
        for name, here, info in _names(fd, path, os.listdir(fd)):
            if info is None:
                continue  # removed while we look
            if is_whiteout(info):
                changes.remove(here)
            elif stat.S_ISDIR(info.st_mode):
                inner = _open(fd, name)
                if inner is None:
                    continue
                changes.directory(inner, here)
                below = _below(lowers, name)
                if _directories(below[:1]) and is_opaque(inner):
                    changes.hide(here)
                    below = []
                _walk(changes, inner, here, _directories(below))
            else:
                changes.leaf(fd, name, here, info)
    finally:
        os.close(fd)


def _compare(changes: _Changes, fd: int, path: str, lowers: list[str], mounted: dict[str, list[str]]) -> None:
    """What is different in the directory `fd`, which is `path` in the container, from the layers below."""
    try:
        names = {name for lower in lowers for name in os.listdir(lower) if _below(lowers, name)}
        for name, here, info in _names(fd, path, names | set(os.listdir(fd))):
            below = mounted.get(here) or _below(lowers, name)
            if info is None:
                if below:
                    changes.remove(here)
            elif stat.S_ISDIR(info.st_mode):
                inner = _open(fd, name)
                if inner is None:
                    continue
                was_directory = bool(_directories(below[:1]))
                if was_directory and _same(info, os.lstat(below[0])):
                    entry = changes.wait(inner, here)
                    _compare(changes, inner, here, _directories(below), mounted)
                    changes.leave(entry)
                else:
                    changes.directory(inner, here)
                    _compare(changes, inner, here, _directories(below) if was_directory else [], mounted)
            elif not below or not _same(info, os.lstat(below[0])) or _target(name, fd) != _target(below[0]):
                changes.leaf(fd, name, here, info)
    finally:
        os.close(fd)


def _names(fd: int, path: str, names: Iterable[str]) -> Iterator[tuple[str, str, os.stat_result | None]]:
    """In order: a name in `fd`, its path, and what it is."""
    if path.count("/") >= DEEPEST:
        raise ImageError(f"{path[:60]}… lies below {DEEPEST} directories: more than a layer may have")
    for name in sorted(names, key=os.fsencode):
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            info = None
        yield name, f"{path}/{name}", info


def _open(parent: int, name: str) -> int | None:
    """The directory `name`, unless it is none any more."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _below(lowers: list[str], name: str) -> list[str]:
    """Where the layers below have `name`, topmost first, down to the one that hides the rest."""
    found = []
    for lower in lowers:
        path = f"{lower}/{name}"
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if is_whiteout(info):
            break
        found.append(path)
        if not stat.S_ISDIR(info.st_mode) or is_opaque(path):
            break
    return found


def _directories(paths: list[str]) -> list[str]:
    return [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]


def _same(info: os.stat_result, below: os.stat_result) -> bool:
    """Whether a copy is still what it was copied from."""
    for own, other in ((info.st_uid, below.st_uid), (info.st_gid, below.st_gid)):
        if own != other and not (own == 0 and other == _UNMAPPED):
            return False
    size = stat.S_ISDIR(info.st_mode) or info.st_size == below.st_size
    return info.st_mode == below.st_mode and info.st_mtime_ns == below.st_mtime_ns and size


def _target(path: str, parent: int | None = None) -> str:
    try:
        return os.readlink(path, dir_fd=parent)
    except OSError:
        return ""


def _attributes(fd: int) -> dict[str, bytes]:
    """The attributes of a file that a layer keeps."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    kept = [name for name in names if name.startswith(_KEPT) and not name.startswith(_OVERLAYFS)]
    return {name: os.getxattr(fd, name) for name in kept}
