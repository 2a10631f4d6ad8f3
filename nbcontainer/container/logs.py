"""What a container printed, kept on disk: both streams, byte for byte, with the time, and never more than a bound."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STDOUT, STDERR = 1, 2
#: Bytes after which the file becomes the older one of two; so at most twice this is kept.
MAX_SIZE = 8 << 20

_HEAD = struct.Struct(">BxxxIQ")


@dataclass(frozen=True)
class Record:
    """A piece of output: `stream` is `STDOUT` or `STDERR`, `time` in nanoseconds since the epoch."""

    stream: int
    time: int
    data: bytes


class Log:
    """The log of one container: `path` and, once it has been rotated, `path`.1. Made at the first byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._size = 0

    def append(self, stream: int, data: bytes) -> None:
        """Add a piece. A full disk loses log, never output or the container: the write is given up."""
        try:
            if self._fd < 0:
                self.path.parent.mkdir(exist_ok=True)
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._size = os.fstat(self._fd).st_size
            elif self._size >= MAX_SIZE:
                self.close()
                os.replace(self.path, self._older)
                return self.append(stream, data)
            self._size += os.writev(self._fd, [_HEAD.pack(stream, len(data), time.time_ns()), data])
        except OSError:
            pass

    @property
    def _older(self) -> Path:
        return self.path.with_name(self.path.name + ".1")

    def close(self) -> None:
        """Close the file; `append` opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def records(self) -> Iterator[Record]:
        """Every piece still kept, oldest first. A piece cut short by a kill is left out."""
        for path in (self._older, self.path):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                while len(head := file.read(_HEAD.size)) == _HEAD.size:
                    stream, length, when = _HEAD.unpack(head)
                    data = file.read(length)
                    if len(data) == length:
                        yield Record(stream, when, data)


def lines(records: Iterator[Record]) -> Iterator[Record]:
    """The same output cut into lines, each stream's partial lines joined; the last may lack its newline."""
    partial: dict[int, Record] = {}
    for record in records:
        begun = partial.pop(record.stream, None)
        data = begun.data + record.data if begun else record.data
        when = begun.time if begun else record.time
        for line in _split(data):
            if line.endswith(b"\n"):
                yield Record(record.stream, when, line)
                when = record.time
            else:
                partial[record.stream] = Record(record.stream, when, line)
    yield from partial.values()


def _split(data: bytes) -> list[bytes]:
    parts = [part + b"\n" for part in data.split(b"\n")]
    parts[-1] = parts[-1][:-1]
    return parts if parts[-1] else parts[:-1]
