"""What it costs to watch: a sample of a hundred groups, ten a second of them, and `stats` beside Docker's.

python benchmarks/usage.py
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from contextlib import ExitStack
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from benchmarks.measure import Peer, Row, Samples, limit, seconds_of, table, versus
from benchmarks.run import command, typed
from nbcontainer.errors import NotFound
from nbcontainer.runtime import Lab, current_lab
from tests.peers import Docker, missing

GROUPS = 100
#: As many containers as the machine this is compared with had.
CONTAINERS = 21
#: Seconds over which the rate is measured.
WATCHED = 10.0


def groups(lab: Lab, stack: ExitStack) -> None:
    """A hundred groups, a process in each."""
    for number in range(GROUPS):
        with lab.cgroup(f"group{number}", memory_max="64M", cpu_max="50%", pids_max=20):
            process = stack.enter_context(subprocess.Popen(["sleep", "1000000"]))
            stack.callback(process.kill)


def samples(lab: Lab) -> list[Row]:
    """One pass over all of them, and what ten a second take of a processor."""
    lab.sampler.take()
    passes = Samples([seconds_of(lab.sampler.take) for _ in range(100)])
    counted = 0

    def count(batch: object) -> None:
        nonlocal counted
        counted += 1

    end = lab.sampler.subscribe(count, hz=10)
    started, used, before = time.monotonic(), time.process_time(), counted
    time.sleep(WATCHED)
    took, used, rate = time.monotonic() - started, time.process_time() - used, counted - before
    end()
    spread = f" ({1000 * min(passes.seconds):.3g}–{1000 * max(passes.seconds):.3g})"
    return [
        limit(f"a sample of {GROUPS} groups", 1000 * passes.median, "ms", 10, spread),
        limit(f"of one processor, {rate / took:.1f} samples of {GROUPS} groups a second", 100 * used / took, "%", 10),
    ]


def stats(lab: Lab, shell: Any, docker: Docker | str) -> list[Row]:
    """`stats --no-stream` of many containers; half of ours is the wait between two samples."""
    for number in range(CONTAINERS):
        lab.containers.run("busybox", ["sleep", "1000000"], name=f"idle{number}", network="none", detach=True)
        if isinstance(docker, Docker):
            docker.docker(
                "run", "--detach", "--network", "none", "--name", f"idle{number}", "busybox", "sleep", "1000000"
            )
    peer = Peer("docker stats", docker if isinstance(docker, str) else command(docker.argv("stats", "--no-stream")))
    ours = typed(shell, "%container stats --no-stream")
    return [versus(f"stats --no-stream of {CONTAINERS}", ours, peer, 2, 5, count=5)]


def main() -> None:
    """Measure and print."""
    with ExitStack() as stack:
        lab = stack.enter_context(current_lab())
        try:
            lab.images.get("busybox")
        except NotFound:
            lab.images.bootstrap_busybox()
        shell: Any = InteractiveShell.instance()
        shell.history_manager.enabled = False
        shell.extension_manager.load_extension("nbcontainer")
        docker = missing("docker", "dockerd", "busybox") or stack.enter_context(Docker())
        with ExitStack() as processes:
            groups(lab, processes)
            rows = samples(lab)
            for group in lab.cgroup_tree.list():
                group.remove(force=True)
        rows += stats(lab, shell, docker)
    print(f"Linux {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(table(rows))


if __name__ == "__main__":
    main()
