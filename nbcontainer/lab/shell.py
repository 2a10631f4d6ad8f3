"""Runs inside the lab: a program of the machine, on the lab's host."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from typing import NoReturn

from nbcontainer.syscalls import process


def main(argv: list[str], directory: str, environment: dict[str, str], *, fds: list[int]) -> NoReturn:
    """Become `argv`; 126 or 127 when it cannot be run.

    `fds` are its standard input, output and error, then the control files of the groups that it joins (cgroups(7):
    0 is the writer).
    """
    for fd in fds[3:]:
        os.write(fd, b"0")
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    process.close_from(3)  # what the program leaves in the background must not hold our ends open
    # Python ignores both; a program expects the defaults, and execve keeps what is ignored (signal(7)).
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        _become_applet(argv, environment)
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def on_terminal(argv: list[str], directory: str, environment: dict[str, str], *, fds: list[int]) -> NoReturn:
    """The same with the pty `fds[0]` as its controlling terminal (TIOCSCTTY, ioctl_tty(2))."""
    fcntl.ioctl(fds[0], termios.TIOCSCTTY, 0)
    main(argv, directory, environment, fds=[fds[0]] * 3)


def _become_applet(argv: list[str], environment: dict[str, str]) -> None:
    """On a machine without the program, busybox's applet of that name: ping, ifconfig, brctl and the like."""
    import subprocess  # loaded here, and not by init for everything it forks

    try:
        known = subprocess.run(["busybox", "--list"], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        if argv[0] in known.stdout.split():
            os.execvpe("busybox", ["busybox", *argv], environment)
    except (OSError, subprocess.SubprocessError):
        pass
