"""Runs inside the lab: one more process in a running container (`exec`).

It joins every namespace and the cgroup of the container, with the same capabilities and filter. CVE-2024-21626 and
CVE-2019-5736 are why it drops its descriptors and is undumpable before it joins.

Two ways lead to the same end. `main` is forked for its request, and becomes the program. `attend` was forked before,
while nobody waited, and starts the program by posix_spawn(3), which shares its memory until the program runs: a
fork's first touch of each page is what takes longest here. But it needs some calls after the filter is in place, and
cannot give the program a terminal.
"""

from __future__ import annotations

import json
import os
import select
import socket

from nbcontainer.container import confine, filesystem
from nbcontainer.container.setup import environment, receive, rehearse
from nbcontainer.container.trace import Recorder
from nbcontainer.lab import inside
from nbcontainer.syscalls import capabilities, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

_JOINED = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWCGROUP
)


def main(request: dict[str, Any], *, fds: list[int]) -> NoReturn:
    """Enter the container behind the pidfd `fds[1]`, whose pid namespace this process is in already, and become
    `request["process"]`. Errors go over `fds[0]`.
    """
    sync = socket.socket(fileno=fds[0])
    entry = Entry(sync)
    try:
        drop_bounding(request["process"])
        program = entry.enter(request, fds[1:], _JOINED)
        confine.execute(request["process"], program)
    except BaseException as error:
        entry.fail(error)


def attend(expected: dict[str, Any], *, fds: list[int]) -> NoReturn:
    """Wait for a request and its descriptors on `fds[0]`; start `request["process"]` in the container, and say which
    process it is: `{"pid": …}` with a pidfd. It is left to init, unless it ends within `request["patience"]`
    milliseconds: then its `status` is said too. The error of having no room to fork (EAGAIN) comes with the standard
    input, output and error that it had been given; no other error comes with descriptors.

    `expected` is what the process will be like; its bounding set is that of `expected`.
    """
    sync = socket.socket(fileno=fds[0])
    entry = Entry(sync)
    try:
        drop_bounding(expected)
        rehearse(expected)
        message, given = receive(sync)
        request = json.loads(message)
        program = entry.enter(request, given, _JOINED | namespaces.CLONE_NEWPID)
        try:
            pid = confine.start(request["process"], program)
        except BlockingIOError as error:
            entry.fail(error, [0, 1, 2])
        pidfd = os.pidfd_open(pid)
        os.closerange(0, 3)  # the program's own end is the end of its output
        status = status_within(request["patience"], pid, pidfd)
        socket.send_fds(sync, [json.dumps({"pid": pid, "status": status}).encode()], [pidfd])
        # Not to end right away: whoever hears us runs on this processor, after what it does already.
        sync.recv(1)
    except BaseException as error:
        entry.fail(error)
    os._exit(0)


def status_within(milliseconds: int, pid: int, pidfd: int) -> int | None:
    """The status (wait(2)) of the child `pid` if it ends within so long."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return os.waitpid(pid, 0)[1] if poll.poll(milliseconds) else None


def drop_bounding(process_: dict[str, Any]) -> None:
    """Give up what no program of the container may ever have."""
    capabilities.drop_bounding(process_["capabilities"].get("bounding", []))


class Entry:
    """One entrance, and how far it is."""

    def __init__(self, sync: socket.socket) -> None:
        self.sync = sync
        self.stage = "set-up"

    def enter(self, request: dict[str, Any], fds: list[int], joined: int) -> str:
        """Join the namespaces `joined` of the process behind the pidfd `fds[0]`, and its control groups; take on
        what `request["process"]` asks for. The program that is to run.
        """
        target, rest = fds[0], fds[1:]
        filter_ = confine.read_filter(rest.pop(0)) if request["seccomp"] else None
        stdio, cgroups = rest[: request["stdio"]], rest[request["stdio"] :]
        confine.guard()
        for fd in cgroups:
            os.write(fd, b"0")
            os.close(fd)
        namespaces.setns(target, joined)
        os.close(target)
        os.chdir("/")
        self.stage = "command"
        arguments = request["process"]
        if arguments.get("terminal"):
            filesystem.terminal(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), self.sync)
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
        for fd in stdio:
            os.close(fd)
        user = confine.resolve_user(request["user"])
        environment(arguments, user.home)
        confine.enter_directory(arguments["cwd"])
        program = confine.find_program(
            arguments["args"][0], confine.environment_path(arguments["env"]), arguments["cwd"]
        )
        confine.become(arguments, filter_, user, Recorder())
        return program

    def fail(self, error: BaseException, unused: Sequence[int] = ()) -> NoReturn:
        """Say why, give back descriptors that somebody else can use, and end."""
        exit_code = confine.exit_code_for(error) if self.stage == "command" else 125
        said = {**inside.describe(error), "stage": self.stage, "exit_code": exit_code}
        socket.send_fds(self.sync, [json.dumps({"error": said}).encode()], unused)
        os._exit(exit_code)
