"""A file that is read while it is still being written: what downloads or copies need not wait for what unpacks."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbcontainer.image.tar import CHUNK


class Arriving:
    """The file at `path`, growing. One thread writes; `reader`s follow it. What it has already is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._hash = hashlib.sha256()
        self._grown = threading.Condition()
        self._size = 0
        self._whole = False
        self._failed: BaseException | None = None

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self._size

    @property
    def digest(self) -> str:
        """The digest of what has arrived."""
        return f"sha256:{self._hash.hexdigest()}"

    def take_over(self, most: int, going_on: Callable[[], object]) -> None:
        """Count what the file has already, at most so many bytes, as arrived. `going_on()` is called now and then."""
        while self._size < most and (data := os.pread(self._fd, min(CHUNK, most - self._size), self._size)):
            going_on()
            self._hash.update(data)
            self._grow(len(data))
        os.ftruncate(self._fd, self._size)

    def write(self, data: bytes | memoryview) -> None:
        """More of it."""
        self._hash.update(data)
        view, at = memoryview(data), self._size
        while view:
            written = os.pwrite(self._fd, view, at)
            view, at = view[written:], at + written
        self._grow(len(data))

    def _grow(self, count: int) -> None:
        with self._grown:
            self._size += count
            self._grown.notify_all()

    def finish(self) -> None:
        """That was all of it, and it is right."""
        with self._grown:
            self._whole = True
            self._grown.notify_all()

    def fail(self, error: BaseException) -> None:
        """No more will come: readers that still wait get `error`."""
        with self._grown:
            if not self._whole and self._failed is None:
                self._failed = error
            self._grown.notify_all()

    def arrived(self, beyond: int) -> int:
        """Wait until more than `beyond` bytes have arrived; how many have. No more than `beyond` at the end."""
        with self._grown:
            self._grown.wait_for(lambda: self._size > beyond or self._whole or self._failed is not None)
            if self._failed is not None:
                raise self._failed
            return self._size

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Read it from its start, in another thread."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Reader(self, fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Nobody writes it any more."""
        os.close(self._fd)


class Reader:
    """What follows a file. Raises what the file `fail`ed with."""

    def __init__(self, file: Arriving, fd: int) -> None:
        self._file = file
        self._fd = fd
        self._at = 0

    def start(self, count: int) -> bytes:
        """Its first bytes, which `read` gives all the same."""
        self._file.arrived(0)
        return os.pread(self._fd, count, 0)

    def read(self, most: int) -> bytes:
        """The next bytes, as they arrive; none at the end."""
        data = os.read(self._fd, min(most, self._new()))
        self._at += len(data)
        return data

    def pour(self, pipe: int) -> str:
        """Move all of it into a pipe, as it arrives, without a copy (splice(2)); its digest."""
        while count := self._new():
            self._at += os.splice(self._fd, pipe, count, offset_src=self._at)
        return self._file.digest

    def _new(self) -> int:
        """How many bytes have arrived that were not read; none at the end."""
        count = self._file.arrived(self._at) - self._at
        if not count:
            # The store will ask for it before it records the file. Here nobody waits for the disk: the lab is at work.
            os.fsync(self._fd)
        return count
