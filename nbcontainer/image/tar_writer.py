"""Writes a tar archive that depends on what is in it and nothing else: ustar, with pax records where that is too small.

The same entries give the same bytes: no names of users, no device numbers, no times but mtime, no padding at the end
beyond the two blocks of zeros. A large hole in a file is kept as one (GNU tar manual, "Storing Sparse Files", pax
format 1.0). POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence

from nbcontainer.image.tar import BLOCK, CHUNK, Entry, Kind

_TYPES: dict[Kind, bytes] = {"file": b"0", "link": b"1", "symlink": b"2", "directory": b"5", "fifo": b"6"}
_SECOND = 10**9
#: The first time that a header's eleven octal digits cannot say (they are seconds).
_LATE = 8**11
#: The name of what describes the next entry; nobody is to see it.
_PAX_NAME = b"PaxHeaders.0"
#: Files without at least this many bytes of holes are written whole, as every other tool does.
_WORTHWHILE = 1 << 20
#: A hole shorter than this is written as zeros; a longer one too where a file would have too many parts.
_SHORT = 1 << 16
_MOST_PARTS = 10_000


class Sum:
    """A file being written, and the digest of what has been. Raises `OSError`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """All of `data`."""
        self._digest.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    @property
    def digest(self) -> str:
        """Of all that was written."""
        return f"sha256:{self._digest.hexdigest()}"


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
        parts = [(0, entry.size)] if entry.kind == "file" and entry.size else []
        stored, sparse = entry.size if entry.kind == "file" else 0, b""
        if content is not None and _has_holes(content, entry.size):
            parts = _parts(content, entry.size)
            sparse = _map(parts, entry.size)
            stored = len(sparse) + sum(length for _, length in parts)
            records += [
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", name),
                ("GNU.sparse.realsize", b"%d" % entry.size),
            ]
            name = b"GNUSparseFile.0"
        self._put(_headers(name, entry, stored, records))
        self._put(sparse)
        for offset, length in parts:
            self._copy(content, offset, length, watch)
        self._put(bytes(-stored % BLOCK))
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

    def _copy(self, content: int | None, offset: int, length: int, watch: Callable[[bytes], object] | None) -> None:
        while length:
            piece = os.pread(content, min(CHUNK, length), offset) if content is not None else b""
            if not piece:
                piece = bytes(min(CHUNK, length))
            if watch is not None:
                watch(piece)
            self._put(piece)
            offset += len(piece)
            length -= len(piece)

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


# -- holes


def _has_holes(fd: int, size: int) -> bool:
    """Whether the file has so few blocks that it is worth looking for its holes (stat(2), st_blocks)."""
    return size - os.fstat(fd).st_blocks * 512 >= _WORTHWHILE


def _parts(fd: int, size: int) -> list[tuple[int, int]]:
    """Where the file has data, (offset, length) each: lseek(2), "Seeking file data and holes"."""
    short = max(_SHORT, size // _MOST_PARTS)
    parts: list[tuple[int, int]] = []
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: nothing but a hole from here on
        if start >= size:
            break
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if parts and start - sum(parts[-1]) < short:
            parts[-1] = (parts[-1][0], end - parts[-1][0])
        else:
            parts.append((start, end - start))
    return parts


def _map(parts: Sequence[tuple[int, int]], size: int) -> bytes:
    """The map that comes before the data, in whole blocks. As GNU tar has it, an empty part at the end says how
    long the file is."""
    pairs = [*parts, *([(size, 0)] if not parts or sum(parts[-1]) < size else [])]
    text = b"%d\n" % len(pairs) + b"".join(b"%d\n%d\n" % pair for pair in pairs)
    return text + bytes(-len(text) % BLOCK)
