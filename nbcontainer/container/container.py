"""A container: its life from created to removed, its processes, its output."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcontainer.container import connection, execute, look
from nbcontainer.container.execute import ExecResult, Sink
from nbcontainer.container.life import Life
from nbcontainer.container.logs import STDERR, STDOUT, Log, Record
from nbcontainer.container.options import ExecOptions, RunOptions, UpdateOptions, parse_signal
from nbcontainer.container.state import State
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.container.timeline import Note, Step, steps
from nbcontainer.errors import Conflict
from nbcontainer.image.images import Image
from nbcontainer.image.stack import Stack
from nbcontainer.lab import files
from nbcontainer.lab.process import Process
from nbcontainer.network.netns import Netns, ProcessNetns

if TYPE_CHECKING:
    from nbcontainer.cgroup.group import Group
    from nbcontainer.container.containers import Containers
    from nbcontainer.container.network_options import Attachment
    from nbcontainer.network.endpoint import Endpoint
    from nbcontainer.network.names import Names


class Container:
    """One container of a lab. Made by `lab.containers.create` or `.run`."""

    def __init__(
        self,
        owner: Containers,
        container_id: str,
        name: str,
        image: Image,
        options: RunOptions,
        spec: dict[str, Any],
        created: str,
    ) -> None:
        self.owner = owner
        self.lab = owner.lab
        self.id = container_id
        self.name = name
        self.image = image
        self.options = options
        self.spec = spec
        self.created = created
        self.state = State()
        #: What `trace` is made of: the notes of set-up, and of this process meanwhile.
        self.notes: tuple[Sequence[Note], Sequence[Note]] = ((), ())
        #: Its overlays as `nbcontainer.container.rootfs` mounts them: prefix, lowers, upper, work.
        self.overlays: list[dict[str, Any]] = []
        #: The names of the volumes it has mounted.
        self.volumes: list[str] = []
        #: Bind sources that are the machine's own files, by index in the spec's mounts.
        self.bind_sources: dict[str, str] = {}
        #: Whether the ids, names and pids of later containers count it: those of a build's steps are not.
        self.counted = True
        #: The texts of its /etc/hosts, /etc/hostname and /etc/resolv.conf while it runs.
        self.etc: dict[str, str] = {}
        self.cgroup: Group | None = None
        #: The networks it is on when it runs, in order, and its endpoint on each while it does.
        self.attachments: dict[str, Attachment] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.names: Names | None = None
        #: Its pid 1, and the process through which its namespaces are entered: the same one, but with `--init`.
        self.process: Process | None = None
        self.entry: Process | None = None
        self.stdio: Stdio | None = None
        self.log = Log(self.directory / "log" / "container.log")
        #: The output has been shown where the container ran.
        self.attached = False
        self.lock = threading.RLock()
        self._last_output: list[Record] | None = None
        self._execs: dict[str, Process] = {}
        self.life = Life(self)

    # -- what it is

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id[:12]

    @cached_property
    def directory(self) -> Path:
        """What it keeps on disk: upper and work directories, its spec, its log."""
        return self.owner.directory / self.id

    @property
    def trace(self) -> tuple[Step, ...]:
        """Each step that made it, in order, with its own duration; empty before it has started."""
        return steps(*self.notes)

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited or removing."""
        return self.state.status

    @property
    def exit_code(self) -> int:
        """What it ended with; 0 while it has not."""
        return self.state.exit_code

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels and its own."""
        return {**(self.image.config.get("Labels") or {}), **self.options.label}

    @property
    def root(self) -> str:
        """The writable layer on disk: the upper directory of "/"."""
        return str(self.directory / "upper" / "0")

    @property
    def size(self) -> int:
        """Bytes of the files it has written: what removing it gives back."""
        return sum(self.lab.call(files.size, overlay["upper"]) for overlay in self.overlays)

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.short_id} {self.status}>"

    @property
    def endpoint(self) -> Endpoint | None:
        """Its endpoint on the first of its networks; None while it does not run, and when it has none."""
        return next(iter(self.endpoints.values()), None)

    @property
    def ports(self) -> dict[str, list[tuple[str, int]]]:
        """Where its published ports are on the machine: `{"80/tcp": [("127.0.0.1", 8080), ("::1", 8080)]}`."""
        found: dict[str, list[tuple[str, int]]] = {}
        for binding in self.owner.publisher.bindings(self.id):
            found.setdefault(binding.key, []).append((binding.host_ip, binding.host_port))
        return found

    def connect(self, network: str, **raw: Any) -> None:
        """`network connect`: `alias=["db"]`, `ip="172.18.0.9"`, `ip6=`, `link=`. Raises `NotFound`, `Conflict`."""
        with self.lock:
            connection.connect(self, network, **raw)

    def disconnect(self, network: str) -> None:
        """`network disconnect`. Raises `NotFound`, `Conflict` when it is not on the network."""
        with self.lock:
            connection.disconnect(self, network)

    # -- life

    def start(self, watch: bool = False) -> Watcher | None:
        """Run it, again if it has ended. Raises `StartFailed`, `Conflict`.

        With `watch`, a watcher that sees its output from the first byte on.
        """
        self.lab.check_ours()
        with self.lock:
            if self.state.running:
                return None
            if self.state.status == "removing":
                raise Conflict(f"container {self.name} is marked for removal and cannot be started")
            self.state.stopped_by_user = False
            return self.life.start(watch)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises `TimeoutError` after `timeout` seconds."""
        if not self.life.stopped.wait(timeout):
            raise TimeoutError(f"container {self.name} is still running")
        return self.state.exit_code

    def kill(self, signal_: str | int = "KILL") -> None:
        """Send a signal to its pid 1. Raises `Conflict` when it is not running."""
        number = parse_signal(signal_)
        process = self._running_process(f"cannot kill container: {self.name}: ")
        if self.state.status == "paused" and number == signal.SIGKILL:
            self.unpause()
        process.kill(number)
        self.owner.event("kill", self, signal=str(number))
        if number == signal.SIGKILL:
            self.wait()

    def stop(self, timeout: float | None = None, signal_: str | None = None) -> None:
        """The stop signal, and after `timeout` seconds (10, or as `--stop-timeout` says) SIGKILL."""
        self.state.stopped_by_user = True
        self.life.restart.cancel()
        if not self.state.running:
            return
        if self.state.status == "paused":
            self.unpause()
        patience = timeout if timeout is not None else self.options.stop_timeout
        number = parse_signal(signal_ or self.options.stop_signal or self.image.config.get("StopSignal") or "TERM")
        process = self.process
        if process is not None:
            process.kill(number)
            try:
                self.wait(10.0 if patience is None else None if patience < 0 else patience)
            except TimeoutError:
                process.kill(signal.SIGKILL)
                self.wait()
        self.owner.event("stop", self)

    def restart(self, timeout: float | None = None) -> None:
        """`stop`, then `start`."""
        self.stop(timeout)
        self.start()
        self.owner.event("restart", self)

    def pause(self) -> None:
        """Freeze every process of it. Raises `Unavailable` where no cgroup can."""
        with self.lock:
            self._running_process("")
            if self.state.status == "paused":
                raise Conflict(f"Container {self.name} is already paused")
            assert self.cgroup is not None
            self.cgroup.freeze()
            self.state.status = "paused"
            self._save()
        self.owner.event("pause", self)

    def unpause(self) -> None:
        """Let it go on."""
        with self.lock:
            if self.state.status != "paused":
                raise Conflict(f"Container {self.name} is not paused")
            assert self.cgroup is not None
            self.cgroup.thaw()
            self.state.status = "running"
            self._save()
        self.owner.event("unpause", self)

    def remove(self, force: bool = False, volumes: bool = False) -> None:
        """Remove it and its writable layer; with `volumes`, its anonymous volumes. Raises `Conflict` when running."""
        if force:
            self.state.stopped_by_user = True
        self.life.restart.cancel()
        if self.state.running:
            if not force:
                raise Conflict(
                    f"You cannot remove a running container {self.id}. "
                    "Stop the container before attempting removal or force remove"
                )
            if self.state.status == "paused":
                self.unpause()
            if self.process is not None:
                self.process.kill(signal.SIGKILL)
            self.wait()
        with self.lock:
            if self.state.status == "removing":
                return
            self.state.status = "removing"
            if self.attached:
                self._last_output = list(self.log.records())
            self.log.close()
            self.owner.forget(self, volumes)

    def rename(self, name: str) -> None:
        """Give it another name. Raises `Conflict`."""
        self.owner.rename(self, name)

    def update(self, **changes: Any) -> None:
        """Change its limits, and its restart policy, while it runs or not: `memory="64m"`, `cpus="0.5"`, …."""
        self.options = UpdateOptions.parse(**changes).applied(self.options)
        if self.cgroup is not None:
            self.cgroup.set(self.owner.limits(self.options))
        self._save()
        self.owner.event("update", self)

    def _running_process(self, prefix: str) -> Process:
        if not self.state.running or self.process is None:
            raise Conflict(f"{prefix}Container {self.id} is not running")
        return self.process

    def _save(self) -> None:
        self.owner.save(self)

    # -- output and input

    def logs(self, tail: int | None = None, timestamps: bool = False, stdout: bool = True, stderr: bool = True) -> str:
        """What it printed, as text."""
        return look.log_text(self, look.Wanted(tail, timestamps, stdout, stderr))

    def records(self) -> list[Record]:
        """What it printed: bytes, streams and times."""
        return self._last_output if self._last_output is not None else list(self.log.records())

    def follow(self) -> Iterator[tuple[int, bytes]]:
        """Its output as it comes, `(stream, bytes)`, from now until it ends."""
        if self.stdio is None or not self.state.running:
            return
        watcher = self.stdio.watch()
        try:
            while (piece := watcher.get()) is not None:
                yield piece
        finally:
            self.stdio.unwatch(watcher)

    def write(self, data: bytes) -> None:
        """Give `data` to its standard input (it was made with `-i`)."""
        if self.stdio is not None:
            self.stdio.write(data)

    def close_input(self) -> None:
        """End its standard input."""
        if self.stdio is not None:
            self.stdio.close_input()

    def relay(self, watcher: Watcher, stdout: Sink | None, stderr: Sink | None) -> int:
        """Hand its output on until it ends; its exit code. Ctrl-C sends SIGINT, a second one kills."""
        interrupts = 0
        sinks = {STDOUT: stdout, STDERR: stderr}
        while True:
            try:
                piece = watcher.get()
                if piece is None:
                    return self.wait()
                sink = sinks[piece[0]]
                if sink is not None:
                    sink(piece[1])
            except KeyboardInterrupt:
                interrupts += 1
                process = self.process
                if process is not None:
                    process.kill(signal.SIGINT if interrupts == 1 else signal.SIGKILL)

    def attach(self, stdout: Sink | None = None, stderr: Sink | None = None) -> int:
        """Relay what it prints from now on; its exit code when it ends."""
        self._running_process("You cannot attach to a stopped container, start it first: ")
        assert self.stdio is not None
        watcher = self.stdio.watch()
        try:
            return self.relay(watcher, stdout, stderr)
        finally:
            self.stdio.unwatch(watcher)

    # -- more processes

    def exec(
        self,
        command: Sequence[str],
        *,
        stdin: bytes | None = None,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
        timeout: float | None = None,
        **raw: Any,
    ) -> ExecResult:
        """Run `command` in it. Options are `exec`'s: `user`, `workdir`, `env`, `tty`, `detach`, ….

        Raises `Conflict` when it is not running, `StartFailed`, and `TimeoutError` (the command is killed).
        """
        return execute.run(self, ExecOptions.parse(command, **raw), stdin, {STDOUT: stdout, STDERR: stderr}, timeout)

    # -- look inside

    @property
    def namespaces(self) -> dict[str, int]:
        """Its namespaces, by type: the inode number that identifies each (namespaces(7))."""
        return look.namespaces(self)

    @property
    def netns(self) -> Netns:
        """Its network namespace while it runs: for sockets, links and captures there. Raises `Conflict`."""
        if self.entry is None:
            raise Conflict(f"Container {self.id} is not running")
        return ProcessNetns(self.name, self.lab, self.entry.pidfd)

    def inspect(self) -> dict[str, Any]:
        """Docker's JSON."""
        from nbcontainer.container import inspect

        return inspect.container(self)

    def top(self, columns: Sequence[str] = ()) -> list[dict[str, str]]:
        """Its processes."""
        return look.processes(self, columns)

    def diff(self) -> list[tuple[str, str]]:
        """What it changed below its root: `("A" | "C" | "D", path)`, sorted by path."""
        from nbcontainer.container import files

        return files.diff(self)

    @property
    def layers(self) -> Stack:
        """The layers of its image, lowest first, and last its own, which is writable."""
        from nbcontainer.container import files

        return files.layers(self)

    def copy_out(self, path: str) -> bytes:
        """`path` of the container as a tar archive."""
        from nbcontainer.container import files

        return files.copy_out(self, path)

    def copy_in(self, archive: bytes, path: str) -> None:
        """Unpack a tar archive below the directory `path` of the container."""
        from nbcontainer.container import files

        files.copy_in(self, archive, path)

    def export(self, target: Path) -> None:
        """Its root as one tar archive, written to `target`."""
        from nbcontainer.container import files

        files.export(self, target)

    def commit(
        self,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        author: str = "",
        message: str = "",
        pause: bool = True,
    ) -> Image:
        """A new image of what it has written and what it was started with; `changes` are Dockerfile instructions."""
        from nbcontainer.container import commit

        return commit.commit(self, name, changes=changes, author=author, message=message, pause=pause)

    def export_bundle(self, target: Path) -> None:
        """An OCI bundle, config.json and rootfs/, that `runc run` takes."""
        from nbcontainer.container import files

        files.export_bundle(self, target)
