"""The bytes of a layer or an archive, decompressed as they come, with their digest.

gzip is inflated by ISA-L, faster than by zlib; zstd by libzstd. Neither is ever in the lab, which
gets plain bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from nbcontainer.errors import ImageError
from nbcontainer.image.tar import CHUNK

try:
    from isal import isal_zlib

    _inflater: Any = isal_zlib.decompressobj
    _errors: Any = (zlib.error, isal_zlib.error)
except ImportError:  # an architecture that it is not built for
    _inflater, _errors = zlib.decompressobj, (zlib.error,)

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
#: zstd's skippable frames, of which some writers put one first: RFC 8878, 3.1.2.
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))
#: Compressions that no image uses.
_OTHERS = {b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
#: Bytes that tell one from another.
MAGIC = 6
#: zlib's parameter for "gzip only": zlib.decompressobj, `wbits`.
_WBITS = 31
#: The most memory that zstd data may ask for: its window, in bytes (RFC 8878, 3.1.1.1.2).
_WINDOW = 64 << 20
#: Beyond so many bytes, more than so many from each compressed one are a decompression bomb: text comes to about 10.
BOMB_SIZE = 4 << 30
BOMB_RATIO = 200


class Content:
    """What `source(n)` gives, decompressed if it is gzip (RFC 1952, several members too) or zstd (RFC 8878).

    `read` raises `ImageError` when it is cut off, damaged, compressed otherwise, or a decompression bomb.
    """

    def __init__(self, source: Callable[[int], bytes], *, digest: bool = True) -> None:
        self._source = source
        self._digest = hashlib.sha256() if digest else None
        self._taken = self._given = 0
        first = self._more(CHUNK)
        self.compression = compression(first)
        self._reader: _Reader
        if self.compression == "gzip":
            self._reader = _Gzip(first, self._more)
        elif self.compression == "zstd":
            self._reader = _Zstd(first, self._more)
        elif self.compression:
            raise ImageError(f"compressed with {self.compression}: images are plain, gzip or zstd; decompress it first")
        else:
            self._reader = _Plain(first, self._more)

    def _more(self, most: int) -> bytes:
        data = self._source(most)
        self._taken += len(data)
        return data

    def read(self, most: int = CHUNK) -> bytes:
        """At most `most` decompressed bytes, none at the end."""
        data = self._reader.read(most)
        self._given += len(data)
        if self._given > BOMB_SIZE and self._given > BOMB_RATIO * self._taken:
            raise ImageError(
                f"it is a decompression bomb: {self._taken} bytes have become {self._given}, "
                f"more than {BOMB_RATIO} times as many"
            )
        if self._digest is not None:
            self._digest.update(data)
        return data

    def drain(self) -> None:
        """Read to the end."""
        while self.read():
            pass

    def finish(self) -> str:
        """Read to the end; the digest of all the decompressed bytes."""
        self.drain()
        assert self._digest is not None
        return f"sha256:{self._digest.hexdigest()}"


def compression(start: bytes) -> str | None:
    """What data that begins so is compressed with: gzip, zstd, or one of those that cannot be read; None if plain."""
    if start.startswith(GZIP):
        return "gzip"
    if start.startswith((ZSTD, *_SKIPPABLE)):
        return "zstd"
    return next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)


class _Reader(Protocol):
    def read(self, most: int) -> bytes: ...


class _Plain:
    def __init__(self, first: bytes, more: Callable[[int], bytes]) -> None:
        self._pending, self._more = first, more

    def read(self, most: int) -> bytes:
        if not self._pending:
            return self._more(most)
        data, self._pending = self._pending[:most], self._pending[most:]
        return data


class _Gzip:
    def __init__(self, first: bytes, more: Callable[[int], bytes]) -> None:
        self._pending, self._more = first, more
        self._inflate = _inflater(_WBITS)

    def read(self, most: int) -> bytes:
        while True:
            try:
                # Called with nothing too: it may have taken all its input and still owe us output.
                data: bytes = self._inflate.decompress(self._pending, most)
            except _errors as error:
                raise ImageError(f"its gzip data is damaged: {str(error).splitlines()[0]}") from None
            self._pending = self._inflate.unconsumed_tail
            if data:
                return data
            if self._inflate.eof:
                rest = self._inflate.unused_data.lstrip(b"\0")
                while not rest:
                    more = self._more(CHUNK)
                    if not more:
                        return b""
                    rest = more.lstrip(b"\0")
                self._inflate, self._pending = _inflater(_WBITS), rest
            elif not self._pending:
                self._pending = self._more(CHUNK)
                if not self._pending:
                    raise ImageError("its gzip data is cut off")


class _Zstd:
    def __init__(self, first: bytes, more: Callable[[int], bytes]) -> None:
        import zstandard

        self._first, self._more = first, more
        self._error = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
            cast(Any, _Stream(self._take)), read_across_frames=True
        )

    def _take(self, most: int) -> bytes:
        data, self._first = (self._first, b"") if self._first else (self._more(most), b"")
        if len(data) > most:
            data, self._first = data[:most], data[most:]
        return data

    def read(self, most: int) -> bytes:
        try:
            return self._reader.read(most)
        except self._error as error:
            raise ImageError(f"its zstd data is damaged: {error}") from None


class _Stream:
    """As zstandard wants its source."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read
