"""One more process in a running container: `exec`, from the notebook's side."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcontainer.container import attendant, enter, launch
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.options import ExecOptions
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.container.waiting import Waiting
from nbcontainer.errors import Conflict, NbcontainerError
from nbcontainer.lab.process import Process

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: Seconds that a container which nobody can join any more may take to end.
PATIENCE = 1

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
    fds = [target.pidfd, *([filter_] if filter_ is not None else []), *ends, *cgroups]
    attended = attendant.may_serve(container, options)
    try:
        if attended:
            entering = container.owner.attendants.take(process_spec)
            entering.say(request, fds)
        else:
            entering = Waiting(container.lab, enter.main, request, fds=fds, pidns=target.pidfd)
    except OSError:
        stdio.discard()
        raise Conflict(f"Container {container.id} is not running") from None
    finally:
        for fd in (*ends, *cgroups):
            os.close(fd)
    if not options.tty:
        stdio.serve()  # while it enters: its first word is then heard at once
    try:
        with entering:
            return _started(entering, options.command[0], stdio, attended)
    except NbcontainerError as error:
        stdio.discard()
        # setns(2) and fork(2) refuse namespaces whose processes are being killed before the first of them has ended.
        dying = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ESRCH, errno.ENOMEM)
        if target.alive(PATIENCE if dying else 0):
            raise error from None
        raise Conflict(f"Container {container.id} is not running") from None


def _started(entering: Waiting, program: str, stdio: Stdio, attended: bool) -> Process:
    """Hear what the entering process says until the program runs: the program's process. Raises what stopped it."""
    while True:
        message, fds, _ = entering.receive()
        if not message:
            if attended:
                raise entering.ended()
            return entering.process
        said = json.loads(message)
        if "terminal" in said:
            stdio.use_terminal(fds[0])
        elif "pid" in said:
            return entering.lab.orphans.adopt(said["pid"], fds[0])
        elif "error" in said:
            cause = OSError(said["error"].get("errno"), said["error"]["message"])
            raise launch.failed(said["error"], program) from cause


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
