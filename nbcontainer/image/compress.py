"""Compressors, chosen by how a file is named: `.gz` and `.tgz`, `.zst`, anything else not at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

#: zlib's parameter for the gzip format (zlib.compressobj, `wbits`); its header then has no name and no time.
_WBITS = 31
_ZSTD_LEVEL = 3


class Compressor(Protocol):
    """What zlib's and zstd's compressors have in common."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _gzip() -> Compressor:
    try:
        from isal import isal_zlib
    except ImportError:  # an architecture it is not built for
        return zlib.compressobj(wbits=_WBITS)
    fast: Compressor = isal_zlib.compressobj(isal_zlib.ISAL_BEST_COMPRESSION, wbits=_WBITS)
    return fast


def _zstd() -> Compressor:
    import zstandard

    made: Compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    return made


_BY_SUFFIX: dict[str, Callable[[], Compressor]] = {".gz": _gzip, ".tgz": _gzip, ".zst": _zstd, ".zstd": _zstd}


def for_name(path: Path) -> Compressor:
    """The compressor that a file of this name wants."""
    return _BY_SUFFIX.get(path.suffix.lower(), _Plain)()
