"""A control group with a name, as a notebook holds it: `Cgroup("demo", cpu_max="20%")`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from nbcontainer.cgroup import history, join, settings
from nbcontainer.cgroup.group import Group
from nbcontainer.cgroup.usage import Usage
from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.lab.inside import Descriptors

if TYPE_CHECKING:
    from nbcontainer.cgroup.events import Event
    from nbcontainer.cgroup.tree import Tree


def key_of(name: str) -> str:
    """What the sampler and the events call a named group."""
    return f"cgroup/{name}"


class Run(Protocol):
    """Runs a program on the lab's host; `join` are descriptors through which it joins a group first."""

    def __call__(self, argv: Sequence[str], *, join: Sequence[int] = (), **streams: Any) -> Any:
        """Its exit code and what it printed."""


class Cgroup:
    """A control group of a lab. Whatever the machine has, v2, v1 or both, its words are v2's.

    >>> demo = Cgroup("demo", cpu_max="20%", memory_max="64M", pids_max=20)
    >>> demo.exec(["sh", "-c", "echo in it"]).stdout
    b'in it\\n'
    >>> with demo:
    ...     subprocess.run(["true"])    # a child of this process, in the group

    `Cgroup(name)` is the group of this process's lab with that name, made if it was not there; `lab.cgroup(name)` the
    same in that lab. It goes, and what runs in it is killed, when the lab ends.
    """

    #: Gives the tree of this process's lab. Set by `nbcontainer.runtime`.
    current: ClassVar[Callable[[], Tree]]

    def __init__(self, name: str, *, tree: Tree | None = None, **values: object) -> None:
        self.tree = tree if tree is not None else type(self).current()
        self.name = name.strip("/")
        self.tree.open(self.name, values)

    @property
    def group(self) -> Group:
        """Its directories. Raises `NotFound` when it has been removed."""
        return self.tree.group(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cgroup) and (self.tree, self.name) == (other.tree, other.name)

    def __hash__(self) -> int:
        return hash((id(self.tree), self.name))

    @property
    def path(self) -> str:
        """Its path below our directory of each hierarchy."""
        return self.group.path

    @property
    def key(self) -> str:
        """What the sampler calls it."""
        return key_of(self.name)

    def __repr__(self) -> str:
        return f"<Cgroup {self.name}>"

    # -- limits

    def set(self, **values: object) -> None:
        """Change it while it is in use: `set(cpu_max="50%")`. Raises `InvalidArgument`, `Unavailable`."""
        wanted = settings.parse(values)
        self.tree.cgroups.check_controllers(settings.controllers(wanted))
        self.group.write(wanted)

    def settings(self) -> dict[str, str]:
        """What it is set to, as the kernel says it, by v2's names of the files."""
        return self.group.settings()

    def places(self) -> dict[str, list[str]]:
        """Which files of this machine do the work of each of v2's, by path."""
        return self.group.places()

    # -- processes

    def pids(self) -> list[int]:
        """Its processes and those of the groups below it, as this process's /proc counts them."""
        return [pid for one in (self, *self._below()) for pid in one.group.pids()]

    def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        stdout: Callable[[bytes], object] | None = None,
        stderr: Callable[[bytes], object] | None = None,
    ) -> Any:
        """Run a program of the machine in it, on the lab's host: its exit code, stdout and stderr.

        It is in the group before its first instruction. The streams go to `stdout` and `stderr` as they come, or are
        in the result. Raises `Conflict` for a group with groups below it.
        """
        self.tree.check_leaf(self.name)
        self.tree.events.anew(self.key)
        descriptors = self.group.join_descriptors()
        try:
            return self.tree.run(argv, join=descriptors, stdin=stdin, stdout=stdout, stderr=stderr)
        finally:
            for fd in descriptors:
                os.close(fd)

    def attach(self, process: int | subprocess.Popen[Any], *, in_lab: bool = False) -> None:
        """Move a running process into it: a descendant of this process, by its pid (with `in_lab` as the lab counts).

        What it has already used stays with the group it was in. This process, the lab's init and the processes of
        containers are refused. Raises `NotFound`, `Conflict`, `InvalidArgument`.
        """
        self.tree.check_leaf(self.name)
        pid = process.pid if isinstance(process, subprocess.Popen) else process
        if in_lab:
            pid = self._outside(pid)
        self._check_ours(pid)
        try:
            self.group.attach(pid)
        except ProcessLookupError:
            raise NotFound(f"No such process: {pid}") from None
        except OSError as error:
            raise Conflict(f"process {pid} cannot be moved to {self.name}: {error.strerror}") from None

    def _outside(self, pid: int) -> int:
        try:
            _, fds = cast("tuple[None, list[int]]", self.tree.lab.call(pidfd, pid))
        except OSError:
            raise NotFound(f"No such process in the lab: {pid}") from None
        with os.fdopen(fds[0], "rb"), open(f"/proc/self/fdinfo/{fds[0]}") as info:
            return next(int(line.split()[1]) for line in info if line.startswith("Pid:"))

    def _check_ours(self, pid: int) -> None:
        if pid in (os.getpid(), self.tree.lab.pid):
            raise InvalidArgument(
                f"process {pid} is {'this notebook itself' if pid == os.getpid() else 'the init of the lab'}: "
                "what limits or freezes it would take the notebook with it; run the work in a process of its own"
            )
        if not descends(pid, os.getpid()):
            raise NotFound(f"No such process of this notebook or its lab: {pid}")
        container = self.tree.container_of(pid)
        if container is not None:
            raise Conflict(f"process {pid} is in the container {container}: `%container update` changes its limits")

    def __enter__(self) -> Self:
        """Children that this thread of this process starts from now on are in it (`nbcontainer.cgroup.join`)."""
        self.tree.check_leaf(self.name)
        self.tree.events.anew(self.key)
        join.enter(self.group.join_descriptors())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        join.leave()

    def _below(self) -> list[Cgroup]:
        return [self.tree.get(name) for name in self.tree.below(self.name)]

    def freeze(self) -> None:
        """Stop every process of it and below it. Raises `Unavailable`."""
        for one in (self, *self._below()):
            one.group.freeze()

    def thaw(self) -> None:
        """Let them go on."""
        for one in (self, *self._below()):
            one.group.thaw()

    @property
    def frozen(self) -> bool:
        """Whether it is frozen."""
        return self.group.frozen()

    def kill(self) -> None:
        """SIGKILL every process of it and below it."""
        for one in (self, *self._below()):
            one.group.kill()

    def remove(self, force: bool = False) -> None:
        """Remove it; with `force`, kill what runs in it and remove the groups below it too."""
        self.tree.remove(self.name, force)

    # -- usage

    def usage(self) -> Usage:
        """What it and the groups below it have used, now."""
        return self.group.usage()

    def history(self) -> Any:
        """What was sampled of it lately: a pandas DataFrame where pandas is there, else a list of dicts.

        A row a sample, about ten a second, of the last minute and a half; columns `nbcontainer.cgroup.series.COLUMNS`.
        """
        self.tree.sampler.take()
        return history.table(self.tree.sampler.samples(self.key))

    def plot(self) -> Any:
        """A matplotlib figure of its processor, memory and processes over time. Raises `Unavailable` without it."""
        from nbcontainer.cgroup import figure

        self.tree.sampler.take()
        limits = self.settings()
        return figure.draw({self.name: self.tree.sampler.samples(self.key)}, {self.name: limits}, self.events)

    @property
    def events(self) -> list[Event]:
        """What has happened to it and to the groups below it: OOM kills, throttling, limits reached; oldest first."""
        self.tree.events.settle()
        return [event for event in self.tree.events.happened() if self._mine(event)]

    def on_event(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback(event)` on the loop's thread as things happen to it; what is given back ends that."""
        return self.tree.events.watch(lambda event: callback(event) if self._mine(event) else None)

    def _mine(self, event: Event) -> bool:
        return event.key == self.key or event.key.startswith(f"{self.key}/")


def pidfd(pid: int) -> Descriptors:
    """Runs inside the lab: a pidfd of one of its processes."""
    return Descriptors(None, [os.pidfd_open(pid)])


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process is a descendant of another one (proc(5), /proc/PID/stat)."""
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if pid == ancestor:
            return True
    return False
