"""A command on the lab's host itself, in no container: what `%%lab` runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from nbcontainer.container.execute import ExecResult, Sink, collect
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.stdio import Stdio
from nbcontainer.lab import shell
from nbcontainer.lab.handle import Handle
from nbcontainer.lab.process import Process
from nbcontainer.network import netns_files


def run(
    lab: Handle,
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
    netns: tuple[str, int] | None = None,
    join: Sequence[int] = (),
    started: Callable[[Process], object] | None = None,
) -> ExecResult:
    """Run a program of the machine as root of the lab, with this process's environment and directory.

    `netns` is the name and a descriptor of the network namespace it runs in instead of the host's.
    Its output goes to the sinks as it comes, or is in the result. Ctrl-C sends SIGINT, a second one kills.
    `started` is told its process, which leads a session of its own.
    `join` are descriptors of control files: it is in those groups before its first instruction.
    """
    stdio = Stdio(lab.loop, None)
    watcher = stdio.watch_unserved()
    ends = stdio.pipes(interactive=stdin is not None)
    try:
        process = _spawn(lab, list(argv), ends, netns, join)
    except BaseException:
        stdio.discard()
        raise
    finally:
        for fd in ends:
            os.close(fd)
    if started is not None:
        started(process)
    stdio.serve()
    if stdin is not None:
        stdio.write(stdin)
        stdio.close_input()
    return collect(process, watcher, {STDOUT: stdout, STDERR: stderr}, None)


def _spawn(
    lab: Handle, argv: list[str], ends: list[int], netns: tuple[str, int] | None, join: Sequence[int]
) -> Process:
    directory, environment = os.getcwd(), dict(os.environ)
    if netns is None:
        return lab.spawn(shell.main, argv, directory, environment, fds=[*ends, *join])
    name, fd = netns
    return lab.spawn(netns_files.execute, argv, directory, environment, name, fds=[*ends, fd])
