"""Runs on the machine, beside a lab: starts one program, and ends it with the lab or its owner, however those end.

Standard library only. A parent-death signal would not do: it is sent when a thread ends, and lost when the program
changes its credentials (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(pidfds: list[int], say: int, argv: list[str]) -> NoReturn:
    """Run `argv` with the descriptors that it names, write its pid to `say`, and wait for the first end.

    `pidfds` are those of the notebook's process and of the lab's init.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for fd in (*pidfds, say):
        os.set_inheritable(fd, False)
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    child = os.pidfd_open(pid)
    os.write(say, str(pid).encode())
    os.close(say)
    poll = select.poll()
    for fd in (*pidfds, child):
        poll.register(fd, select.POLLIN)
    poll.poll()
    try:
        signal.pidfd_send_signal(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    os._exit(0)
