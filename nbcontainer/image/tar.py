"""Reads a tar archive once, front to back, as it comes: ustar, GNU and pax, sparse files too.

The sizes in a header are the archive's word, so nothing is kept that they ask for but names and attributes, and of
those at most `LARGEST`. POSIX.1-2017, pax, "Extended Description"; GNU tar manual, appendix "Tar Internals".
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from nbcontainer.errors import ImageError

#: Bytes read at once.
CHUNK = 1 << 20
BLOCK = 512
#: The most bytes that the names and the attributes of one entry may have, and the most parts of a sparse file.
LARGEST = 1 << 20
_ZEROS = bytes(BLOCK)
_XATTR = "SCHILY.xattr."
#: Nanoseconds, before and after 1970, beyond which no file system keeps a time: ext4's 34 bits of seconds.
_LAST = (1 << 34) * 10**9

Kind = Literal["file", "link", "symlink", "directory", "fifo", "device"]
_KINDS: dict[bytes, Kind] = {
    b"\0": "file",
    b"0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "directory",
    b"6": "fifo",
}


@dataclass(slots=True)
class Entry:
    """One entry. `mtime` is in nanoseconds; `target` a link's. `size` is what the file will have, in bytes: a
    sparse one's with its holes, a symbolic link's is that of its target.
    """

    name: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    target: str = ""
    attributes: dict[str, bytes] = field(default_factory=dict)


class Tar:
    """The entries of the archive that `read(n)` gives. Iterating raises `ImageError` when it is not one."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._chunk = b""
        self._at = 0
        #: Bytes of the current entry, padding included, that nobody has taken.
        self._left = 0
        #: Where in the current entry's file its stored bytes lie: (offset, length) each.
        self._parts: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[Entry]:
        while True:
            while self._left:
                self._some(self._left)
            entry = self._next()
            if entry is None:
                return
            yield entry

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """The bytes of the entry just iterated to, in order: where each piece lies in the file, and the piece."""
        for offset, length in self._parts:
            while length:
                piece = self._some(length)
                yield offset, piece
                offset += len(piece)
                length -= len(piece)

    # -- bytes

    def _some(self, most: int) -> memoryview:
        if self._at == len(self._chunk):
            self._chunk, self._at = self._read(CHUNK), 0
            if not self._chunk:
                raise ImageError("the tar archive is cut off")
        piece = memoryview(self._chunk)[self._at : self._at + most]
        self._at += len(piece)
        self._left -= len(piece)
        return piece

    def _take(self, count: int) -> bytes:
        self._left += count
        if len(self._chunk) - self._at >= count:
            return bytes(self._some(count))
        taken = bytearray()
        while len(taken) < count:
            taken += self._some(count - len(taken))
        return bytes(taken)

    def _header(self) -> bytes | None:
        if self._at == len(self._chunk):
            self._chunk, self._at = self._read(CHUNK), 0
            if not self._chunk:
                return None
        header = self._take(BLOCK)
        if header == _ZEROS:
            return None
        if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _number(header[148:156]):
            raise ImageError("not a tar archive, or a damaged one: the checksum of a header is wrong")
        return header

    def _body(self, size: int) -> bytes:
        """The content of a header that describes the next one."""
        if not 0 <= size <= LARGEST:
            raise ImageError(f"the tar archive has a header of {size} bytes")
        return self._take(size + -size % BLOCK)[:size]

    # -- headers

    def _next(self) -> Entry | None:
        name, target, records = b"", b"", list[tuple[str, bytes]]()
        while True:
            header = self._header()
            if header is None:
                if name or target or records:
                    raise ImageError("the tar archive is cut off")
                return None
            kind, size = header[156:157], _number(header[124:136])
            if kind == b"L":
                name = self._body(size).split(b"\0", 1)[0]
            elif kind == b"K":
                target = self._body(size).split(b"\0", 1)[0]
            elif kind == b"x":
                records = _records(self._body(size))
            elif kind == b"g":
                self._body(size)  # for all that follow: comments, in practice; no layer needs it
            else:
                return self._entry(header, size, name, target, records)

    def _entry(self, header: bytes, stored: int, name: bytes, target: bytes, records: list[tuple[str, bytes]]) -> Entry:
        flag = header[156:157]
        kind = _KINDS.get(flag)
        if kind is None:
            raise ImageError(f"the tar archive has an entry of unknown type {flag!r}")
        pax = dict(records)
        if not name:
            name = header[:100].split(b"\0", 1)[0]
            # Only POSIX's magic: GNU keeps times where ustar has the prefix.
            if header[257:263] == b"ustar\0" and header[345]:
                name = header[345:500].split(b"\0", 1)[0] + b"/" + name
        name = pax.get("GNU.sparse.name") or pax.get("path") or name
        if flag == b"\0" and name.endswith(b"/"):
            kind = "directory"
        entry = Entry(
            os.fsdecode(name),
            kind,
            _number(header[100:108]) & 0o7777,
            _decimal(pax["uid"]) if "uid" in pax else _number(header[108:116]),
            _decimal(pax["gid"]) if "gid" in pax else _number(header[116:124]),
            _time(pax["mtime"]) if "mtime" in pax else _clamped(_number(header[136:148]) * 10**9),
            target=os.fsdecode(pax.get("linkpath") or target or header[157:257].split(b"\0", 1)[0]),
            attributes={key[len(_XATTR) :]: value for key, value in records if key.startswith(_XATTR)},
        )
        if kind == "file":
            stored = _decimal(pax["size"]) if "size" in pax else stored
            if stored < 0:
                raise ImageError("the tar archive has an entry of negative size")
            self._place(entry, header, stored, records)
        else:
            # Other kinds have no content, whatever their header says.
            entry.size = len(os.fsencode(entry.target)) if kind == "symlink" else 0
            self._parts, self._left = [], 0
        return entry

    # -- sparse files

    def _place(self, entry: Entry, header: bytes, stored: int, records: list[tuple[str, bytes]]) -> None:
        """Say where the file's stored bytes belong: GNU tar manual, "Storing Sparse Files"."""
        pax = dict(records)
        padding = -stored % BLOCK
        if header[156:157] == b"S":
            entry.size, self._parts = _number(header[483:495]), self._old_gnu(header)
        elif "GNU.sparse.major" in pax:
            entry.size = _decimal(pax.get("GNU.sparse.realsize", b""))
            self._parts, taken = self._version_1()
            stored -= taken
        elif "GNU.sparse.map" in pax:
            entry.size = _decimal(pax.get("GNU.sparse.size", b""))
            self._parts = _pairs([_decimal(number) for number in pax["GNU.sparse.map"].split(b",") if number])
        elif "GNU.sparse.size" in pax:
            entry.size = _decimal(pax["GNU.sparse.size"])
            wanted = ("GNU.sparse.offset", "GNU.sparse.numbytes")
            self._parts = _pairs([_decimal(value) for key, value in records if key in wanted])
        else:
            entry.size, self._parts = stored, [(0, stored)]
        self._left = stored + padding
        end = 0
        for offset, length in self._parts:
            if offset < end or length < 0:
                raise ImageError("the tar archive has a sparse file whose parts overlap")
            end = offset + length
        if sum(length for _, length in self._parts) != stored or end > entry.size:
            raise ImageError("the tar archive has a sparse file whose parts do not fit")

    def _old_gnu(self, header: bytes) -> list[tuple[int, int]]:
        numbers = _sparse_numbers(header[386:482])
        more = header[482]
        while more:
            if len(numbers) > LARGEST:
                raise ImageError("the tar archive has a sparse file of too many parts")
            block = self._take(BLOCK)
            numbers += _sparse_numbers(block[:504])
            more = block[504]
        return _pairs(numbers)

    def _version_1(self) -> tuple[list[tuple[int, int]], int]:
        """The map before the content, in whole blocks: how many parts, then offset and length of each, a line each."""
        text, lines = b"", list[bytes]()
        while not lines or len(lines) < 2 * _decimal(lines[0]) + 1:
            if len(text) > LARGEST:
                raise ImageError("the tar archive has a sparse file of too many parts")
            text += self._take(BLOCK)
            lines = text.split(b"\n")[:-1]
        return _pairs([_decimal(line) for line in lines[1 : 2 * _decimal(lines[0]) + 1]]), len(text)


def _number(digits: bytes) -> int:
    """A header's number: octal, or base 256 with the first bit set (GNU)."""
    text = digits.rstrip(b"\0 ")
    if not text.isdigit():
        if digits[0] & 0x80:
            sign = 0xFF if digits[0] & 0x40 else 0
            first = digits[0] if sign else digits[0] & 0x7F
            return int.from_bytes(bytes([sign, first]) + digits[1:], "big", signed=True)
        text = digits.split(b"\0", 1)[0].strip()
        if not text:
            return 0
    if text.strip(b"01234567"):
        raise ImageError("not a tar archive, or a damaged one: a header has no number where one must be")
    return int(text, 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ImageError("the tar archive has a header without a number where one must be")
    return int(text)


def _time(text: bytes) -> int:
    """pax's seconds, with a fraction, as nanoseconds."""
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    moment = _decimal(whole or b"0") * 10**9 + _decimal(fraction[:9].ljust(9, b"0"))
    return _clamped(-moment if text.startswith(b"-") else moment)


def _clamped(moment: int) -> int:
    return min(max(moment, -_LAST), _LAST)


def _records(data: bytes) -> list[tuple[str, bytes]]:
    """pax records, `"%d %s=%s\\n"` each, the number being the length of the whole."""
    found = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        length = _decimal(data[at:space]) if space > 0 else 0
        record = data[space + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or not record.endswith(b"\n") or at + length > len(data):
            raise ImageError("the tar archive has a damaged pax header")
        found.append((key.decode("utf-8", "surrogateescape"), value))
        at += length
    return found


def _sparse_numbers(data: bytes) -> list[int]:
    cells = [data[at : at + 12] for at in range(0, len(data), 12)]
    used = next((n for n in range(0, len(cells), 2) if not cells[n].strip(b"\0 ")), len(cells))
    return [_number(cell) for cell in cells[:used]]


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2:
        raise ImageError("the tar archive has a sparse file whose map is damaged")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
