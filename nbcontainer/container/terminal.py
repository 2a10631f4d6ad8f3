"""A program on a pty, for whoever sits before it: a widget in a page, or the terminal IPython runs in.

`Terminal` is the same for a container run with `-it`, for `exec -it`, for `attach` and for a shell on the lab's host.
It lives on the background loop: nothing waits for it, and several run at once.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbcontainer.container import execute
from nbcontainer.container.options import ExecOptions
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.errors import Conflict
from nbcontainer.lab import shell

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.lab.handle import Handle
    from nbcontainer.lab.process import Process

#: Bytes of output that are kept, for a page that is loaded again and for the picture that is saved.
KEPT = 256 << 10
#: What a program is told about the terminal: xterm.js and pyte both are xterms.
TERM = "xterm-256color"


class Viewer(Watcher):
    """Output handed to callbacks on the loop's thread, as it comes."""

    def __init__(self, put: Callable[[bytes], object], end: Callable[[], object]) -> None:
        super().__init__(lambda: None)
        self._put, self._end = put, end
        #: Set to make the program wait: what it prints stays in the pty.
        self.behind = False

    @property
    def lagging(self) -> bool:
        """True while `behind` is set."""
        return self.behind

    def put(self, stream: int, data: bytes) -> None:
        """One more piece."""
        self._put(data)

    def end(self) -> None:
        """No more will come."""
        self._end()


class Terminal:
    """A running program and its pty. `title` says what it is, such as `web: sh`."""

    def __init__(
        self, stdio: Stdio, title: str, process: Callable[[], Process | None], code: Callable[[], int]
    ) -> None:
        self.stdio = stdio
        self.title = title
        self._process = process
        self._code = code
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._viewers: list[Viewer] = []
        self._at_end: list[Callable[[], object]] = []
        self._keeper = Viewer(self._keep, self._ended)

    def serve(self, past: Sequence[bytes] = ()) -> None:
        """Begin to keep what it prints, after what it has printed already (the loop's thread, or before it serves)."""
        for data in past:
            self._keep(data)
        self.stdio.add(self._keeper)

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        while len(self._kept) > 1 and self._size - len(self._kept[0]) >= KEPT:
            self._size -= len(self._kept.popleft())
        for viewer in self._viewers:
            viewer.put(1, data)
        self._keeper.behind = any(viewer.behind for viewer in self._viewers)

    def _ended(self) -> None:
        for viewer in self._viewers:
            viewer.end()
        callbacks, self._at_end = self._at_end, []
        for callback in callbacks:
            callback()

    def at_end(self, callback: Callable[[], object]) -> None:
        """Call `callback()` on the loop's thread once nobody has the terminal open any more; at once if so already."""
        self.stdio.loop.soon(self._add_at_end, callback)

    def _add_at_end(self, callback: Callable[[], object]) -> None:
        if self.ended:
            callback()
        else:
            self._at_end.append(callback)

    # -- who looks at it

    def view(self, viewer: Viewer) -> bytes:
        """Hand output to `viewer` from now on; what was printed before (the loop's thread)."""
        self._viewers.append(viewer)
        return self.output

    def leave(self, viewer: Viewer) -> None:
        """`viewer` looks no more; the program goes on (the loop's thread)."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self.caught_up()

    def caught_up(self) -> None:
        """A viewer is no longer behind (the loop's thread)."""
        if self._keeper.behind and not any(viewer.behind for viewer in self._viewers):
            self._keeper.behind = False
            if not self.stdio.ended.is_set():
                self.stdio.resume()

    @property
    def output(self) -> bytes:
        """The last of what it printed, about `KEPT` bytes at most."""
        return b"".join(self._kept)

    # -- what it is told

    def write(self, data: bytes) -> None:
        """Keys that were pressed. Ctrl-C is one of them: the pty makes it a signal to the program (termios(3))."""
        self.stdio.write(data)

    def resize(self, rows: int, columns: int) -> None:
        """The size in characters; the program gets SIGWINCH."""
        self.stdio.loop.soon(self.stdio.resize, rows, columns)

    def kill(self, number: int = signal.SIGHUP) -> None:
        """Send its first process a signal."""
        process = self._process()
        if process is not None:
            process.kill(number)

    @property
    def ended(self) -> bool:
        """Whether nobody has the terminal open any more."""
        return self.stdio.ended.is_set()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises `TimeoutError`."""
        if not self.stdio.ended.wait(timeout):
            raise TimeoutError(f"{self.title} is still running")
        return self._code()


def of_container(container: Container, begin: bool = False) -> Terminal:
    """The terminal of a running container made with `--tty`; with `begin` it is started first.

    Raises `Conflict` when it does not run, or has no terminal.
    """
    if begin:
        container.start()
    stdio = container.stdio
    if stdio is None or not container.state.running:
        if not begin:
            raise Conflict("You cannot attach to a stopped container, start it first")
        assert stdio is not None
    if not container.options.tty:
        raise Conflict(f"Container {container.name} has no terminal: it was made without --tty")
    command = container.spec["process"]["args"][0]
    terminal = Terminal(stdio, f"{container.name}: {command}", lambda: container.process, container.wait)
    # Both on the loop's thread, which is what logs and hands on: nothing is missed, nothing comes twice.
    stdio.loop.do(lambda: terminal.serve([record.data for record in container.records()]))
    return terminal


def of_exec(container: Container, command: Sequence[str], **raw: Any) -> Terminal:
    """One more program in a running container, on a terminal of its own. Options are those of `Container.exec`."""
    options = ExecOptions.parse(command, **{"interactive": True, **raw, "tty": True})
    stdio = Stdio(container.lab.loop, None)
    process = execute.begin(container, options, stdio, interactive=True)
    terminal = Terminal(stdio, f"{container.name}: {command[0]}", lambda: process, process.wait)
    terminal.serve()
    stdio.serve()
    return terminal


def of_host(lab: Handle, argv: Sequence[str]) -> Terminal:
    """A program of the machine on the lab's host, as its root."""
    stdio = Stdio(lab.loop, None)
    master, slave = os.openpty()
    stdio.use_terminal(master)
    try:
        environment = {**os.environ, "TERM": TERM}
        process = lab.spawn(shell.on_terminal, list(argv), os.getcwd(), environment, fds=[slave])
    except BaseException:
        stdio.discard()
        raise
    finally:
        os.close(slave)
    terminal = Terminal(stdio, f"lab: {argv[0]}", lambda: process, process.wait)
    terminal.serve()
    stdio.serve()
    return terminal
