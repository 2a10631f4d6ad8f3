"""A container's standard input and output, served by the background loop.

The loop is the only reader: it logs what it reads and hands it to whoever watches. A watcher that falls behind makes
the loop stop reading, so a foreground command waits for its reader as on any pipe, and nothing is lost.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable

from nbcontainer.container.logs import STDERR, STDOUT, Log
from nbcontainer.lab.loop import Loop

#: Bytes read at once, and the size a pipe is given for it.
CHUNK = 1 << 18
#: Bytes a watcher may lag behind before the container is made to wait.
LAG = 8 << 20
#: Rows and columns of a terminal until somebody who looks at it says otherwise.
SIZE = 24, 80


#: The watcher that a thread has read last.
_read_by: weakref.WeakValueDictionary[int, Watcher] = weakref.WeakValueDictionary()


def interrupt(thread: int) -> None:
    """As Ctrl-C in the main thread: whatever that thread watches gets SIGINT, and the next time SIGKILL."""
    watcher = _read_by.get(thread)
    if watcher is not None:
        watcher.interrupt()


class Watcher:
    """Somebody who reads a container's output as it comes: iterate it from one thread.

    It has ended when it was told so `ends` times: by the output, and by what else its reader would wait for next.
    """

    def __init__(self, drained: Callable[[], object], ends: int = 1) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._pending = 0
        self._ends = ends
        self._interrupts = 0
        self._changed = threading.Condition()
        self._drained = drained

    @property
    def lagging(self) -> bool:
        """True when more than `LAG` bytes wait here."""
        return self._pending > LAG

    def put(self, stream: int, data: bytes) -> None:
        """One more piece (the loop's thread)."""
        with self._changed:
            self._pieces.append((stream, data))
            self._pending += len(data)
            self._changed.notify()

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self._ends -= 1
            if self._ends <= 0:
                self._changed.notify()

    def interrupt(self) -> None:
        """Raise `KeyboardInterrupt` in its reader."""
        with self._changed:
            self._interrupts += 1
            self._changed.notify()

    def get(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece, or None at the end. Raises `TimeoutError`, and `KeyboardInterrupt` once per `interrupt`."""
        _read_by[threading.get_ident()] = self
        with self._changed:
            if not self._changed.wait_for(lambda: self._pieces or self._ends <= 0 or self._interrupts, timeout):
                raise TimeoutError
            if self._interrupts:
                self._interrupts -= 1
                raise KeyboardInterrupt
            if not self._pieces:
                return None
            was_lagging = self.lagging
            stream, data = self._pieces.popleft()
            self._pending -= len(data)
            resume = was_lagging and not self.lagging
        if resume:
            self._drained()
        return stream, data


class Stdio:
    """The notebook's ends of a running container's pipes, or of its terminal."""

    def __init__(self, loop: Loop, log: Log | None) -> None:
        self.loop = loop
        self.log = log
        self.terminal = False
        self._outputs: dict[int, int] = {}
        self._input = -1
        self._to_write: deque[memoryview] = deque()
        self._close_input = False
        self._watchers: list[Watcher] = []
        self._paused = False
        self.ended = threading.Event()

    def pipes(self, interactive: bool) -> list[int]:
        """Make the pipes; the container's ends, for file descriptors 0, 1 and 2."""
        if interactive:
            theirs_in, self._input = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._input, False)
        else:
            theirs_in = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        ends = [theirs_in]
        for stream in (STDOUT, STDERR):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(ours, False)
            self._outputs[ours] = stream
            ends.append(theirs)
        return ends

    def use_terminal(self, master: int) -> None:
        """Read and write the pty `master` instead of pipes."""
        os.set_blocking(master, False)
        self.terminal = True
        self._outputs[master] = STDOUT
        self._input = os.dup(master)
        self.resize(*SIZE)

    def serve(self) -> None:
        """Begin to read."""
        self.loop.soon(self.resume)

    def enlarge(self) -> None:
        """Give the output pipes room for a whole `CHUNK`, where the user's limit allows it (pipe(7))."""
        for fd in self._outputs:
            try:
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CHUNK)
            except OSError:
                return

    def watch(self) -> Watcher:
        """A new watcher, which sees what comes from now on."""
        watcher = Watcher(lambda: self.loop.soon(self.resume))
        self.loop.do(self.add, watcher)
        return watcher

    def watch_unserved(self, ends: int = 1) -> Watcher:
        """As `watch`, before `serve`: it sees everything."""
        watcher = Watcher(lambda: self.loop.soon(self.resume), ends)
        self._watchers.append(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """The watcher reads no more."""
        self.loop.soon(self._remove, watcher)

    def add(self, watcher: Watcher) -> None:
        """A watcher of the caller's own, on the loop's thread or before `serve`: `put` and `end` come from there."""
        self._watchers.append(watcher)
        if self.ended.is_set():
            watcher.end()

    def _remove(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        self.resume()

    def resume(self) -> None:
        """Read on, after a watcher lagged (the loop's thread)."""
        self._paused = False
        for fd in self._outputs:
            self.loop.asyncio.add_reader(fd, self._readable, fd)
        if not self._outputs:
            self._end()

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            # pty(7): reading the master gives EIO once no process has the slave open.
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            self.loop.asyncio.remove_reader(fd)
            del self._outputs[fd]
            os.close(fd)
            if not self._outputs:
                self._end()
            return
        if self.log is not None:
            self.log.append(self._outputs[fd], data)
        for watcher in self._watchers:
            watcher.put(self._outputs[fd], data)
        if not self._paused and any(watcher.lagging for watcher in self._watchers):
            self._paused = True
            for output in self._outputs:
                self.loop.asyncio.remove_reader(output)

    def _end(self) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        if self.log is not None:
            self.log.close()
        self._shut_input()
        for watcher in self._watchers:
            watcher.end()

    # -- input

    def write(self, data: bytes) -> None:
        """Give `data` to the container's standard input, in the background."""
        self.loop.soon(self._queue, memoryview(data))

    def close_input(self) -> None:
        """End of input, once everything given has been taken."""
        self.loop.soon(self._queue, None)

    def _queue(self, data: memoryview | None) -> None:
        if self._input < 0:
            return
        if data is None:
            self._close_input = True
        elif data:
            self._to_write.append(data)
        self.loop.asyncio.add_writer(self._input, self._writable)

    def _writable(self) -> None:
        try:
            while self._to_write:
                piece = self._to_write[0]
                written = os.write(self._input, piece)
                self._to_write[0] = piece[written:]
                if not self._to_write[0]:
                    self._to_write.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._to_write.clear()
            self._close_input = True  # nobody reads it any more
        if self._input >= 0:
            self.loop.asyncio.remove_writer(self._input)
        if self._close_input:
            if self.terminal:
                self._close_input = False
                self._to_write.append(memoryview(b"\x04"))  # a terminal has no end of file, but a key for it
                self.loop.asyncio.add_writer(self._input, self._writable)
            else:
                self._shut_input()

    def _shut_input(self) -> None:
        if self._input >= 0:
            self.loop.asyncio.remove_writer(self._input)
            os.close(self._input)
            self._input = -1
        self._to_write.clear()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size, in characters (TIOCSWINSZ)."""
        import struct
        import termios

        if self.terminal and self._input >= 0:
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def discard(self) -> None:
        """The container did not start: close everything."""
        self.loop.do(self._discard)

    def _discard(self) -> None:
        for fd in self._outputs:
            self.loop.asyncio.remove_reader(fd)
            os.close(fd)
        self._outputs.clear()
        self._end()
