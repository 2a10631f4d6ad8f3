"""Runs inside the lab: pid 1 of its pid namespace, which is also the spawner.

Started by `nbcontainer.lab.handle` as `python -I -S`, standard library only, single-threaded for life: so forking
here is cheap and safe, where forking a notebook's kernel is neither. It answers one kind of request, "run this
function in a new process", and reports every exit. When its owner's process ends, however it ends, it ends too,
and the kernel then ends everything in the lab (pid_namespaces(7), "The namespace init process").
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

from nbcontainer.lab import host, inside
from nbcontainer.syscalls import namespaces, process
from nbcontainer.syscalls.namespaces import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLONE_PARENT,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: The largest request or report: one SOCK_SEQPACKET message.
MESSAGE = 1 << 17
DESCRIPTORS = 64
#: Where pids that nobody asked for count from: those below are containers', by their number.
LAST_PID = 10_000


def main(control_fd: int, events_fd: int, owner_fd: int) -> None:
    """Make the namespaces, wait to be given ids, and leave pid 1 running as our parent's child."""
    control = socket.socket(fileno=control_fd)
    message, attach, _, _ = socket.recv_fds(control, MESSAGE, DESCRIPTORS)
    if not message:
        os._exit(0)
    config = json.loads(message)
    namespaces.unshare(
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
    )
    control.send(b'{"unshared": true}')
    if not control.recv(1):
        os._exit(0)
    if not config["single"]:
        os.setgroups([])
    os.setgid(0)
    os.setuid(0)
    # CLONE_PARENT: pid 1 becomes our parent's own child, so nothing of us needs to stay to wait for it.
    pid = namespaces.fork(CLONE_PARENT)
    if pid:
        control.send(json.dumps({"pid": pid}).encode())
        os._exit(0)
    try:
        os.dup2(0, 2)  # the starter's stderr pipe closes with it
        # Unreadable to everything below, whatever its capabilities there: proc(5), /proc/PID/; prctl(2).
        process.prctl(process.PR_SET_DUMPABLE, 0)
        process.set_name("nbcontainer")
        os.umask(0o022)
        host.furnish(config["hostname"], attach)
        process.set_command_line("nbcontainer")  # and so for every process forked from here
        for fd in attach:
            os.close(fd)
        move_path(config["path"], config["moved"])
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(LAST_PID))
        except FileNotFoundError:
            pass  # a kernel without CONFIG_CHECKPOINT_RESTORE: pids repeat only as far as they happen to
        for module in config["preload"]:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
        gc.disable()
    except BaseException as error:
        control.send(json.dumps({"failed": inside.describe(error)}).encode())
        os._exit(1)
    Init(control, socket.socket(fileno=events_fd), owner_fd).serve()


def move_path(path: list[str], moved: dict[str, str]) -> None:
    """Find modules on `path` from now on; packages already loaded find theirs where their directory has moved to."""
    sys.path[:] = path
    for module in list(sys.modules.values()):
        search = getattr(module, "__path__", None)
        if search is None:
            continue
        for old, new in moved.items():
            module.__path__ = [new + entry[len(old) :] if entry.startswith(old) else entry for entry in module.__path__]


class Init:
    """The serving loop. `control` carries requests and replies, `events` the exits, `owner` is a pidfd."""

    def __init__(self, control: socket.socket, events: socket.socket, owner: int) -> None:
        self.control = control
        self.events = events
        self.owner = owner
        self.keys: dict[int, int] = {}
        self.backlog: list[bytes] = []
        self.pidns = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> NoReturn:
        """Answer until the owner is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write)
        # A full event socket must not stop the loop: only the loop notices that the owner has died.
        self.events.setblocking(False)
        poll = select.poll()
        for fd in (self.control.fileno(), self.owner, self.wake_read):
            poll.register(fd, select.POLLIN)
        poll.register(self.events.fileno(), 0)
        self.control.send(b'{"ready": true}')
        while True:
            for fd, _ in poll.poll():
                if fd == self.owner:
                    os._exit(0)
                elif fd == self.control.fileno():
                    self.answer()
                elif fd == self.wake_read:
                    os.read(self.wake_read, 4096)
                    self.reap()
            self.flush()
            poll.modify(self.events.fileno(), select.POLLOUT if self.backlog else 0)

    def answer(self) -> None:
        """Serve one request."""
        message, fds, _, _ = socket.recv_fds(self.control, MESSAGE, DESCRIPTORS)
        if not message:
            os._exit(0)
        head, _, args = message.partition(b"\n")
        request = json.loads(head)
        if request["large"]:
            with os.fdopen(fds.pop(0), "rb") as file:
                file.seek(0)
                args = file.read()
        pidfds = []
        try:
            pid = self.spawn(request, args, fds)
            self.keys[pid] = request["key"]
            pidfds = [os.pidfd_open(pid)]
            reply: dict[str, Any] = {"key": request["key"], "pid": pid}
        except BaseException as error:
            reply = {"key": request["key"], "error": inside.describe(error)}
        socket.send_fds(self.control, [json.dumps(reply).encode()], pidfds)
        for fd in (*fds, *pidfds):
            os.close(fd)

    def spawn(self, request: dict[str, Any], args: bytes, fds: list[int]) -> int:
        """Fork the process a request asks for; its pid here."""
        if request["target"].startswith("nbcontainer."):
            inside.resolve(request["target"])  # loaded here, it is there for every child
        rest = list(fds)
        if request["pidns"] == "join":
            pid = self.fork_joined(rest.pop(0))
        else:
            flags = CLONE_NEWPID if request["pidns"] == "new" else 0
            pid = self.fork_numbered(request["number"], flags) if request["number"] else namespaces.fork(flags)
        if pid == 0:
            self.child(request, args, rest)
        return pid

    def fork_numbered(self, number: int, flags: int) -> int:
        """Fork, with `number` as the pid here or the next one that is free."""
        while True:
            try:
                return namespaces.fork_as(number, flags)
            except FileExistsError:
                number += 1

    def leave_init(self) -> None:
        """In a forked process: forget what is init's."""
        signal.set_wakeup_fd(-1)
        process.default_signal(signal.SIGCHLD)
        os.setsid()
        for fd in (
            self.control.detach(),
            self.events.detach(),
            self.owner,
            self.pidns,
            self.wake_read,
            self.wake_write,
        ):
            os.close(fd)

    def fork_joined(self, target: int) -> int:
        """Fork into the pid namespace of the process behind the pidfd `target`.

        setns(2) into a pid namespace moves only the children made from then on; so init steps in, forks, steps back.
        """
        namespaces.setns(target, CLONE_NEWPID)
        pid = -1
        try:
            pid = namespaces.fork()
        finally:
            if pid:  # and not in the child, which stays
                namespaces.setns(self.pidns, CLONE_NEWPID)
        return pid

    def child(self, request: dict[str, Any], args: bytes, fds: list[int]) -> NoReturn:
        """In the new process: run the target."""
        status = 1
        try:
            self.leave_init()
            inside.resolve(request["target"])(*json.loads(args), fds=fds)
            status = 0
        except BaseException:
            # Nobody reads our stderr; a target that can fail reports it over its own descriptors.
            pass
        finally:
            os._exit(status)

    def reap(self) -> None:
        """Report every child that has ended: those that init forked by their key, orphans of the lab by their pid."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            key = self.keys.pop(pid, None)
            which = {"pid": pid} if key is None else {"key": key}
            self.backlog.append(json.dumps({**which, "status": status}).encode())

    def flush(self) -> None:
        """Send what there is to report, as far as the socket takes it."""
        while self.backlog:
            try:
                self.events.send(self.backlog[0])
            except BlockingIOError:
                return
            except OSError:
                os._exit(0)
            del self.backlog[0]
