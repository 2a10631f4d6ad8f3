"""One more process in a running container: `exec`, from the notebook's side."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbcontainer.container import attendant, enter, launch
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.options import ExecOptions
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.container.waiting import Waiting
from nbcontainer.errors import Conflict, NbcontainerError, StartFailed
from nbcontainer.lab.process import Process, exit_code_of

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: Seconds that a container which nobody can join any more may take to end.
PATIENCE = 1

#: Milliseconds that an attendant gives its program to end before it says which it is: one word instead of two.
SHORT = 3

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
    watcher = stdio.watch_unserved(ends=2)
    process = begin(container, options, stdio, interactive=stdin is not None)
    if options.tty:
        stdio.serve()
    if stdin is not None:
        stdio.write(stdin)
        stdio.close_input()
    process.on_exit(lambda code: watcher.end())
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
    request = {
        "process": process_spec,
        "user": user,
        "seccomp": filter_ is not None,
        "stdio": len(ends),
        "patience": 0 if interactive or options.detach else SHORT,
    }
    ours = [target.pidfd, *([filter_] if filter_ is not None else [])]
    if not options.tty:
        stdio.serve()  # while it enters: its first word is then heard at once
    program = options.command[0]
    try:
        if attendant.may_serve(container, options):
            try:
                waiting = container.owner.attendants.take(process_spec)
                return _attended(waiting, request, [*ours, *ends, *cgroups], ends, program)
            except BlockingIOError:
                pass  # no process more in its pids limit, where an attendant is one for a moment
        fds = [*ours, *ends, *cgroups]
        return _forked(Waiting(container.lab, enter.main, request, fds=fds, pidns=target.pidfd), stdio, program)
    except (NbcontainerError, OSError) as error:
        stdio.discard()
        # setns(2) and fork(2) refuse namespaces whose processes are being killed before the first of them has ended.
        cause = error.__cause__ or error
        dying = isinstance(cause, OSError) and cause.errno in (errno.ESRCH, errno.ENOMEM)
        if target.alive(PATIENCE if dying else 0):
            if isinstance(error, OSError):
                error = StartFailed(f"entering the container failed: {os.strerror(error.errno or 0)}")
            raise error from None
        raise Conflict(f"Container {container.id} is not running") from None
    finally:
        _close(ends)
        _close(cgroups)


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def _attended(waiting: Waiting, request: dict[str, Any], fds: list[int], ends: list[int], program: str) -> Process:
    """Have an attendant start the program. Raises what stopped it; `BlockingIOError` where it may not fork.

    Of `fds` it has the `ends` of the program's output alone, so that they end with it, and gives them back if it
    may not.
    """
    with waiting:
        waiting.say(request, fds)
        _close(ends)
        message, given, _ = waiting.receive()
        if not message:
            raise waiting.ended()
        said = json.loads(message)
        if "error" in said:
            if given:
                ends += given
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), program)
            raise _failed(said["error"], program)
        if said["status"] is None:
            return waiting.lab.orphans.adopt(said["pid"], given[0])
        process = Process(said["pid"], given[0])
        process.finish(exit_code_of(said["status"]))
        return process


def _forked(entering: Waiting, stdio: Stdio, program: str) -> Process:
    """Hear what the entering process says until it becomes the program. Raises what stopped it."""
    with entering:
        while True:
            message, fds, _ = entering.receive()
            if not message:
                return entering.process
            said = json.loads(message)
            if "error" in said:
                raise _failed(said["error"], program)
            stdio.use_terminal(fds[0])


def _failed(error: dict[str, Any], program: str) -> StartFailed:
    failed = launch.failed(error, program)
    failed.__cause__ = OSError(error.get("errno"), error["message"])
    return failed


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
