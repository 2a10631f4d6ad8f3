"""`ip netns monitor`: which names come and go."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from nbcontainer.lab.handle import Handle
from nbcontainer.syscalls import inotify


class Monitor:
    """Watches the lab's named network namespaces until `stop()`, or as a context manager.

    `lines` are `add r1` and `delete r1`, as iproute2 prints them. `on_line` is called with each, on the background
    loop's thread.
    """

    def __init__(self, lab: Handle, directory: int, on_line: Callable[[str], object] | None = None) -> None:
        self.lines: list[str] = []
        self._lab = lab
        self._on_line = on_line
        self._changed = threading.Condition()
        # By its descriptor: the directory is in the lab's mount namespace, which this process is not in.
        self._fd = inotify.watch(f"/proc/self/fd/{directory}", inotify.IN_CREATE | inotify.IN_DELETE)
        lab.loop.do(lab.loop.asyncio.add_reader, self._fd, self._read)

    def __repr__(self) -> str:
        return "\n".join(self.lines) or "<Monitor: nothing has happened>"

    def _read(self) -> None:
        for mask, name in inotify.events(os.read(self._fd, 1 << 16)):
            line = f"{'add' if mask & inotify.IN_CREATE else 'delete'} {name}"
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
            if self._on_line is not None:
                self._on_line(line)

    def wait(self, count: int, timeout: float = 10.0) -> list[str]:
        """The first `count` lines, when there are as many. Raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.lines) >= count, timeout):
                raise TimeoutError(f"{len(self.lines)} of {count} lines after {timeout} seconds")
            return self.lines[:count]

    def stop(self) -> None:
        """Watch no more; the lines stay."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._lab.loop.do(self._lab.loop.asyncio.remove_reader, fd)
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
