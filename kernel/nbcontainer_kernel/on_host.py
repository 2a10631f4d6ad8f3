"""A command line on the lab's host, as a shell reads it: pipes, redirections, `docker` among them."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO, cast

from nbcontainer import runtime
from nbcontainer.container import on_host
from nbcontainer.errors import CommandFailed, NbcontainerError
from nbcontainer.magics.call import Output, plain_output
from nbcontainer.magics.dispatch import run as dispatch
from nbcontainer.magics.grammar import Command
from nbcontainer.runtime import Lab
from nbcontainer_kernel import programs

MESSAGE = 1 << 17


class HostShell:
    """Runs command lines on the host of this process's lab. `docker` is the tree of that command."""

    def __init__(self, docker: Command) -> None:
        self.docker = docker
        self._lab: Lab | None = None

    def run(self, text: str) -> None:
        """Run a line; its output is the cell's. Raises `CommandFailed` when it ends with other than 0."""
        lab = runtime.current_lab()
        if lab is not self._lab:
            _, fds = cast("tuple[None, list[int]]", lab.call(programs.install))
            listener = socket.socket(fileno=fds[0])
            threading.Thread(target=self._serve, args=(listener,), name="nbcontainer docker", daemon=True).start()
            self._lab = lab
        script = f"PATH={programs.DIRECTORY}:$PATH:/usr/sbin:/sbin\n{text}"
        with apart(), Output() as output:
            done = on_host.run(lab, ["sh", "-c", script], stdout=output.stdout, stderr=output.stderr)
        if done.exit_code:
            raise CommandFailed(f"{text.splitlines()[0]} exited with {done.exit_code}", done.exit_code)

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
            message, fds, _, _ = socket.recv_fds(connection, MESSAGE, 3)
            if len(fds) != 3:
                return
            stdin, stdout, stderr = os.fdopen(fds[0], "rb"), os.fdopen(fds[1], "w"), os.fdopen(fds[2], "w")
            with stdin, stdout, stderr, printing(stdout, stderr), plain_output():
                words, _ = json.loads(message)
                code = self._dispatch(words, stdin)
            try:
                connection.send(str(code).encode())
            except OSError:
                pass  # whoever asked has been ended

    def _dispatch(self, words: list[str], stdin: BinaryIO) -> int:
        wants_input = any(word == "--interactive" or (word[:1] == "-" and "i" in word[1:4]) for word in words[1:4])
        try:
            cell = stdin.read().decode(errors="surrogateescape") if wants_input else None
            dispatch(self.docker, words, cell)
        except NbcontainerError as error:
            if not isinstance(error, CommandFailed):
                print(f"Error: {error}", file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:
            return 141  # as a shell says of SIGPIPE
        return 0


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
