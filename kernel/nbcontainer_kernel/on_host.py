"""A command line on the lab's host, as a shell reads it: pipes, redirections, `docker` among them."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO, cast

from nbcontainer import runtime
from nbcontainer.container import on_host
from nbcontainer.container.stdio import interrupt
from nbcontainer.errors import CommandFailed, NbcontainerError
from nbcontainer.lab.process import Process
from nbcontainer.magics.call import Output, plain_output
from nbcontainer.magics.dispatch import run as dispatch
from nbcontainer.magics.grammar import Command
from nbcontainer.magics.parsing import parse
from nbcontainer.runtime import Lab
from nbcontainer_kernel import programs

MESSAGE = 1 << 17
#: What a shell says of a program that SIGPIPE has ended.
BROKEN_PIPE = 128 + signal.SIGPIPE
#: Seconds between SIGINT and SIGKILL for what was interrupted.
PATIENCE = 1.0


class HostShell:
    """Runs command lines on the host of this process's lab. `docker` is the tree of that command."""

    def __init__(self, docker: Command) -> None:
        self.docker = docker
        self._lab: Lab | None = None
        #: The session of the line that runs: only what belongs to it is listened to (credentials(7)).
        self._session = 0
        self._known = threading.Event()

    def run(self, text: str) -> None:
        """Run a line; its output is the cell's. Raises `CommandFailed` when it ends with other than 0."""
        lab = runtime.current_lab()
        if lab is not self._lab:
            _, fds = cast("tuple[None, list[int]]", lab.call(programs.install))
            listener = socket.socket(fileno=fds[0])
            threading.Thread(target=self._serve, args=(listener,), name="nbcontainer docker", daemon=True).start()
            self._lab = lab
        script = f"PATH={programs.DIRECTORY}:$PATH:/usr/sbin:/sbin\n{text}"
        self._known.clear()
        try:
            with apart(), Output() as output:
                done = on_host.run(
                    lab, ["sh", "-c", script], stdout=output.stdout, stderr=output.stderr, started=self._started
                )
        finally:
            self._session = 0
            self._known.set()
        if done.exit_code:
            raise CommandFailed(f"{text.splitlines()[0]} exited with {done.exit_code}", done.exit_code)

    def _started(self, process: Process) -> None:
        self._session = process.outside_pid()
        self._known.set()

    def _belongs(self, connection: socket.socket) -> bool:
        """Whether the line that runs has asked, not another process of the lab that has found the socket."""
        self._known.wait()
        pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        try:
            return self._session > 0 and os.getsid(pid) == self._session
        except OSError:
            return False

    # -- docker, called from within such a line

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # the lab has ended
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            message, fds, _, _ = socket.recv_fds(connection, MESSAGE, 3, socket.MSG_CMSG_CLOEXEC)
            if len(fds) != 3 or not self._belongs(connection):
                for fd in fds:
                    os.close(fd)
                return
            done = threading.Event()
            watching = threading.Thread(target=_until_gone, args=(connection, threading.get_ident(), done), daemon=True)
            watching.start()
            stdin = os.fdopen(fds[0], "rb")
            stdout, stderr = (os.fdopen(fd, "w", buffering=1) for fd in fds[1:])  # by lines: a pipe's reader waits
            try:
                with stdin, stdout, stderr, printing(stdout, stderr), plain_output():
                    code = self._dispatch(json.loads(message)[0], stdin)
            except BrokenPipeError:
                code = BROKEN_PIPE
            done.set()
            try:
                connection.send(str(code).encode())
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # whoever asked has been ended
            watching.join()

    def _dispatch(self, words: list[str], stdin: BinaryIO) -> int:
        try:
            asked = parse(self.docker, words).values
            wants_input = asked.get("interactive") or asked.get("password_stdin")
            cell = stdin.read().decode(errors="surrogateescape") if wants_input else None
            dispatch(self.docker, words, cell)
        except NbcontainerError as error:
            if not isinstance(error, CommandFailed):
                print(f"Error: {error}", file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:
            return BROKEN_PIPE
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        return 0


def _until_gone(connection: socket.socket, thread: int, done: threading.Event) -> None:
    """Interrupt what `thread` does when the `docker` that asked for it has been ended, as by Ctrl-C."""
    poll = select.poll()
    poll.register(connection, 0)
    poll.poll()
    patience = 0.0
    while not done.wait(patience):
        interrupt(thread)
        patience = PATIENCE


class _Apart(io.TextIOBase):
    """Standard output or error in which each thread may have a place of its own to write to."""

    def __init__(self, shared: TextIO) -> None:
        self.shared = shared
        self.own = threading.local()

    def _stream(self) -> TextIO:
        stream: TextIO = getattr(self.own, "stream", self.shared)
        return stream

    def write(self, text: str) -> int:
        return self._stream().write(text)

    def flush(self) -> None:
        self._stream().flush()

    def isatty(self) -> bool:
        return False

    @property
    def buffer(self) -> Any:
        return self._stream().buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"


@contextmanager
def apart() -> Iterator[None]:
    """While a line runs, what its `docker`s print goes where the line has it go."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Apart(before[0]), _Apart(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def printing(stdout: TextIO, stderr: TextIO) -> Iterator[None]:
    """This thread's prints go there."""
    streams = [
        (shared, own) for shared, own in ((sys.stdout, stdout), (sys.stderr, stderr)) if isinstance(shared, _Apart)
    ]
    for shared, own in streams:
        shared.own.stream = own
    try:
        yield
    finally:
        for shared, own in streams:
            try:
                own.flush()
            except OSError:
                pass
            del shared.own.stream
