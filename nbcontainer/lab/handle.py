"""The lab as the notebook's process holds it: start it, run things in it, end it."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from nbcontainer import errors
from nbcontainer.errors import InvalidArgument, LabError, LabGone, Unavailable
from nbcontainer.lab import directory, files, host, idmap, inside, loop, sockets
from nbcontainer.lab.home import Home, default_home
from nbcontainer.lab.init import DESCRIPTORS, MESSAGE
from nbcontainer.lab.interpreter import Interpreter, complaint
from nbcontainer.lab.orphans import Orphans
from nbcontainer.lab.process import LOST, Process, exit_code_of

T = TypeVar("T")
PidNamespace = Literal["lab", "new"]

#: What an ephemeral lab's ids, names and addresses are derived from unless told otherwise.
SEED = "nbcontainer"
#: Arguments longer than this go in a memfd: one message holds no more.
INLINE = MESSAGE - 4096
#: Seconds a lab may take to come up before we say that it does not.
PATIENCE = 20.0


class Handle:
    """A lab: the namespaces that play the part of the host, and this process's hold on them.

    `Handle()` is ephemeral: what it made ends with it. `Handle("name")` is a lab whose directory stays.
    Raises `Unavailable` where the machine forbids namespaces, `Conflict` when a named lab is in use.
    """

    #: Modules that init loads before it forks, so that no child has to.
    preload: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, *, seed: str = SEED, home: Home | None = None) -> None:
        if name is not None and not directory.NAME.fullmatch(name):
            raise InvalidArgument(
                f"Invalid lab name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and at least two of them"
            )
        self.name = name
        self.seed = seed if name is None else f"{seed}/{name}"
        self.id = hashlib.sha256(self.seed.encode()).hexdigest()[:12]
        self.home = home or default_home()
        self.idmap = idmap.choose()
        self.loop = loop.shared()
        self.gone = False
        self.closed = False
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._processes: dict[int, Process] = {}
        #: The processes that init did not fork and reaps all the same.
        self.orphans = Orphans()
        self._next_key = 0
        self._on_gone: list[Callable[[], object]] = []
        self.home.make()
        self._claim = directory.claim(self.home, name)
        try:
            self._start()
        except BaseException:
            self._claim.release(remove=name is None)
            raise
        self._at_exit = weakref.WeakMethod(self.close)
        atexit.register(_close, self._at_exit)

    @property
    def directory(self) -> Path:
        """What this lab keeps on disk: for an ephemeral lab, until it ends."""
        return self._claim.path

    @property
    def instance(self) -> str:
        """A name no other running lab of this home has: that of its directory."""
        return self._claim.path.name

    @property
    def scope(self) -> str:
        """The name of its cgroups, which labs of every home share a place for."""
        return f"{self.home.key}-{self.instance}"

    @property
    def ours(self) -> bool:
        """False in a child that the process which started the lab has forked: nothing there may end it."""
        return self._owner == os.getpid()

    def check_ours(self) -> None:
        """Raises `LabError` in a child that this process has forked."""
        if not self.ours:
            raise LabError("this lab belongs to the process that started it; make a Lab() in this one")

    # -- start and end

    def _start(self) -> None:
        if os.geteuid() == 0 and not directory.reachable(self.home.path):
            raise Unavailable(
                f"{self.home.path} cannot be reached by the lab's ids: give its parents the x permission for others, "
                "or set NBCONTAINER_HOME to a directory that has it"
            )
        control, control_inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        events, events_inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        owner = os.pidfd_open(os.getpid())
        control.settimeout(PATIENCE)
        passed = [control_inside.fileno(), events_inside.fileno(), owner]
        interpreter = Interpreter.current()
        starter = interpreter.start(
            f"from nbcontainer.lab.init import main; main({', '.join(map(str, passed))})", passed
        )
        for end in (control_inside, events_inside):
            end.close()
        os.close(owner)
        try:
            self.pid = self._bring_up(control, starter, interpreter)
        except BaseException as error:
            control.close()
            events.close()
            with starter:  # what it said may have been read already
                starter.kill()
                if isinstance(error, TimeoutError | ConnectionError):
                    raise LabError(f"the lab did not start: {complaint(starter.communicate()[1]) or error}") from None
                raise
        starter.communicate()
        self.pidfd = os.pidfd_open(self.pid)
        control.settimeout(None)
        self._control, self._events = control, events
        self._events.setblocking(False)
        self.loop.soon(self.loop.asyncio.add_reader, self._events.fileno(), self._read_events)

    def _bring_up(self, control: socket.socket, starter: subprocess.Popen[bytes], interpreter: Interpreter) -> int:
        """Walk the starter through unsharing, ids and furnishing; pid 1's pid on the machine."""
        attach, moved = interpreter.attachments(host.ATTACHED)
        config = {
            "single": self.idmap.single,
            "hostname": self.name or "lab",
            "path": [moved.get(entry, entry) for entry in interpreter.path],
            "moved": moved,
            "preload": ["nbcontainer.lab.inside", *self.preload],
        }
        try:
            socket.send_fds(control, [json.dumps(config).encode()], attach)
        finally:
            for fd in attach:
                os.close(fd)
        if not control.recv(MESSAGE):
            said = complaint(starter.communicate()[1]) or "no reason given"
            raise Unavailable(
                f"this machine does not let us make namespaces ({said}); `%lab doctor` says why, and what would help"
            )
        try:
            idmap.write(starter.pid, self.idmap)
        except (OSError, LabError):
            if self.idmap.single:
                raise
            # The wide map was refused (a root with few ids of its own, newuidmap without its privilege).
            self.idmap = idmap.single()
            idmap.write(starter.pid, self.idmap)
        control.send(b"y")
        pid = 0
        while True:
            message = control.recv(MESSAGE)
            if not message:
                raise ConnectionError("its init ended")
            said_by = json.loads(message)
            if "pid" in said_by:
                pid = int(said_by["pid"])
            elif "failed" in said_by:
                raise LabError(f"the lab could not be furnished: {said_by['failed']['message']}")
            elif "ready" in said_by:
                return pid

    def close(self) -> None:
        """End the lab: every process, mount and interface of it, and, when it is ephemeral, its files."""
        if self.closed or not self.ours:
            return
        self.closed = True
        atexit.unregister(_close)
        if not self.gone and self.name is None:
            # Files of ids that only the lab has, and directories without permissions, are removed from inside.
            try:
                self.call(files.end_all_and_remove, str(self.directory))
            except errors.NbcontainerError:
                pass  # the next lab removes what is left
        self._end()
        self._claim.release(remove=self.name is None)

    def _end(self) -> None:
        self.loop.do(self._forget_events)
        self._control.close()
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        except ChildProcessError:
            pass
        os.close(self.pidfd)
        self._lose_all()

    def _forget_events(self) -> None:
        if self._events.fileno() >= 0:
            self.loop.asyncio.remove_reader(self._events.fileno())
            self._events.close()

    def _lose_all(self) -> None:
        self.gone = True
        for key in list(self._processes):
            process = self._processes.pop(key, None)  # a request that fails takes its own away meanwhile
            if process is not None:
                process.finish(LOST)
        self.orphans.lose_all()

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback()` on the loop's thread if init ends without being asked to."""
        self._on_gone.append(callback)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what init reports

    def _read_events(self) -> None:
        while True:
            try:
                message = self._events.recv(MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._forget_events()
                self._lose_all()
                for callback in self._on_gone:
                    callback()
                return
            event = json.loads(message)
            code = exit_code_of(event["status"])
            if "pid" in event:
                self.orphans.ended(event["pid"], code)
            elif (ended := self._processes.pop(event["key"], None)) is not None:
                ended.finish(code)

    # -- run things in it

    def spawn(
        self,
        target: Callable[..., object],
        *args: Any,
        fds: Sequence[int] = (),
        pidns: PidNamespace | int = "lab",
        number: int = 0,
    ) -> Process:
        """Run `target(*args, fds=[…])` in a new process of the lab, forked from init.

        `target` is a module-level function; `args` are JSON values. `pidns` is `"lab"`, `"new"`, or a pidfd whose
        pid namespace to join; with `"new"`, `number` is the pid it has in the lab, or the next one that is free. The
        process has its own session and none of init's descriptors. Raises `LabGone` or `OSError`.
        """
        passed = [pidns] if isinstance(pidns, int) else []
        request = {
            "target": f"{target.__module__}:{target.__qualname__}",
            "pidns": "join" if isinstance(pidns, int) else pidns,
            "number": number,
            "large": False,
        }
        return self._request(request, json.dumps(args).encode(), [*passed, *fds])

    def _request(self, request: dict[str, Any], args: bytes, fds: list[int]) -> Process:
        self.check_ours()
        process = Process()
        with self._lock:
            if self.gone:
                raise LabGone("the lab has ended: its init is gone; the next command starts a new one")
            self._next_key += 1
            key = self._next_key
            self._processes[key] = process
            request["key"] = key
            large = -1
            try:
                if len(args) > INLINE:
                    large = memfd(args)
                    request["large"], args, fds = True, b"", [large, *fds]
                encoded = json.dumps(request).encode() + b"\n" + args
                socket.send_fds(self._control, [encoded], fds)
                reply, pidfds = self._reply(key)
            except OSError as error:
                self._processes.pop(key, None)
                raise LabGone(f"the lab has ended ({error.strerror}); the next command starts a new one") from None
            finally:
                if large >= 0:
                    os.close(large)
        if "error" in reply:
            self._processes.pop(key, None)
            raise revive(reply["error"])
        process.pid, process.pidfd = reply["pid"], pidfds[0]
        return process

    def _reply(self, key: int) -> tuple[dict[str, Any], list[int]]:
        while True:
            message, fds, _, _ = socket.recv_fds(self._control, MESSAGE, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            if not message:
                raise ConnectionResetError(104, "its init is gone")
            reply = json.loads(message)
            if reply["key"] == key:
                return reply, list(fds)
            # The answer to a request that Ctrl-C cut short: nobody waits for that process any more.
            for fd in fds:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                os.close(fd)

    def call(self, target: Callable[..., T], *args: Any, fds: Sequence[int] = ()) -> T:
        """What `target(*args)` returns when it runs in a new process of the lab.

        `args` and the result are JSON values. With `fds` the target is called with `fds=[…]`; one that returns
        `inside.Descriptors(value, fds)` gives `(value, fds)` here. Our own exceptions and `OSError` come back as
        themselves, anything else as `LabError`. Ctrl-C ends the process.
        """
        ours, theirs = socket.socketpair()
        name = f"{target.__module__}:{target.__qualname__}"
        with ours:
            try:
                process = self.spawn(inside.answer, name, list(args), bool(fds), fds=[theirs.fileno(), *fds])
            finally:
                theirs.close()
            try:
                reply, back = _receive(ours)
            except BaseException:
                process.kill()
                raise
        if reply is None:
            code = process.wait()
            raise LabGone("the lab has ended") if self.gone else LabError(f"{name} ended with {code} inside the lab")
        if "error" in reply:
            raise revive(reply["error"])
        return cast(T, (reply["result"], back) if back else reply["result"])

    def netlink(self) -> socket.socket:
        """A NETLINK_ROUTE socket of the lab's network namespace: this process may do everything with it."""
        _, fds = cast("tuple[None, list[int]]", self.call(sockets.netlink))
        return socket.socket(fileno=fds[0])


def _receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    head, fds, _, _ = socket.recv_fds(sock, 8, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if len(head) < 8:
        return None, []
    data = bytearray()
    wanted = int.from_bytes(head, "big")
    while len(data) < wanted:
        part = sock.recv(min(1 << 20, wanted - len(data)))
        if not part:
            return None, []
        data += part
    return json.loads(data), list(fds)


def memfd(data: bytes) -> int:
    """`data` as a file in memory (memfd_create(2)): its descriptor."""
    fd = os.memfd_create("request", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _close(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    close = method()
    if close is not None:
        close()


def revive(error: dict[str, Any]) -> Exception:
    """The exception that `inside.describe` put into JSON."""
    if error["kind"] == "OSError":
        return OSError(error["errno"], os.strerror(error["errno"]), error["filename"])
    found = getattr(errors, error["kind"], None)
    if isinstance(found, type) and issubclass(found, errors.NbcontainerError):
        return found(error["message"])
    return LabError(f"{error['kind']}: {error['message']}")
