"""One start of a container, from the notebook's side: the request for set-up, its cgroup, its link."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from nbcontainer.container import connection, security, spare, spec
from nbcontainer.container.options import ExecOptions
from nbcontainer.container.trace import READY, Recorder
from nbcontainer.errors import Conflict, StartFailed
from nbcontainer.lab.inside import Descriptors
from nbcontainer.lab.process import Process
from nbcontainer.syscalls import libseccomp

if TYPE_CHECKING:
    from nbcontainer.cgroup.group import Group
    from nbcontainer.container.container import Container

#: The spec's names of namespaces that `--network`, `--ipc` and `--uts` share, and those of /proc/PID/ns.
_FILES = {"network": "net", "ipc": "ipc", "uts": "uts"}


class Launch:
    """One start: a set-up process has its request, and makes the container. Use as a context.

    The request goes out as early as can be; `wire` makes the cgroup and the link while set-up mounts.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        self._theirs: list[int] = []
        #: What this process did meanwhile, as `trace.Recorder` notes it.
        self.trace = Recorder()
        owner, options = container.owner, container.options
        try:
            joined = self._joined()
            connection.allocate(container)
            assert container.stdio is not None
            stdio = [] if options.tty else container.stdio.pipes(options.interactive)
            self._theirs += stdio
            binds = owner.binds.descriptors(container)
            self._theirs += binds.values()
            filter_ = filter_of(container.spec)
            files = self._etc()
            self.setup = owner.spares.take(container.spec, self._pid_namespace(), joined, container.counted)
        except BaseException:
            self.close_theirs()
            raise
        request = {
            "spec": spare.without_filter(container.spec),
            "user": user_of(container),
            "overlays": container.overlays,
            "driver": owner.driver,
            "files": files,
            "seccomp": filter_ is not None,
            "init": options.init,
            "stdio": len(stdio),
            "binds": list(binds),
        }
        self.setup.ask(request, [*stdio, *binds.values(), *([filter_] if filter_ is not None else [])])
        self.close_theirs()

    def wire(self) -> None:
        """Make the cgroup, with its limits, for set-up to join; then the link, and let it go on to the program.

        Raises `Unavailable` where a limit is refused: what cannot be limited as asked does not start.
        """
        container, owner, lab = self.container, self.container.owner, self.container.lab
        self.trace.resume()
        group = container.cgroup = owner.cgroups.create(f"{lab.scope}/{container.id}", owner.limits(container.options))
        procs = group.join_descriptors()
        self._theirs += procs
        self.setup.say({"hierarchies": group.hierarchies}, procs)
        self.close_theirs()
        self.trace.step("cgroup", "create, limits")
        self.setup.ready()
        self.trace.step(*READY)
        if container.endpoints:
            assert self.setup.netlink is not None
            connection.wire_up(container, self.setup.network, self.setup.netlink)
            links = ", ".join(f"{endpoint.veth}, {endpoint.link}" for endpoint in container.endpoints.values())
            self.trace.step("link", f"{links}, address, route")
        self.setup.say({"go": True}, [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_theirs()
        self.setup.close()

    def close_theirs(self) -> None:
        """Close this process's copies of what the set-up process was given."""
        while self._theirs:
            os.close(self._theirs.pop())

    def _other(self, reference: str, what: str) -> Container:
        other = self.container.owner.get(reference)
        if not other.state.running or other.entry is None:
            raise Conflict(f"cannot join {what} of a non running container: {other.id}")
        return other

    def _pid_namespace(self) -> Literal["lab", "new"] | int:
        mode = self.container.options.pid or ""
        if mode == "host":
            return "lab"
        if mode.startswith("container:"):
            other = self._other(mode.partition(":")[2], "the PID namespace")
            assert other.entry is not None
            return other.entry.pidfd
        return "new"

    def _joined(self) -> dict[str, int]:
        """Descriptors of the namespaces that other containers lend."""
        joined: dict[str, int] = {}
        for kind, mode in spec.modes(self.container.options).items():
            if mode.startswith("container:"):
                other = self._other(mode.partition(":")[2], f"the {kind} namespace")
                assert other.entry is not None
                _, fds = cast(
                    "tuple[None, list[int]]", self.container.lab.call(namespace, other.entry.pid, _FILES[kind])
                )
                joined[kind] = fds[0]
                self._theirs.append(fds[0])
        return joined

    def _etc(self) -> dict[str, str]:
        """The container's /etc/hosts, /etc/hostname and /etc/resolv.conf."""
        container = self.container
        options = container.options
        if options.network.startswith("container:"):
            return self._other(options.network.partition(":")[2], "the network namespace").etc
        container.etc = connection.etc(container)
        return container.etc


def program(pid: int) -> Process:
    """The process `pid` (as this process counts) with its number in the lab. Raises `ProcessLookupError`."""
    pidfd = os.pidfd_open(pid)
    try:
        with open(f"/proc/{pid}/status") as status:
            numbers = next(line.split()[1:] for line in status if line.startswith("NSpid:"))
    except OSError:
        os.close(pidfd)
        raise ProcessLookupError(pid) from None
    return Process(int(numbers[-2]), pidfd)


def namespace(pid: int | str, kind: str) -> Descriptors:
    """Runs inside: a descriptor of a namespace of process `pid`, which may be "self"."""
    return Descriptors(None, [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)])


def release(container: Container) -> Group | None:
    """The container does not run (any more): its address is free again. Its group, if it had one, is to be removed."""
    group, container.cgroup = container.cgroup, None
    connection.release(container)
    return group


def user_of(container: Container) -> str:
    """The user that its program runs as: `-u`, or the image's."""
    return container.options.user or container.image.config.get("User") or ""


def filter_of(built: dict[str, Any]) -> int | None:
    """A descriptor, not to be closed, of the spec's seccomp section, compiled; None when there is none."""
    section = built["linux"].get("seccomp")
    return None if section is None else libseccomp.compiled(section)


def exec_process(container: Container, options: ExecOptions) -> tuple[dict[str, Any], str, int | None]:
    """The OCI process of an exec, its user, and its filter."""
    process = dict(container.spec["process"])
    process["args"] = list(options.command)
    process["terminal"] = options.tty
    given = {entry.partition("=")[0] for entry in options.env}
    process["env"] = [e for e in process["env"] if e.partition("=")[0] not in given and not e.startswith("HOME=")]
    process["env"] += options.env
    if options.workdir:
        process["cwd"] = options.workdir
    filter_ = filter_of(container.spec)
    if options.privileged:
        process["capabilities"] = security.capability_sets(security.capabilities([], [], privileged=True))
        filter_ = None
    return process, options.user or user_of(container), filter_


def failed(error: dict[str, Any], program: str) -> StartFailed:
    """The one line that says why a program could not start, in Docker's words, with its exit code."""
    message = error["message"]
    if error["stage"] == "command" and error["kind"] == "OSError":
        reason = os.strerror(error["errno"]).lower()
        if error.get("filename") == program and error["exit_code"] == 127:
            reason = "no such file or directory" if "/" in program else "executable file not found in $PATH"
        elif error["exit_code"] == 126:
            reason = "permission denied" if error["errno"] in (1, 13) else reason
        message = f'exec: "{program}": {reason}'
        if error.get("filename") not in (program, None) and "/" + program not in str(error["filename"]):
            message = f"{error['filename']}: {reason}"
    elif error["kind"] == "OSError":
        return _failed_at(error["filename"], error["errno"])
    return StartFailed(message, int(error["exit_code"]))


def _failed_at(what: str, number: int | None) -> StartFailed:
    return StartFailed(f"setting up the container failed at {what}: {os.strerror(number or 0)}")
