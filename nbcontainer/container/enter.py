"""Runs inside the lab: one more process in a running container (`exec`).

It joins every namespace and the cgroup of the container, with the same capabilities and filter. CVE-2024-21626 and
CVE-2019-5736 are why it drops its descriptors and is undumpable before it joins.
"""

from __future__ import annotations

import json
import os
import socket

from nbcontainer.container import confine, filesystem
from nbcontainer.container.setup import environment
from nbcontainer.container.trace import Recorder
from nbcontainer.lab import inside
from nbcontainer.syscalls import capabilities, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_JOINED = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWCGROUP
)


def main(request: dict[str, Any], *, fds: list[int]) -> NoReturn:
    """Enter the container behind the pidfd `fds[1]` and become `request["process"]`. Errors go over `fds[0]`."""
    sync = socket.socket(fileno=fds[0])
    stage = "set-up"
    try:
        target, rest = fds[1], fds[2:]
        filter_ = confine.read_filter(rest.pop(0)) if request["seccomp"] else None
        stdio, cgroups = rest[: request["stdio"]], rest[request["stdio"] :]
        confine.guard()
        for fd in cgroups:
            os.write(fd, b"0")
            os.close(fd)
        namespaces.setns(target, _JOINED)
        os.close(target)
        os.chdir("/")
        stage = "command"
        arguments = request["process"]
        if arguments.get("terminal"):
            filesystem.terminal(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), sync)
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
        capabilities.drop_bounding(arguments["capabilities"].get("bounding", []))
        confine.become(arguments, filter_, user, Recorder())
        confine.execute(arguments, program)
    except BaseException as error:
        exit_code = confine.exit_code_for(error) if stage == "command" else 125
        sync.send(json.dumps({"error": {**inside.describe(error), "stage": stage, "exit_code": exit_code}}).encode())
        os._exit(exit_code)
