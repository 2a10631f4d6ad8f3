"""The bytes of a layer or an archive, decompressed as they come, with their digest.

Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

from nbcontainer.errors import ImageError

#: Bytes read at once.
CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
#: Compressions that the standard library of Python 3.11 cannot undo, or that no image uses.
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
#: zlib's parameter for "gzip only": zlib.decompressobj, `wbits`.
_WBITS = 31


class Content:
    """What `source(n)` gives, gunzipped if it is gzip (RFC 1952, several members too).

    `read` raises `ImageError` when it is cut off or compressed otherwise.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self._pending = source(CHUNK)
        self._inflate = zlib.decompressobj(_WBITS) if self._pending.startswith(_GZIP) else None
        for magic, name in _OTHERS.items():
            if self._pending.startswith(magic):
                raise ImageError(f"compressed with {name}: only gzip and plain tar can be read; decompress it first")

    def read(self, most: int = CHUNK) -> bytes:
        """At most `most` decompressed bytes, none at the end."""
        data = self._plain(most) if self._inflate is None else self._inflated(most)
        self._digest.update(data)
        return data

    def finish(self) -> str:
        """Read to the end; the digest of all the decompressed bytes."""
        while self.read():
            pass
        return f"sha256:{self._digest.hexdigest()}"

    def _plain(self, most: int) -> bytes:
        if not self._pending:
            return self._source(most)
        data, self._pending = self._pending[:most], self._pending[most:]
        return data

    def _inflated(self, most: int) -> bytes:
        assert self._inflate is not None
        while True:
            try:
                # Called with nothing too: zlib may have taken all its input and still owe us output.
                data = self._inflate.decompress(self._pending, most)
            except zlib.error as error:
                raise ImageError(f"its gzip data is damaged: {error}") from None
            self._pending = self._inflate.unconsumed_tail
            if data:
                return data
            if self._inflate.eof:
                rest = self._inflate.unused_data.lstrip(b"\0")
                while not rest:
                    more = self._source(CHUNK)
                    if not more:
                        return b""
                    rest = more.lstrip(b"\0")
                self._inflate, self._pending = zlib.decompressobj(_WBITS), rest
            elif not self._pending:
                self._pending = self._source(CHUNK)
                if not self._pending:
                    raise ImageError("its gzip data is cut off")
