"""A layer compressed for a push: the same bytes give the same blob, whoever pushes it, whenever."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

from nbcontainer.image.tar import CHUNK

#: RFC 1952: deflate, no flags, no time, no particular speed, from no particular system.
_HEAD = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
_LEVEL = 6


def pack(source: Path, target: Path, check: Callable[[], object]) -> tuple[str, int]:
    """Write `source` to `target` with gzip: digest and bytes of that. `check` is called now and then."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    digest, size, crc, length = hashlib.sha256(), 0, 0, 0
    with source.open("rb") as file, target.open("wb") as packed:

        def put(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += packed.write(data)

        put(_HEAD)
        while data := file.read(CHUNK):
            check()
            crc, length = zlib.crc32(data, crc), length + len(data)
            put(deflate.compress(data))
        put(deflate.flush())
        put(crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little"))
    return f"sha256:{digest.hexdigest()}", size
