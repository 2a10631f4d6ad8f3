"""Writes a tar archive that depends on what is in it and nothing else: ustar, with pax records where that is too small.

The same entries give the same bytes: no names of users, no device numbers, no times but mtime, no padding at the end
beyond the two blocks of zeros. Holes are zeros: what keeps layers in pieces, as Docker and Podman do, cannot put an
archive with sparse entries together again. POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

from nbcontainer.image.tar import BLOCK, CHUNK, Entry, Kind

_TYPES: dict[Kind, bytes] = {"file": b"0", "link": b"1", "symlink": b"2", "directory": b"5", "fifo": b"6"}
_SECOND = 10**9
#: The first time that a header's eleven octal digits cannot say (they are seconds).
_LATE = 8**11
#: The name of what describes the next entry; nobody is to see it.
_PAX_NAME = b"PaxHeaders.0"
_ZEROS = bytes(CHUNK)
#: Fewer zeros than this are written as they are.
_LONG = 1 << 16


class Sum:
    """A file being written, and the digest of what has been. Raises `OSError`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """All of `data`."""
        self._digest.update(data)
        write_sparse(self._fd, data)

    def finish(self) -> str:
        """The digest of all that was written."""
        return f"sha256:{self._digest.hexdigest()}"


def write_sparse(fd: int, data: bytes) -> None:
    """Write `data` to a new file; many zeros become a hole."""
    if len(data) >= _LONG and data == _ZEROS[: len(data)]:
        os.ftruncate(fd, os.lseek(fd, len(data), os.SEEK_CUR))
        return
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class TarWriter:
    """An archive given to `write` piece by piece."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._pending = bytearray()
        #: Bytes of the files in it, as `Entry.size` counts them.
        self.size = 0
        #: How many entries it has.
        self.entries = 0

    def add(self, entry: Entry, content: int | None = None, watch: Callable[[bytes], object] | None = None) -> None:
        """One entry. A file's bytes are read from the descriptor `content`: exactly `entry.size`, as zeros where it
        has become shorter meanwhile; `watch` is given them too."""
        records = [(f"SCHILY.xattr.{name}", value) for name, value in sorted(entry.attributes.items())]
        name = os.fsencode(entry.name) + (b"/" if entry.kind == "directory" else b"")
        size = entry.size if entry.kind == "file" else 0
        self._put(_headers(name, entry, size, records))
        for piece in _pieces(content, size) if content is not None else ():
            if watch is not None:
                watch(piece)
            self._put(piece)
        self._put(bytes(-size % BLOCK))
        self.size += entry.size
        self.entries += 1

    def add_bytes(self, name: str, data: bytes, mtime: int = 0) -> None:
        """A file with this content, anybody's to read."""
        self._put(_headers(name.encode(), Entry(name, "file", 0o644, 0, 0, mtime, len(data)), len(data), []))
        self._put(data + bytes(-len(data) % BLOCK))
        self.size += len(data)
        self.entries += 1

    def finish(self) -> None:
        """Write the end."""
        self._put(bytes(2 * BLOCK))
        self._flush()

    def _put(self, data: bytes) -> None:
        if len(data) >= CHUNK // 2:
            self._flush()
            self._write(data)
            return
        self._pending += data
        if len(self._pending) >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._write(bytes(self._pending))
            self._pending.clear()


# -- headers


def _headers(name: bytes, entry: Entry, stored: int, records: list[tuple[str, bytes]]) -> bytes:
    """The header of an entry, behind the one that says what does not fit into it."""
    target = os.fsencode(entry.target) if entry.kind in ("link", "symlink") else b""
    seconds, fraction = divmod(entry.mtime, _SECOND)
    said = [
        ("path", name, 100, not name.isascii() or len(name) > 100),
        ("linkpath", target, 100, not target.isascii() or len(target) > 100),
        ("mtime", _time(entry.mtime), 0, bool(fraction) or not 0 <= seconds < _LATE),
        ("uid", b"%d" % entry.uid, 0, not 0 <= entry.uid < 8**7),
        ("gid", b"%d" % entry.gid, 0, not 0 <= entry.gid < 8**7),
        ("size", b"%d" % stored, 0, stored >= 8**11),
    ]
    large = {key for key, _, _, too_large in said if too_large}
    records = [(key, value) for key, value, _, too_large in said if too_large] + records
    header = _header(
        _TYPES[entry.kind],
        name[:100],
        target[:100],
        entry.mode & 0o7777,
        0 if "uid" in large else entry.uid,
        0 if "gid" in large else entry.gid,
        0 if "size" in large else stored,
        min(max(seconds, 0), _LATE - 1),
    )
    if not records:
        return header
    body = b"".join(_record(key.encode("utf-8", "surrogateescape"), value) for key, value in records)
    before = _header(b"x", _PAX_NAME, b"", 0o644, 0, 0, len(body), 0)
    return before + body + bytes(-len(body) % BLOCK) + header


def _header(kind: bytes, name: bytes, target: bytes, mode: int, uid: int, gid: int, size: int, mtime: int) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0%07o\0%07o\0" % (mode, uid, gid),
        b"%011o\0%011o\0" % (size, mtime),
        b" " * 8,
        kind,
        target.ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0%07o\0" % (0, 0),
        bytes(167),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _record(key: bytes, value: bytes) -> bytes:
    """`"%d %s=%s\\n"`, the number being the length of the whole, itself too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _time(moment: int) -> bytes:
    """Nanoseconds as pax's seconds."""
    seconds, fraction = divmod(abs(moment), _SECOND)
    text = f"{'-' if moment < 0 else ''}{seconds}.{fraction:09}"
    return text.rstrip("0").rstrip(".").encode()


# -- content


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    """`size` bytes of a file. Holes are not read: lseek(2), "Seeking file data and holes"."""
    holes = size - os.fstat(fd).st_blocks * BLOCK >= CHUNK
    at, data, end = 0, 0, 0 if holes else size
    while at < size:
        if at >= end:
            data, end = _next_data(fd, at, size)
        if at < data:
            piece = _ZEROS[: data - at]
        else:
            wanted = min(CHUNK, end - at)
            piece = os.pread(fd, wanted, at) or _ZEROS[:wanted]
        yield piece
        at += len(piece)


def _next_data(fd: int, at: int, size: int) -> tuple[int, int]:
    """Where the next data of a file begins and ends, at or after `at`."""
    try:
        data = min(os.lseek(fd, at, os.SEEK_DATA), size)
        return data, min(os.lseek(fd, data, os.SEEK_HOLE), size) if data < size else size
    except OSError:
        return size, size  # ENXIO: nothing but a hole from here on
