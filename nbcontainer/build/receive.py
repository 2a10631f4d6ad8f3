"""Runs inside the lab: COPY, ADD and WORKDIR write into a step's root.

The root is entered first (chroot(2)): wherever a link on the way to the target leads, it leads inside. What comes is
the archive that `nbcontainer.build.selection` writes. Modules this needs are loaded before; none comes from in there.
"""

from __future__ import annotations

import os
import stat

from nbcontainer.build import modes
from nbcontainer.container import changes
from nbcontainer.errors import ImageError, InvalidArgument
from nbcontainer.image.changeset import WHITEOUT, Layer
from nbcontainer.image.tar import Entry, Tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def make_directory(root: dict[str, Any], path: str, user: str) -> None:
    """WORKDIR: make `path`, which is absolute, and what is missing above it, as `user`'s (USER's).

    Raises `InvalidArgument`, `OSError`.
    """
    os.umask(0o022)
    changes.enter_root(root, None)
    if not os.path.isdir(path):
        _make_directories(os.path.realpath(path), _owner(user) if user else None)


def receive(
    root: dict[str, Any],
    items: list[dict[str, Any]],
    target: str,
    chown: str,
    chmod: str,
    *,
    fds: list[int],
) -> None:
    """Write the items that the tar archive from `fds[0]` holds to `target`, an absolute path.

    One file becomes `target`, or, when that is a directory or ends with a slash, a file in it. Several files, and what
    is in directories, lie in the directory `target`. Raises `InvalidArgument`, `ImageError`, `OSError`.
    """
    os.umask(0o022)
    changes.enter_root(root, None)
    owner = _owner(chown) if chown else None
    place = os.path.realpath(target)
    if not items:
        pass  # a pattern that nothing matches copies nothing
    elif target.endswith(("/", "/.")) or any(item["kind"] == "directory" or item.get("archive") for item in items):
        _make_directories(place, owner)
    else:
        _make_directories(os.path.dirname(place), owner)
    written = _Written(items, place, owner, chmod)
    tar = Tar(lambda most: os.read(fds[0], most))
    for entry in tar:
        written.take(entry, tar)
    written.finish()
    # What is behind the archive's end: who writes it must not find a closed pipe.
    while os.read(fds[0], 1 << 16):
        pass


class _Written(Layer):
    """What COPY makes: unlike a layer it never puts a file in a directory's place, nor the other way round."""

    def __init__(self, items: list[dict[str, Any]], place: str, owner: tuple[int, int] | None, chmod: str) -> None:
        super().__init__()
        self._items = items
        self._place = place
        self._owner = owner
        self._chmod = chmod

    def take(self, entry: Entry, tar: Tar) -> None:
        """Write one entry of the archive."""
        number, _, inner = entry.name.partition("/")
        item = self._items[int(number)]
        if item.get("archive"):
            self._unpack(tar)
            return
        if item["kind"] == "directory" and not inner:
            return  # its contents are copied, not the directory itself
        entry.name = self._path(item, inner)
        if entry.kind == "link":
            number, _, inner = entry.target.partition("/")
            entry.target = self._path(self._items[int(number)], inner)
        self._put(entry, tar)

    def _path(self, item: dict[str, Any], inner: str) -> str:
        if item["kind"] == "directory":
            return f"{self._place}/{inner}"
        return f"{self._place}/{item['name']}" if os.path.isdir(self._place) else self._place

    def _put(self, entry: Entry, tar: Tar) -> None:
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        if self._chmod and entry.kind not in ("symlink", "link"):
            entry.mode = modes.changed(entry.mode, entry.kind == "directory", self._chmod)
        path = "/" + entry.name.strip("/")
        _check_name(path)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise InvalidArgument(f"cannot copy to non-directory: {os.path.dirname(path)}") from None
        else:
            if stat.S_ISDIR(found.st_mode) and entry.kind != "directory":
                raise InvalidArgument(f"cannot replace to directory {path} with file")
            if not stat.S_ISDIR(found.st_mode) and entry.kind == "directory":
                raise InvalidArgument(f"cannot copy to non-directory: {path}")
        super().add(entry, tar)

    # -- ADD

    def _unpack(self, outer: Tar) -> None:
        pieces = _Pieces(outer.pieces())
        tar = Tar(pieces.read)
        for entry in tar:
            inner = entry.name.strip("/")
            if inner in ("", "."):
                continue
            entry.name = f"{self._place}/{inner}"
            _check_name(entry.name)
            if entry.kind == "link":
                entry.target = f"{self._place}/{entry.target.lstrip('/')}"
            # As tar(1): what is in the way goes, but for a directory where a directory comes. As Docker: --chown and
            # --chmod are not for what an archive holds.
            super().add(entry, tar)
        while pieces.read(1 << 20):
            pass


def _check_name(path: str) -> None:
    if os.path.basename(path).startswith(WHITEOUT):
        raise ImageError(f'"{path}" cannot be in an image: names that begin with {WHITEOUT} say what was removed')


class _Pieces:
    """The pieces of a file in an archive, to be read as a file."""

    def __init__(self, pieces: Iterator[tuple[int, memoryview]]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, most: int) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, (0, memoryview(b"")))[1]
        found, self._rest = bytes(self._rest[:most]), self._rest[most:]
        return found


def _make_directories(path: str, owner: tuple[int, int] | None) -> None:
    """Make `path` and what is missing above it, as the step's own. Raises `InvalidArgument`."""
    made = ""
    for part in path.split("/")[1:]:
        made += f"/{part}"
        try:
            os.mkdir(made, 0o755)
        except FileExistsError:
            if not os.path.isdir(made):
                raise InvalidArgument(f"cannot copy to non-directory: {made}") from None
            continue
        if owner is not None:
            try:
                os.chown(made, *owner)
            except OSError:
                pass  # an id that this lab does not have


# -- who


def _owner(text: str) -> tuple[int, int]:
    """`--chown USER[:GROUP]`, names by the image's own files; without a group it is the user's, or the same number."""
    user, colon, group = text.partition(":")
    uid, gid = _user(user)
    return uid, _group(group) if colon and group else gid


def _user(name: str) -> tuple[int, int]:
    if name.isdigit():
        return int(name), int(name)
    for fields in _fields("/etc/passwd", 4):
        if fields[0] == name and fields[2].isdigit() and fields[3].isdigit():
            return int(fields[2]), int(fields[3])
    raise InvalidArgument(f"unable to convert uid/gid chown string to host mapping: can't find uid for user {name}")


def _group(name: str) -> int:
    if name.isdigit():
        return int(name)
    for fields in _fields("/etc/group", 3):
        if fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    raise InvalidArgument(f"unable to convert uid/gid chown string to host mapping: can't find gid for group {name}")


def _fields(path: str, least: int) -> list[list[str]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    with os.fdopen(fd, "rb") as file:
        text = (file.read(1 << 20) or b"").decode(errors="replace")
    return [fields for line in text.splitlines() if len(fields := line.split(":")) >= least]
