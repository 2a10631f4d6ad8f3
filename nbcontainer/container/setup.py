"""Runs inside the lab: from an OCI config.json to the program running, in the order of its steps.

One process, forked by init into a new pid namespace, makes everything else itself: namespaces, cgroup, root,
mounts, network, restrictions. It reports over one socket, which closes by itself when the program starts.
"""

from __future__ import annotations

import json
import os
import socket

from nbcontainer.container import confine, filesystem, rootfs, supervise
from nbcontainer.container.trace import Recorder
from nbcontainer.lab import host, inside
from nbcontainer.network import wire
from nbcontainer.syscalls import mounts, namespaces, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: OCI's names for namespaces, and the kernel's flags.
KINDS = {
    "ipc": namespaces.CLONE_NEWIPC,
    "uts": namespaces.CLONE_NEWUTS,
    "network": namespaces.CLONE_NEWNET,
    "mount": namespaces.CLONE_NEWNS,
    "cgroup": namespaces.CLONE_NEWCGROUP,
}


class Prepared:
    """What was done before the request came: namespaces that most containers want, and the way back to the lab's."""

    def __init__(self, trace: Recorder, host_: dict[str, int]) -> None:
        self.trace = trace
        self.host = host_


def prepare() -> Prepared:
    """What any container needs, done ahead of its request by the process that will become it."""
    trace = Recorder()
    files = {"ipc": "ipc", "uts": "uts", "network": "net"}
    host_ = {kind: os.open(f"/proc/thread-self/ns/{file}", os.O_RDONLY | os.O_CLOEXEC) for kind, file in files.items()}
    for kind in files:
        namespaces.unshare(KINDS[kind])
        trace.step("namespace", kind)
    host.loopback_up()
    trace.step("link", "lo")
    return Prepared(trace, host_)


def main(request: dict[str, Any], *, fds: list[int], prepared: Prepared | None = None) -> NoReturn:
    """Make the container that `request` describes and become its program. Errors go over `fds[0]` as JSON."""
    sync = socket.socket(fileno=fds[0])
    stage = "set-up"
    prepared = prepared or prepare()
    trace = prepared.trace
    trace.resume()
    try:
        filter_ = confine.read_filter(fds.pop()) if request["seccomp"] else None
        stdio, cgroups, joined, binds = _sort(request, fds[1:])
        spec = request["spec"]
        _into_cgroups(cgroups, trace)
        if "oomScoreAdj" in spec["process"]:
            _oom_score(spec["process"]["oomScoreAdj"])
        confine.guard()
        _into_namespaces(spec, request, joined, prepared)
        master = _root(spec, request, binds, trace)
        stage = "command"
        program = _prepare(spec, stdio, master, sync, trace)
        user = confine.resolve_user(request["user"])
        environment(spec["process"], user.home)
        if request["init"]:
            supervise.fork_program()
            trace.step("exec", "init")
        confine.become(spec["process"], filter_, user, trace)
        trace.step("exec", program)
        sync.send(json.dumps({"trace": trace.notes}).encode())
        confine.execute(spec["process"], program)
    except BaseException as error:
        said = {**inside.describe(error), "stage": stage, "exit_code": _exit_code(stage, error)}
        sync.send(json.dumps({"error": said}).encode())
        os._exit(said["exit_code"])


def _exit_code(stage: str, error: BaseException) -> int:
    return confine.exit_code_for(error) if stage == "command" else 125


def _sort(request: dict[str, Any], fds: list[int]) -> tuple[list[int], list[int], dict[str, int], dict[int, int]]:
    """Which descriptor is which: stdio, cgroup.procs files, namespaces to join, mounts of root's bind sources."""
    rest = iter(fds)
    stdio = [next(rest) for _ in range(request["stdio"])]
    cgroups = [next(rest) for _ in range(request["cgroups"])]
    joined = {kind: next(rest) for kind in request["join"]}
    binds = {index: next(rest) for index in request["binds"]}
    return stdio, cgroups, joined, binds


def _into_cgroups(cgroups: list[int], trace: Recorder) -> None:
    for fd in cgroups:
        # The permission to move a process is the opener's, and 0 means the writer (cgroups(7)).
        os.write(fd, b"0")
        os.close(fd)
    if cgroups:
        trace.step("cgroup", f"join {len(cgroups)}")


def _oom_score(value: int) -> None:
    process.prctl(process.PR_SET_DUMPABLE, 1)  # /proc/self belongs to us only while we are dumpable: proc(5)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(value))


def _into_namespaces(spec: dict[str, Any], request: dict[str, Any], joined: dict[str, int], prepared: Prepared) -> None:
    trace = prepared.trace
    wanted = {entry["type"] for entry in spec["linux"]["namespaces"]}
    for kind, host_fd in prepared.host.items():
        if kind in joined or kind not in wanted:
            namespaces.setns(joined.get(kind, host_fd), KINDS[kind])
            trace.step("namespace", f"{kind} {'joined' if kind in joined else 'of the lab'}")
    for kind in ("mount", "cgroup"):
        namespaces.unshare(KINDS[kind])
        trace.step("namespace", kind)
    if request["endpoint"] is not None:
        _link(request["endpoint"], prepared.host["network"])
        trace.step("link", f"{request['endpoint']['veth']} on {request['endpoint']['bridge']}")
    for fd in (*prepared.host.values(), *joined.values()):
        os.close(fd)
    if "uts" in wanted and "uts" not in joined:
        if spec.get("hostname"):
            namespaces.sethostname(spec["hostname"])
        if spec.get("domainname"):
            namespaces.setdomainname(spec["domainname"])


def _link(endpoint: dict[str, Any], lab_netns: int) -> None:
    """Wire the container up, over a socket that is opened in the lab's network namespace."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    namespaces.setns(lab_netns, namespaces.CLONE_NEWNET)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        namespaces.setns(own, namespaces.CLONE_NEWNET)
        wire.connect(endpoint, sock, own)
    os.close(own)


def _root(spec: dict[str, Any], request: dict[str, Any], binds: dict[int, int], trace: Recorder) -> int | None:
    """Mount and enter the container's root; the pty's slave-side path is opened later, from inside."""
    root = host.ROOTFS
    if request["driver"] == "overlay":
        rootfs.mount(root, request["overlays"])
        trace.step("mount", f"overlay, {sum(len(o['lowers']) for o in request['overlays'])} lower")
    else:
        mounts.mount(request["overlays"][0]["upper"], root, None, mounts.MS_BIND)
        trace.step("mount", "copied root")
    plan = filesystem.Plan(spec, request["files"], binds, request["hierarchies"])
    plan.gather()
    trace.step("mount", "sources")
    os.chdir(root)
    # pivot_root(2): with "." twice the old root lies over the new one. Every path from here on is resolved in the
    # container, so no symbolic link of an image can lead out of it.
    mounts.pivot_root(".", ".")
    trace.step("mount", "pivot_root")
    plan.mount(trace)
    _sysctls(spec)
    mounts.umount(".", mounts.MNT_DETACH)
    os.chdir("/")
    trace.step("mount", "leave the old root")
    plan.protect()
    trace.step("mount", "masked and read-only paths")
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC) if spec["process"].get("terminal") else None


def _sysctls(spec: dict[str, Any]) -> None:
    for name, value in spec["linux"].get("sysctl", {}).items():
        with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(value)


def _prepare(spec: dict[str, Any], stdio: list[int], master: int | None, sync: socket.socket, trace: Recorder) -> str:
    """Standard input, output and error; the working directory; the program's file."""
    if master is not None:
        filesystem.terminal(master, sync)
    else:
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
    for fd in stdio:
        os.close(fd)
    arguments = spec["process"]
    cwd = arguments["cwd"]
    if not os.path.isdir(cwd):
        os.makedirs(cwd)  # as Docker does for WORKDIR and -w
    confine.enter_directory(cwd)
    program = confine.find_program(arguments["args"][0], confine.environment_path(arguments["env"]), cwd)
    trace.step("exec", "stdio and working directory")
    return program


def environment(process_: dict[str, Any], home: str) -> None:
    """HOME, where neither image nor user has set it, is the user's."""
    if not any(entry.startswith("HOME=") for entry in process_["env"]):
        process_["env"].append(f"HOME={home}")
