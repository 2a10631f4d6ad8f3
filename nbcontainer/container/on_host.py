"""A command on the lab's host itself, in no container: what `%%lab` runs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nbcontainer.container.execute import ExecResult, Sink, collect
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.stdio import Stdio
from nbcontainer.lab import shell
from nbcontainer.lab.handle import Handle


def run(
    lab: Handle,
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
) -> ExecResult:
    """Run a program of the machine as root of the lab, with this process's environment and directory.

    Its output goes to the sinks as it comes, or is in the result. Ctrl-C sends SIGINT, a second one kills.
    """
    stdio = Stdio(lab.loop, None)
    watcher = stdio.watch_unserved()
    ends = stdio.pipes(interactive=stdin is not None)
    try:
        process = lab.spawn(shell.main, list(argv), os.getcwd(), dict(os.environ), fds=ends)
    except BaseException:
        stdio.discard()
        raise
    finally:
        for fd in ends:
            os.close(fd)
    stdio.serve()
    if stdin is not None:
        stdio.write(stdin)
        stdio.close_input()
    return collect(process, watcher, {STDOUT: stdout, STDERR: stderr}, None)
