"""Speed and size beside Docker, Podman, runc and Mininet, from inside a process as big as a notebook's kernel.

    python benchmarks/run.py            the table
    python benchmarks/run.py --trace    where the time of one container goes

All sides take turns in one run, so only ratios count; medians, with the least and the most behind them. The
peers do what we do: the same root, limits, capabilities and seccomp profile (of the last two, Podman has its own).
They give their containers no user namespace, ours always have one.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from benchmarks.commits import commits
from benchmarks.images import images
from benchmarks.measure import Peer, Row, Samples, limit, proportional, resident, seconds_of, table, versus
from benchmarks.namespaces import namespaces
from benchmarks.topologies import topologies
from nbcontainer.errors import NotFound, Unavailable
from nbcontainer.runtime import Lab, current_lab
from tests.peers import Docker, Podman, Runc, missing

#: Bytes of memory that the process has, so that it is as hard to fork as a kernel with data in it.
KERNEL = 300 << 20
LIMITS: dict[str, Any] = {"memory": "64m", "cpus": "0.5", "pids_limit": 100}
#: The same for runc (runtime-spec, linux.resources).
RESOURCES = {"memory": {"limit": 64 << 20}, "cpu": {"quota": 50000, "period": 100000}, "pids": {"limit": 100}}
IDLE = 200


def command(argv: list[str]) -> Callable[[], object]:
    """Run a command to its end, as cheaply as can be; it must succeed."""
    null = subprocess.DEVNULL
    return lambda: subprocess.run(argv, check=True, stdin=null, stdout=null, stderr=null)


def limits_here(lab: Lab) -> dict[str, Any]:
    """The limits, or none where this user has no cgroups."""
    try:
        lab.containers.run("busybox", ["true"], rm=True, **LIMITS)
    except Unavailable as error:
        print(f"Without limits: {error}", file=sys.stderr)
        return {}
    return LIMITS


def typed(shell: Any, line: str) -> Callable[[], object]:
    """What a cell with this line magic does."""
    magic, _, arguments = line.removeprefix("%").partition(" ")

    def run() -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            shell.run_line_magic(magic, arguments)

    return run


def peer(name: str, of: Docker | Podman | str, *argv: str) -> Peer:
    """What a peer's client does with these arguments, or why it cannot."""
    return Peer(name, of if isinstance(of, str) else command(of.argv(*argv)))


def runs(lab: Lab, shell: Any, docker: Docker | str, podman: Podman | str, count: int) -> list[Row]:
    """From start to exit and removed, on the bridge."""
    limits = limits_here(lab)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in limits.items()]
    line = ["run", "--rm", *options, "busybox", "true"]
    theirs = peer("docker run --rm", docker, *line)

    def ours() -> None:
        lab.containers.run("busybox", ["true"], rm=True, **limits)

    magic = typed(shell, f"%container {' '.join(line)}")
    return [
        versus("run --rm busybox true, on the bridge", ours, theirs, 40, 80, count=count),
        versus("the same, typed: %container run --rm …", magic, theirs, 40, 80, count=count),
        versus("the same, beside Podman", ours, peer("podman run --rm", podman, *line), 1, count=count),
    ]


def runs_alone(lab: Lab, runc: Runc | str, count: int) -> Row:
    """The same with --network none, which is all that runc does."""
    limits = limits_here(lab)
    theirs = Peer("runc run", runc if isinstance(runc, str) else command(same_by_runc(lab, runc, limits)))

    def ours() -> None:
        lab.containers.run("busybox", ["true"], rm=True, network="none", **limits)

    return versus("run --rm busybox true, --network none", ours, theirs, 4, 8, count=count)


def same_by_runc(lab: Lab, runc: Runc, limits: dict[str, Any]) -> list[str]:
    """The command line that makes runc run what we run."""
    ours = lab.containers.create("busybox", ["true"], network="none")
    bundle = runc.bundle(
        "true",
        ["true"],
        resources=RESOURCES if limits else {},
        capabilities=ours.spec["process"]["capabilities"],
        seccomp=ours.spec["linux"]["seccomp"],
    )
    ours.remove()
    return runc.argv("run", "--bundle", str(bundle), "true")


def execs(lab: Lab, docker: Docker | str, podman: Podman | str, count: int) -> list[Row]:
    """One more process in a container that runs."""
    container = lab.containers.run("busybox", ["sleep", "1000000"], detach=True)
    idle_one = ("run", "--detach", "--name", "idle", "busybox", "sleep", "1000000")
    if isinstance(docker, Docker):
        docker.docker(*idle_one)
    if isinstance(podman, Podman):
        podman.podman(*idle_one)

    def ours() -> None:
        container.exec(["true"])

    rows = [
        versus("exec true", ours, peer("docker exec", docker, "exec", "idle", "true"), 20, count=count),
        versus("the same, beside Podman", ours, peer("podman exec", podman, "exec", "idle", "true"), 1, count=count),
    ]
    container.remove(force=True)
    return rows


def labs(count: int) -> Row:
    """A lab, until it can be used."""
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        with Lab():
            seconds.append(time.perf_counter() - started)
    samples = Samples(seconds)
    spread = f" ({1000 * min(seconds):.3g}–{1000 * max(seconds):.3g})"
    return limit("start of a lab", 1000 * samples.median, "ms", 60, spread)


def memory_of_ours(lab: Lab) -> int:
    """Bytes that this process and those of the lab have, but for the containers' own program."""
    namespace = os.readlink(f"/proc/{lab.pid}/ns/user")
    total = proportional(os.getpid())
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = os.readlink(process / "exe")
            if os.readlink(process / "ns/user") == namespace and not program.endswith("busybox"):
                total += proportional(int(process.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return total


def idle(lab: Lab, shell: Any) -> list[Row]:
    """Many containers that do nothing."""
    before = memory_of_ours(lab)
    started = time.perf_counter()
    for _ in range(IDLE):
        lab.containers.run("busybox", ["sleep", "1000000"], detach=True)
    up = time.perf_counter() - started
    each = (memory_of_ours(lab) - before) / IDLE / 1e6
    listed = Samples([seconds_of(typed(shell, "%container ps")) for _ in range(20)])
    spawner = resident(lab.pid) / 1e6
    for container in lab.containers.list():
        container.remove(force=True)
    return [
        limit(f"{IDLE} idle containers up", up, "s", 2),
        limit("%container ps of them", 1000 * listed.median, "ms", 20),
        limit("memory of ours for each of them", each, "MB", 0.3),
        limit("the spawner, with all of them, resident", spawner, "MB", 15),
    ]


def trace(lab: Lab, count: int) -> str:
    """Medians of what one container takes: the notebook's side by its events, set-up inside by its trace."""
    limits = limits_here(lab)
    at: list[float] = []
    sides: dict[str, list[float]] = defaultdict(list)
    steps: dict[str, list[float]] = defaultdict(list)
    names = [
        "create: options, the spec, directories",
        "start: see below",
        "the program runs",
        "it ends and goes",
    ]
    end_watch = lab.containers.watch(lambda event: at.append(time.perf_counter()))
    for number in range(count + 3):
        at[:] = [time.perf_counter()]
        container = lab.containers.run("busybox", ["true"], rm=True, **limits)
        # create, start, die, destroy
        if number >= 3 and len(at) == 5:
            for name, earlier, later in zip(names, at[:-1], at[1:], strict=True):
                sides[name].append(1000 * (later - earlier))
            for step in container.trace:
                # The name of a link is the container's.
                what = re.sub(r"\bveth\w+", "veth", f"{step.kind} {step.what}")
                steps[what].append(step.microseconds / 1000)
            inside = sum(step.microseconds for step in container.trace) / 1000
            steps["the request, clone and exec themselves"].append(sides[names[1]][-1] - inside)
        time.sleep(0.05)
    end_watch()

    def lines(medians: dict[str, list[float]]) -> list[str]:
        return [f"{statistics.median(values):8.2f} ms   {name}" for name, values in medians.items()]

    return "\n".join(["The notebook's side", *lines(sides), "", "The start of it, in the lab", *lines(steps)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed and size of nbcontainer beside Docker, Podman and runc.")
    parser.add_argument("--trace", action="store_true", help="show where the time of one container goes")
    parser.add_argument("--count", type=int, default=40, help="samples of each side (default 40)")
    arguments = parser.parse_args()
    ballast = b"\1" * KERNEL
    with ExitStack() as stack:
        lab = stack.enter_context(current_lab())
        try:
            lab.images.get("busybox")
        except NotFound:
            lab.images.bootstrap_busybox()
        if arguments.trace:
            print(trace(lab, arguments.count))
            return
        shell: Any = InteractiveShell.instance()
        shell.history_manager.enabled = False
        shell.extension_manager.load_extension("nbcontainer")
        docker = missing("docker", "dockerd", "busybox") or stack.enter_context(Docker())
        podman = missing("podman", "busybox") or stack.enter_context(Podman())
        runc = missing("runc", "busybox") or stack.enter_context(Runc())
        rows = [
            *runs(lab, shell, docker, podman, arguments.count),
            runs_alone(lab, runc, arguments.count),
            *execs(lab, docker, podman, arguments.count),
            *idle(lab, shell),
            labs(arguments.count),
            commits(lab, docker),
            *images(lab, docker),
            *namespaces(lab),
            *topologies(lab),
        ]
    print(f"Linux {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} cores, ", end="")
    print(f"from a process of {len(ballast) >> 20} MB, {arguments.count} samples each\n")
    print(table(rows))


if __name__ == "__main__":
    main()
