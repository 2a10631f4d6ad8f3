"""Set-up processes: one waits ahead for the next container, its namespaces made and its mounts ready.

Which one a container gets depends on nothing but what containers came before it, so its pid repeats.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from collections.abc import Sequence
from typing import Any

from nbcontainer.container import setup
from nbcontainer.container.waiting import Waiting
from nbcontainer.errors import LabError, NbcontainerError
from nbcontainer.lab.handle import Handle, PidNamespace
from nbcontainer.syscalls import process

#: The pid of the lab's first container; init's other children count from `init.LAST_PID` on.
FIRST_PID = 2
#: Where the pids of containers that are not counted begin.
UNCOUNTED = 8000
#: Seconds after a container's start until the next spare is made: by then a short one has ended.
PAUSE = 0.005


class SetUp(Waiting):
    """A set-up process (`container.setup`)."""

    def __init__(
        self, lab: Handle, expected: dict[str, Any], pidns: PidNamespace | int, joined: dict[str, int], number: int
    ) -> None:
        self.network = -1
        self.netlink: socket.socket | None = None
        self._mounts = -1
        given = without_filter(expected), list(joined)
        super().__init__(lab, setup.main, *given, fds=list(joined.values()), pidns=pidns, number=number)
        self._outside_pid = self.process.outside_pid()

    def ask(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        """Send it the request; it sets to work on another processor, as the caller goes on working on this one.

        The kernel takes who writes to a socket to sleep soon, and wakes the reader on the same processor (WF_SYNC); on
        a virtual machine it even takes the idle ones to be busy (vcpu_is_preempted). There it waits for its turn.
        """
        others = os.sched_getaffinity(0) - {process.current_cpu()}
        # One that is not ready is awake, and has not noted yet on which processors it may run.
        if others and self._has_spoken():
            try:
                os.sched_setaffinity(self._outside_pid, others)
            except OSError:
                pass  # where it may not be moved, or has ended
        self.say(request, fds)

    def _has_spoken(self) -> bool:
        poll = select.poll()
        poll.register(self.sync, select.POLLIN)
        return bool(poll.poll(0))

    def ready(self) -> None:
        """Wait until it has its network namespace and a netlink socket there. Raises what stopped it."""
        message, fds, _ = self.receive()
        if not message:
            raise self.ended()
        said = json.loads(message)
        if "error" in said:
            raise LabError(f"a container could not be prepared: {said['error']['message']}")
        self.network = fds[0]
        self.netlink = socket.socket(fileno=fds[1])
        self._mounts = fds[2]

    def take_mounts(self) -> int:
        """Its mount namespace, which is the caller's to close from now on."""
        taken, self._mounts = self._mounts, -1
        return taken

    def close(self) -> None:
        """Let go of it, and of what it sent."""
        super().close()
        if self.netlink is not None:
            self.netlink.close()
            self.netlink = None
        for fd in (self.network, self._mounts):
            if fd >= 0:
                os.close(fd)
        self.network = self._mounts = -1


class Spares:
    """The set-up processes of `lab`. At most one waits: for a container like the last one."""

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self._lock = threading.Lock()
        self._last_number = FIRST_PID - 1
        self._expected: dict[str, Any] | None = None
        self._waiting: SetUp | None = None
        #: The waiting one's pid: given away when a container starts, so before the spare itself is made.
        self._reserved: int | None = None

    def take(
        self, spec: dict[str, Any], pidns: PidNamespace | int, joined: dict[str, int], counted: bool = True
    ) -> SetUp:
        """One for `spec`, which says that it is ready or will soon. `joined` are namespaces that others lend.

        With `counted` false it is one that makes no difference to the pids of others.
        """
        self.lab.check_ours()
        with self._lock:
            if not counted:
                return self._make(spec, pidns, joined, UNCOUNTED if pidns == "new" else 0)
            if pidns != "new" or joined:
                return self._make(spec, pidns, joined, self._next() if pidns == "new" else 0)
            alike = self._expected is not None and _kind(self._expected) == _kind(spec)
            waiting, self._waiting = self._waiting, None
            reserved, self._reserved = self._reserved, None
            self._expected = spec
            if waiting is not None:
                if alike and waiting.process.alive():
                    return waiting
                waiting.close()
                waiting.process.kill()  # a fork of this process's may hold the socket's other copy
            return self._make(spec, pidns, joined, reserved if alike and reserved else self._next())

    def replenish(self) -> None:
        """A container has started: soon, make the next spare."""
        with self._lock:
            if self._expected is None or self._reserved is not None:
                return
            self._reserved = self._next()
        self.lab.loop.soon(self.lab.loop.asyncio.call_later, PAUSE, self._replenish)

    def _replenish(self) -> None:
        with self._lock:
            if self._waiting is None and self._expected is not None and self._reserved is not None:
                try:
                    self._waiting = self._make(self._expected, "new", {}, self._reserved)
                except (NbcontainerError, OSError):
                    pass  # the next container says what is wrong

    def _next(self) -> int:
        self._last_number += 1
        return self._last_number

    def _make(self, expected: dict[str, Any], pidns: PidNamespace | int, joined: dict[str, int], number: int) -> SetUp:
        made = SetUp(self.lab, expected, pidns, joined, number)
        # A process of the lab's that was there before us may have had the number.
        if pidns == "new" and number < UNCOUNTED:
            self._last_number = max(self._last_number, made.process.pid)
        return made


def without_filter(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec without its seccomp section, which is long, and goes to a set-up process compiled."""
    return {**spec, "linux": {key: value for key, value in spec["linux"].items() if key != "seccomp"}}


def _kind(spec: dict[str, Any]) -> object:
    """What a spare and a container must agree on: what was made, or given up, for good."""
    return (
        sorted(entry["type"] for entry in spec["linux"]["namespaces"]),
        sorted(spec["process"]["capabilities"].get("bounding", [])),
    )
