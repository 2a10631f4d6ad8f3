"""Runs inside the lab: `--init`, a pid 1 for the container that reaps orphans and passes signals on, as tini does."""

from __future__ import annotations

import os
import signal

from nbcontainer.syscalls import capabilities, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def fork_program() -> None:
    """Fork; return in the child, which becomes the program. The parent stays as the container's pid 1.

    It has joined everything the program has, keeps no descriptor but its standard ones, and ends with the
    program's own exit code.
    """
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _take_foreground()
        return
    process.set_name("init")
    process.set_command_line("init")
    process.close_from(3)
    # All that it does from here on is to pass on signals, to whatever user the program runs as.
    capabilities.set(["CAP_KILL"], ["CAP_KILL"], [])
    process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)

    def forward(number: int, frame: FrameType | None) -> None:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            pass

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, forward)
        except (OSError, ValueError):
            continue
    status = 0
    while True:
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if pid == child:
            status = ended
            break
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _take_foreground() -> None:
    """On a terminal, the program reads what is typed, not its pid 1: tcsetpgrp(3)."""
    ours = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # which it sends to the background, where we are still
    try:
        os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        pass  # no terminal
    finally:
        signal.signal(signal.SIGTTOU, ours)
