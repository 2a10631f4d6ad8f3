"""Archives that ADD unpacks: tar, plain or compressed, told by their content and not by their name."""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from nbcontainer.errors import ImageError
from nbcontainer.image.content import Content
from nbcontainer.image.tar import BLOCK

_CHUNK = 1 << 20
#: Beyond so many bytes, more than so many from each compressed one are a decompression bomb.
BOMB_SIZE = 4 << 30
BOMB_RATIO = 200


def opened(fd: int, workspace: Path) -> int | None:
    """A descriptor of the tar archive that the file `fd` is: `fd` itself when it is a plain one, else a new one of it
    decompressed, which has no name in `workspace`. None when it is no archive.

    Raises `ImageError` when it is an archive whose compression is damaged, or a decompression bomb.
    """
    head = os.pread(fd, BLOCK, 0)
    if is_tar(head):
        return fd
    try:
        read = _reader(fd, head)
        first = _exactly(read, BLOCK)
    except (OSError, EOFError, ImageError, zlib.error, lzma.LZMAError):
        return None
    if not is_tar(first):
        return None
    target = os.open(workspace, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _copy(first, read, target, os.fstat(fd).st_size)
    except BaseException:
        os.close(target)
        raise
    return target


def is_tar(head: bytes) -> bool:
    """Whether a file that begins so is a tar archive: its first header has the right sum (POSIX.1-2017, pax)."""
    if len(head) < BLOCK or not head.strip(b"\0"):
        return False
    try:
        total = int(head[148:156].strip(b"\0 "), 8)
    except ValueError:
        return False
    return total == sum(head[:148]) + 8 * ord(" ") + sum(head[156:BLOCK])


def _reader(fd: int, head: bytes) -> Callable[[int], bytes]:
    file = os.fdopen(os.dup(fd), "rb")
    file.seek(0)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file).read
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(cast(BinaryIO, file)).read
    return Content(file.read).read


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    found = b""
    while len(found) < count and (piece := read(count - len(found))):
        found += piece
    return found


def _copy(first: bytes, read: Callable[[int], bytes], target: int, taken: int) -> None:
    given, piece = 0, first
    while piece:
        given += len(piece)
        if given > BOMB_SIZE and given > BOMB_RATIO * taken:
            raise ImageError(
                f"it is a decompression bomb: {taken} bytes have become {given}, more than {BOMB_RATIO} times as many"
            )
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]
        try:
            piece = read(_CHUNK)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ImageError(f"the archive's compression is damaged: {error}") from None
