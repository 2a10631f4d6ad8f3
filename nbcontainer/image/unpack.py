"""Runs inside the lab: a layer's tar archive as a directory that overlayfs takes for a lower one.

The whole work happens with the layer's own directory as root (chroot(2)): wherever a name or a link in the archive
leads, it leads inside. OCI image-spec, layer.md; Documentation/filesystems/overlayfs.rst for whiteouts.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import posixpath
import stat
import tarfile
import zlib
from typing import Any, BinaryIO, cast

from nbcontainer.errors import ImageError
from nbcontainer.lab.files import remove_tree

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
#: Bytes of unpacked archive above which a layer is refused: a bomb, not a layer.
LARGEST = 256 << 30
CHUNK = 1 << 20


class _Digesting(io.RawIOBase):
    """Reads `source` and keeps the digest of all that was read."""

    def __init__(self, source: BinaryIO) -> None:
        self.source = source
        self.digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.size += len(data)
        if self.size > LARGEST:
            raise ImageError(f"a layer unpacks to more than {LARGEST >> 30} GiB")
        return len(data)


def unpack(diff_id: str, target: str, *, fds: list[int]) -> dict[str, int]:
    """Unpack the layer in the file `fds[0]`, plain or gzip, to `target`, which appears whole or not at all.

    `{"files": …, "left_out": …}`: entries made, and devices and owners that this lab cannot make. Raises
    `ImageError` when the archive is not one, or not `diff_id`'s, and when the disk is full.
    """
    if os.path.isdir(target):
        return {"files": 0, "left_out": 0}
    beside = f"{target}.{os.urandom(4).hex()}.new"  # pids repeat from lab to lab
    os.mkdir(beside, 0o755)
    back = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _unpack_below(beside, diff_id, fds[0])
        _leave(back)
        try:
            os.rename(beside, target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            remove_tree(beside)  # another process was quicker
        return found
    except BaseException as error:
        _leave(back)
        remove_tree(beside)
        raise _told(error, diff_id) from None
    finally:
        os.close(back)


def _leave(root: int) -> None:
    os.fchdir(root)
    os.chroot(".")


def _told(error: BaseException, diff_id: str) -> BaseException:
    short = diff_id[:19]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ImageError(f"no space left on device while unpacking layer {short}: nothing of it was kept")
    if isinstance(error, OSError | EOFError | zlib.error | tarfile.TarError | ValueError | UnicodeError):
        return ImageError(f"layer {short} cannot be unpacked: {error}")
    return error


def _unpack_below(root: str, diff_id: str, fd: int) -> dict[str, int]:
    file = os.fdopen(os.dup(fd), "rb")
    file.seek(0)
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    reader = _Digesting(cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file)
    buffered = io.BufferedReader(reader, CHUNK)
    # Codecs that tarfile asks for must be loaded before there is nothing left to load them from.
    "x".encode("utf-8", "surrogateescape").decode("iso8859-1").encode("ascii")
    os.chroot(root)
    os.chdir("/")
    layer = _Layer()
    with tarfile.open(fileobj=buffered, mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            layer.add(tar, member)
    layer.finish()
    while buffered.read(CHUNK):
        pass  # what follows the archive's end is part of the digest too
    if f"sha256:{reader.digest.hexdigest()}" != diff_id:
        raise ImageError(
            f"a layer is not what its image says: expected {diff_id}, found sha256:{reader.digest.hexdigest()}"
        )
    return {"files": layer.files, "left_out": layer.left_out}


class _Layer:
    """The directory being filled, which is "/" here."""

    def __init__(self) -> None:
        self.files = 0
        self.left_out = 0
        self._times: list[tuple[str, float]] = []

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """One entry."""
        if any(part == ".." for part in member.name.split("/")):
            raise ImageError(f'an entry leads out of the layer: "{member.name}"')
        path = posixpath.normpath("/" + member.name.lstrip("/"))
        parent, name = posixpath.split(path)
        if path != "/":
            self._parents(parent)
        if name == OPAQUE:
            os.setxattr(parent, "user.overlay.opaque", b"y")
        elif name.startswith(WHITEOUT):
            hidden = posixpath.join(parent, name[len(WHITEOUT) :])
            if posixpath.dirname(hidden) != parent or hidden == parent:
                raise ImageError(f'a whiteout hides nothing: "{member.name}"')
            _clear(hidden)
            os.mknod(hidden, stat.S_IFCHR | 0o000, 0)  # device 0:0, allowed in a user namespace since Linux 5.8
        else:
            self._make(tar, member, path)
        self.files += 1

    def _parents(self, parent: str) -> None:
        if os.path.isdir(parent):
            return
        if os.path.lexists(parent) and os.path.islink(parent):
            raise ImageError(f'an entry lies below a link that leads nowhere: "{parent}"')
        os.makedirs(parent, 0o755, exist_ok=True)

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isdir():
            if not os.path.isdir(path) or os.path.islink(path):
                _clear(path)
                os.mkdir(path)
            self._times.append((path, member.mtime))
        elif member.islnk():
            target = posixpath.normpath("/" + member.linkname.lstrip("/"))
            if not os.path.lexists(target):
                raise ImageError(f'a hard link has no target: "{member.name}" to "{member.linkname}"')
            _clear(path)
            os.link(target, path, follow_symlinks=False)
            return
        elif member.issym():
            _clear(path)
            os.symlink(member.linkname, path)
        elif member.isfile():
            _clear(path)
            self._write(tar, member, path)
        elif member.isfifo():
            _clear(path)
            os.mkfifo(path)
        else:
            self.left_out += 1  # a device, which no user namespace can make
            return
        self._describe(member, path)

    @staticmethod
    def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = tar.extractfile(member)
        assert source is not None
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb", buffering=0) as file:
            while chunk := source.read(CHUNK):
                # A sparse entry is a sparse file again.
                if len(chunk) == CHUNK and not chunk.strip(b"\0"):
                    file.seek(CHUNK, os.SEEK_CUR)
                else:
                    file.write(chunk)
            file.truncate(member.size)

    def _describe(self, member: tarfile.TarInfo, path: str) -> None:
        try:
            os.lchown(path, member.uid, member.gid)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
            self.left_out += 1  # an id that this lab does not have
        for key, value in member.pax_headers.items():
            if key.startswith("SCHILY.xattr."):
                self._attribute(path, key[len("SCHILY.xattr.") :], value)
        if not member.issym():
            os.chmod(path, member.mode & 0o7777)
        if not member.isdir():
            os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)

    def _attribute(self, path: str, name: str, value: str) -> None:
        if name.startswith(("user.overlay.", "trusted.")):
            self.left_out += 1  # would be overlayfs's own
            return
        try:
            os.setxattr(path, name, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            self.left_out += 1

    def finish(self) -> None:
        """Times of directories, which every entry made in them has changed."""
        for path, when in reversed(self._times):
            os.utime(path, (when, when))


def _clear(path: str) -> None:
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if path == "/":
        raise ImageError("an entry would replace the layer's root")
    if stat.S_ISDIR(info.st_mode):
        remove_tree(path)
    else:
        os.unlink(path)
