"""One more process in a running container: `exec`, from the notebook's side."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcontainer.container import enter, launch
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.options import ExecOptions
from nbcontainer.container.setup import MESSAGE
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.errors import Conflict
from nbcontainer.lab.process import Process

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: A sink of bytes, such as `sys.stdout.buffer.write`.
Sink = Callable[[bytes], object]


@dataclass(frozen=True)
class ExecResult:
    """What a command run by `exec` gave."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def run(
    container: Container,
    options: ExecOptions,
    stdin: bytes | None,
    sinks: dict[int, Sink | None],
    timeout: float | None,
) -> ExecResult:
    """Run `options.command` in `container`; `Container.exec` says how."""
    stdio = Stdio(container.lab.loop, None)
    watcher = stdio.watch_unserved()
    process = begin(container, options, stdio, interactive=stdin is not None)
    if options.tty:
        stdio.serve()
    if stdin is not None:
        stdio.write(stdin)
        stdio.close_input()
    if options.detach:
        stdio.unwatch(watcher)
        return ExecResult(0, b"", b"")
    return collect(process, watcher, sinks, timeout)


def begin(container: Container, options: ExecOptions, stdio: Stdio, interactive: bool) -> Process:
    """Start `options.command`, with its ends in `stdio`, of which a terminal is not served yet."""
    target = container.entry
    if target is None:
        raise Conflict(f"Container {container.id} is not running")
    if container.state.status == "paused":
        raise Conflict(f"Container {container.name} is paused, unpause the container before exec")
    process_spec, user, filter_ = launch.exec_process(container, options)
    ends = [] if options.tty else stdio.pipes(interactive)
    cgroups = container.cgroup.join_descriptors() if container.cgroup is not None else []
    request = {"process": process_spec, "user": user, "seccomp": filter_ is not None, "stdio": len(ends)}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        try:
            process = container.lab.spawn(
                enter.main,
                request,
                fds=[theirs.fileno(), target.pidfd, *([filter_] if filter_ is not None else []), *ends, *cgroups],
                pidns=target.pidfd,
            )
        except OSError:
            stdio.discard()
            raise Conflict(f"Container {container.id} is not running") from None
        finally:
            theirs.close()
            for fd in (*ends, *cgroups):
                os.close(fd)
        if not options.tty:
            stdio.serve()  # while it enters: its first word is then heard at once
        while True:
            message, fds, _, _ = socket.recv_fds(ours, MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
            if not message:
                return process
            said = json.loads(message)
            if "terminal" in said:
                stdio.use_terminal(fds[0])
            elif "error" in said:
                stdio.discard()
                raise launch.failed(said["error"], options.command[0])


def collect(process: Process, watcher: Watcher, sinks: dict[int, Sink | None], timeout: float | None) -> ExecResult:
    """See a process through to its end: its output goes to the sinks, or is in the result.

    Ctrl-C sends SIGINT, a second one kills: what the command has started, too, as on a terminal. Raises
    `TimeoutError`, the process killed.
    """
    kept: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    interrupts = 0
    while True:
        try:
            piece = watcher.get(timeout)
            if piece is None:
                break
            sink = sinks[piece[0]] or kept[piece[0]].append
            sink(piece[1])
        except TimeoutError:
            process.kill_group(signal.SIGKILL)
            raise TimeoutError(f"the command did not end within {timeout:g} seconds") from None
        except KeyboardInterrupt:
            interrupts += 1
            process.kill_group(signal.SIGINT if interrupts == 1 else signal.SIGKILL)
    return ExecResult(process.wait(), b"".join(kept[STDOUT]), b"".join(kept[STDERR]))
