"""Runs inside the lab: from an OCI config.json to the program running, in the order of its steps.

One process, forked by init, makes nearly everything itself: namespaces, root, mounts, restrictions. The notebook's
process makes its cgroup and its link meanwhile. They speak over one socket, which closes by itself when the program
starts:

    set-up      "ready", with its network namespace, a netlink socket in it, and its mount namespace
    notebook    the request: the spec, and what comes from outside
    notebook    its place in the control groups
    notebook    "go": the link is there
    set-up      "terminal", "trace"; or "error", with the stage and the exit code
"""

from __future__ import annotations

import json
import os
import socket

from nbcontainer.container import confine, filesystem, rootfs, stage, supervise
from nbcontainer.container.trace import GO, GROUP, Recorder
from nbcontainer.lab import host, inside
from nbcontainer.syscalls import capabilities, mounts, namespaces, process

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
#: The largest message, and the most descriptors that go with one. For a larger buffer malloc(3) maps memory anew.
MESSAGE = 1 << 16
DESCRIPTORS = 128


class Prepared:
    """What was done before the request came: namespaces, mounts that stand ready, the bounding set."""

    def __init__(self, expected: dict[str, Any], joined: dict[str, int]) -> None:
        self.trace = Recorder()
        self.lab = _namespace("mnt")
        wanted = [entry["type"] for entry in expected["linux"]["namespaces"]]
        for kind in ("ipc", "uts", "network", "mount"):
            if kind in joined:
                namespaces.setns(joined[kind], KINDS[kind])
                self.trace.step("namespace", f"{kind} joined")
            elif kind in wanted:
                namespaces.unshare(KINDS[kind])
                self.trace.step("namespace", kind)
        if "network" in wanted and "network" not in joined:
            host.loopback_up()
            self.trace.step("link", "lo")
        for fd in joined.values():
            os.close(fd)
        self.own = _namespace("mnt")
        self.stage = stage.Stage(expected)
        self.trace.step("mount", "/proc, /dev and /sys, ahead")
        # What no program of the container may ever have; what set-up may do is another set (capabilities(7)).
        capabilities.drop_bounding(expected["process"]["capabilities"].get("bounding", []))
        self.trace.step("limit", "bounding capabilities")

    def say(self, sync: socket.socket) -> None:
        """Tell the notebook's process that the request may come, and let it wire the container up."""
        network = _namespace("net")
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
            netlink.bind((0, 0))
            socket.send_fds(sync, [b'{"ready": true}'], [network, netlink.fileno(), self.own])
        os.close(network)


def _namespace(file: str) -> int:
    return os.open(f"/proc/thread-self/ns/{file}", os.O_RDONLY | os.O_CLOEXEC)


def main(expected: dict[str, Any], joined: list[str], *, fds: list[int]) -> NoReturn:
    """Make ready for a spec like `expected`, wait for the request, make the container and become its program.

    `fds` are the socket, then the namespaces that `joined` names.
    """
    sync = socket.socket(fileno=fds[0])
    stage_ = "set-up"
    try:
        prepared = Prepared(expected, dict(zip(joined, fds[1:], strict=True)))
        rehearse(expected["process"])
        cpus = os.sched_getaffinity(0)
        prepared.say(sync)
        message, given = receive(sync)
        os.sched_setaffinity(0, cpus)  # that it came on another was `SetUp.ask`
        trace = prepared.trace
        trace.resume()
        request = json.loads(message)
        spec = request["spec"]
        filter_ = confine.read_filter(given.pop()) if request["seccomp"] else None
        rest = iter(given)
        stdio = [next(rest) for _ in range(request["stdio"])]
        binds = {index: next(rest) for index in request["binds"]}
        if "oomScoreAdj" in spec["process"]:
            _oom_score(spec["process"]["oomScoreAdj"])
        confine.guard()
        _name(spec, joined)
        trace.step("exec", "read the request")
        master = _root(spec, request, binds, prepared, sync)
        stage_ = "command"
        program = _prepare(spec, stdio, master, sync, trace)
        user = confine.resolve_user(request["user"])
        environment(spec["process"], user.home)
        trace.step("exec", "user and environment")
        receive(sync)
        trace.step(*GO)
        if request["init"]:
            supervise.fork_program()
            trace.step("exec", "init")
        confine.become(spec["process"], filter_, user, trace)
        trace.step("exec", program)
        sync.send(json.dumps({"trace": trace.notes}).encode())
        confine.execute(spec["process"], program)
    except BaseException as error:
        said = {**inside.describe(error), "stage": stage_, "exit_code": _exit_code(stage_, error)}
        sync.send(json.dumps({"error": said}).encode())
        os._exit(said["exit_code"])


def rehearse(expected: dict[str, Any]) -> None:
    """Do without effect what the request will ask for: fork(2) shares pages until their first touch, which is dear.

    `expected` is the `process` of a spec.
    """
    arguments = json.loads(json.dumps({"process": expected}))["process"]
    user = confine.resolve_user("root")
    environment(arguments, user.home)
    try:
        confine.find_program("sh", confine.environment_path(arguments["env"]), "/")
    except OSError:
        pass
    capabilities.mask(arguments["capabilities"]["bounding"])
    confine.rehearse()


def receive(sync: socket.socket) -> tuple[bytes, list[int]]:
    """A message; one that is too long for a message comes as a file. Nobody there: nothing more to do."""
    message, fds, _, _ = socket.recv_fds(sync, MESSAGE, DESCRIPTORS)
    if not message:
        os._exit(1)
    if message == b"file":
        with os.fdopen(fds.pop(0), "rb") as file:
            file.seek(0)
            message = file.read()
    return message, list(fds)


def _exit_code(stage_: str, error: BaseException) -> int:
    return confine.exit_code_for(error) if stage_ == "command" else 125


def _oom_score(value: int) -> None:
    process.prctl(process.PR_SET_DUMPABLE, 1)  # /proc/self belongs to us only while we are dumpable: proc(5)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(value))


def _name(spec: dict[str, Any], joined: list[str]) -> None:
    """The hostname, in a namespace that is the container's own."""
    if "uts" not in joined and any(entry["type"] == "uts" for entry in spec["linux"]["namespaces"]):
        if spec.get("hostname"):
            namespaces.sethostname(spec["hostname"])
        if spec.get("domainname"):
            namespaces.setdomainname(spec["domainname"])


def _root(
    spec: dict[str, Any], request: dict[str, Any], binds: dict[int, int], prepared: Prepared, sync: socket.socket
) -> int | None:
    """Mount and enter the container's root; the pty's slave-side path is opened later, from inside."""
    root, trace = host.ROOTFS, prepared.trace
    plan = filesystem.Plan(spec, prepared.stage, binds)
    plan.gather(prepared.lab, prepared.own)
    trace.step("mount", "sources")
    if request["driver"] == "overlay":
        rootfs.mount(root, request["overlays"])
        trace.step("mount", f"overlay, {sum(len(o['lowers']) for o in request['overlays'])} lower")
    else:
        mounts.mount(request["overlays"][0]["upper"], root, None, mounts.MS_BIND)
        trace.step("mount", "copied root")
    os.chdir(root)
    # pivot_root(2): with "." twice the old root lies over the new one. Every path from here on is resolved in the
    # container, so no symbolic link of an image can lead out of it.
    mounts.pivot_root(".", ".")
    trace.step("mount", "pivot_root")
    plan.mount(request["files"], trace)
    _sysctls(spec)
    mounts.umount(".", mounts.MNT_DETACH)
    os.chdir("/")
    trace.step("mount", "leave the old root")
    _into_cgroups(sync, plan, trace)
    plan.protect()
    trace.step("mount", "masked and read-only paths")
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC) if spec["process"].get("terminal") else None


def _into_cgroups(sync: socket.socket, plan: filesystem.Plan, trace: Recorder) -> None:
    """Wait for it, and join. The namespace comes after: where one is when it is made is its root."""
    message, procs = receive(sync)
    trace.step(*GROUP)
    for fd in procs:
        # The permission to move a process is the opener's, and 0 means the writer (cgroups(7)).
        os.write(fd, b"0")
        os.close(fd)
    if procs:
        trace.step("cgroup", f"join {len(procs)}")
    namespaces.unshare(namespaces.CLONE_NEWCGROUP)
    trace.step("namespace", "cgroup")
    plan.control_groups(json.loads(message)["hierarchies"])
    trace.step("mount", "/sys/fs/cgroup")


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
