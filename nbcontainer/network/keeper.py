"""Runs on the machine, beside a lab: ends a program, or undoes a change, with the lab or its owner, however those end.

Standard library only. A parent-death signal would not do: it is sent when a thread ends, and lost when the program
changes its credentials (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import select
import signal
import socket

from nbcontainer.network.wire import Rtnetlink
from nbcontainer.syscalls import libnftables

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
    _wait(*pidfds, child)
    try:
        signal.pidfd_send_signal(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    os._exit(0)


def undo(fds: list[int], name: str, settings: dict[str, str]) -> NoReturn:
    """Wait for one of `fds`; then delete the link and the nftables table `name`, and write `settings` back."""
    _wait(*fds)
    for path, value in settings.items():
        try:
            with open(path, "w") as file:
                file.write(value)
        except OSError:
            pass  # the link itself has gone
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        try:
            Rtnetlink(sock).link_delete(name)
        except OSError:
            pass  # with the lab's network namespace
    libnftables.run(f"table ip {name}\ndelete table ip {name}\n")
    os._exit(0)


def _wait(*fds: int) -> None:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    poll.poll()
