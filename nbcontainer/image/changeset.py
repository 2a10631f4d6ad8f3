"""Runs inside the lab: the entries of a layer's archive as what overlayfs takes for a lower directory.

OCI image-spec, layer.md, "Applying Changesets" and "Whiteouts"; kernel, Documentation/filesystems/overlayfs.rst,
"whiteouts and opaque directories".
"""

from __future__ import annotations

import errno
import os
import stat

from nbcontainer.errors import ImageError, Unavailable
from nbcontainer.image.tar import CHUNK, Entry, Tar
from nbcontainer.lab.files import remove_tree

#: OCI's prefix for names that say what a layer hides; the doubled one is for names of other meaning.
WHITEOUT = ".wh."
RESERVED = ".wh..wh."
OPAQUE = ".wh..wh..opq"
#: overlayfs's own attribute where it is mounted with `userxattr`.
OPAQUE_ATTRIBUTE = "user.overlay.opaque"
#: Attributes that speak to overlayfs, not to a container: no archive may set them.
_FORBIDDEN = ("user.overlay.", "trusted.")
#: What chown(2) and setxattr(2) say to an id, or an attribute, that this lab cannot give.
_REFUSALS = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)
_LARGEST_ID = (1 << 32) - 2
_ZEROS = bytes(CHUNK)
#: Fewer zeros than this are written as they are.
_LONG = 1 << 16
#: The most directories below each other: what is deeper cannot be named, or removed, by a path from outside.
DEEPEST = 256


class Layer:
    """The directory being filled, which is "/" here."""

    def __init__(self) -> None:
        self.size = 0
        self.left_out = {"devices": 0, "owners": 0, "attributes": 0}
        #: Directories get their modes, owners and times last: what is made in them would need or change those.
        self._directories: dict[str, Entry] = {}
        #: The directory of the entry before, known to be one.
        self._parent = "/"
        #: Directories made for entries of these names, of which none has been removed: what they are is known.
        self._made: set[str] = set()

    def add(self, entry: Entry, tar: Tar) -> None:
        """Make what one entry says."""
        path = _inside(entry.name)
        if path == "/":
            if entry.kind != "directory":
                raise ImageError("an entry would take the place of the root")
            self._directories[path] = entry
            return
        parent, _, name = path.rpartition("/")
        if f"/{RESERVED}" in parent:
            return  # AUFS's own files, in archives of its time
        self._enter(parent or "/")
        if name == OPAQUE:
            _make_opaque(parent or "/")
        elif name.startswith(WHITEOUT):
            if not name.startswith(RESERVED):
                self._hide(parent, name[len(WHITEOUT) :])
        else:
            self._make(entry, tar, path)

    def finish(self) -> None:
        """What was put off for the directories."""
        for path, entry in self._directories.items():
            kept = self._own(path, entry)
            self._attributes(path, entry)
            if path not in self._made or entry.attributes or entry.mode & kept != 0o755:
                os.chmod(path, entry.mode & kept)
            os.utime(path, ns=(entry.mtime, entry.mtime))

    # -- directories and whiteouts

    def _enter(self, parent: str) -> None:
        """See to it that `parent` is a directory. As Docker, links on the way are followed, inside the root."""
        if parent == self._parent:
            return
        if parent not in self._made and not os.path.isdir(parent):
            path = ""
            for part in parent.split("/")[1:]:
                path += f"/{part}"
                self._make_parent(path)
        self._parent = parent

    def _make_parent(self, path: str) -> None:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            os.mkdir(path, 0o755)
            return
        if is_whiteout(found):
            self._directory(path)
        elif not os.path.isdir(path):
            raise ImageError(f'an entry lies below "{path}", which is no directory')

    def _hide(self, parent: str, name: str) -> None:
        if name in ("", ".", ".."):
            raise ImageError(f'a whiteout hides nothing: "{parent}/{WHITEOUT}{name}"')
        path = f"{parent}/{name}"
        try:
            # Device 0:0, which may be made in a user namespace since Linux 5.8.
            os.mknod(path, stat.S_IFCHR, 0)
        except FileExistsError:
            # A whiteout is about the layers below: what this layer has there itself stays.
            if stat.S_ISDIR(os.lstat(path).st_mode):
                _make_opaque(path)

    def _directory(self, path: str) -> None:
        """Make a directory, unless there is one; in the place of a whiteout it hides what is below all the same."""
        try:
            os.mkdir(path, 0o755)
            self._made.add(path)
            return
        except FileExistsError:
            found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode):
            self._remove(path)
            os.mkdir(path, 0o755)
            if is_whiteout(found):
                _make_opaque(path)

    def _clear(self, path: str) -> None:
        """Remove what is at `path`: an entry takes the place of an earlier one with its name."""
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            self._remove(path)
            return
        remove_tree(path)
        self._parent = "/"
        self._made.clear()
        gone = [known for known in self._directories if f"{known}/".startswith(f"{path}/")]
        for known in gone:
            del self._directories[known]

    def _remove(self, path: str) -> None:
        os.unlink(path)
        # It may have been a link, by whose name directories were made.
        self._made.clear()

    # -- entries

    def _make(self, entry: Entry, tar: Tar, path: str) -> None:
        if entry.kind == "directory":
            self._directory(path)
            self._directories[path] = entry
        elif entry.kind == "device":
            self.left_out["devices"] += 1
        elif entry.kind == "file":
            self._file(entry, tar, path)
        else:
            try:
                self._node(entry, path)
            except FileExistsError:
                self._clear(path)
                self._node(entry, path)

    def _node(self, entry: Entry, path: str) -> None:
        if entry.kind == "link":
            self._link(entry, path)
            return
        if entry.kind == "symlink":
            os.symlink(entry.target, path)
            self.size += entry.size
        else:
            os.mkfifo(path, 0o600)
        kept = self._own(path, entry)
        self._attributes(path, entry)
        if entry.kind == "fifo":
            os.chmod(path, entry.mode & kept)
        os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)

    @staticmethod
    def _link(entry: Entry, path: str) -> None:
        target = _inside(entry.target)
        if target == path:
            return
        try:
            os.link(target, path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            raise ImageError(f'"{entry.name}" is a hard link to "{entry.target}", which is not there') from None

    def _file(self, entry: Entry, tar: Tar, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = entry.mode & 0o755  # the umask would take the rest
        try:
            fd = os.open(path, flags, mode)
        except FileExistsError:
            self._clear(path)
            fd = os.open(path, flags, mode)
        try:
            end = 0
            for offset, piece in tar.pieces():
                if _is_zeros(piece):
                    continue  # a hole
                if offset != end:
                    os.lseek(fd, offset, os.SEEK_SET)
                end = offset + len(piece)
                _write(fd, piece)
            if end != entry.size:
                os.ftruncate(fd, entry.size)
            self.size += entry.size
            kept = self._own(fd, entry)
            # After the owner, whose change takes capabilities away; before the time.
            self._attributes(fd, entry)
            if entry.attributes or entry.mode & kept != mode:
                os.fchmod(fd, entry.mode & kept)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _own(self, file: str | int, entry: Entry) -> int:
        """Give the owner that the entry says, as far as the lab has it; the bits of its mode that may stay."""
        if entry.uid == 0 and entry.gid == 0:
            return 0o7777
        uid_given, gid_given = _chown(file, entry.uid, -1), _chown(file, -1, entry.gid)
        if uid_given and gid_given:
            return 0o7777
        self.left_out["owners"] += 1
        # What was to run as somebody whom the lab does not have must not run as root instead.
        return 0o7777 & ~(0 if uid_given else stat.S_ISUID) & ~(0 if gid_given else stat.S_ISGID)

    def _attributes(self, file: str | int, entry: Entry) -> None:
        for name, value in entry.attributes.items():
            if name.startswith(_FORBIDDEN):
                self.left_out["attributes"] += 1
                continue
            try:
                if isinstance(file, int):
                    os.setxattr(file, name, value)
                else:
                    os.setxattr(file, name, value, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _REFUSALS:
                    raise
                self.left_out["attributes"] += 1


def _inside(name: str) -> str:
    """An entry's name as a path from the root. Raises `ImageError` when it climbs."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ImageError(f'an entry leads out of the layer: "{name}"')
    if len(parts) > DEEPEST:
        raise ImageError(f"an entry lies below {len(parts) - 1} directories")
    return "/" + "/".join(parts)


def is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _make_opaque(path: str) -> None:
    try:
        os.setxattr(path, OPAQUE_ATTRIBUTE, b"y")
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        raise Unavailable(
            "the store's file system keeps no user attributes, which layers need; set NBCONTAINER_HOME to another one"
        ) from None


def _chown(file: str | int, uid: int, gid: int) -> bool:
    """Whether the lab has the id and gave it; -1 stands for no change (chown(2))."""
    if max(uid, gid) > _LARGEST_ID or min(uid, gid) < -1 or uid == gid:
        return False
    try:
        if isinstance(file, int):
            os.fchown(file, uid, gid)
        else:
            os.lchown(file, uid, gid)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return False
    return True


def _is_zeros(piece: memoryview) -> bool:
    """Whether it is so many zeros that a hole takes less of the disk."""
    return len(piece) >= _LONG and not (piece[0] or piece[-1]) and bytes(piece) == _ZEROS[: len(piece)]


def _write(fd: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(fd, piece) :]
