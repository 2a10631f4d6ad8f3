"""`stats` beside Docker's own: the same head, the same keys, numbers in the same words."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from nbcontainer.cgroup import counters
from nbcontainer.cgroup.counters import INDEX
from nbcontainer.container import usage
from nbcontainer.container.processes import Processes
from tests.peers import Docker

SHAPES = {
    "ID": r"[0-9a-f]{12}",
    "Container": r"\S+",
    "Name": r"web",
    "CPUPerc": r"\d+\.\d\d%",
    "MemUsage": r"[\d.]+[KM]iB / 64MiB",
    "MemPerc": r"\d+\.\d\d%",
    "NetIO": r"[\d.]+k?B / [\d.]+k?B",
    "BlockIO": r"[\d.]+[kM]?B / [\d.]+[kM]?B",
    "PIDs": r"1",
}


def typed(ipython: Any, capsys: pytest.CaptureFixture[str], line: str) -> str:
    ipython.run_line_magic("container", line)
    return capsys.readouterr().out


def test_beside_docker(dockerd: Docker, ipython: Any, home: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from nbcontainer import runtime

    with runtime.reset_lab() as lab:
        lab.images.bootstrap_busybox()
        lab.containers.run("busybox", ["sleep", "1000"], name="web", memory="64m", detach=True)
        dockerd.docker("run", "--detach", "--name", "web", "--memory", "64m", "busybox", "sleep", "1000")
        ours = typed(ipython, capsys, "stats --no-stream")
        theirs = dockerd.docker("stats", "--no-stream")
        heads = [re.split(r"  +", text.splitlines()[0].strip()) for text in (ours, theirs)]
        assert heads[0] == heads[1]
        records = [
            json.loads(typed(ipython, capsys, "stats --no-stream --format json")),
            json.loads(dockerd.docker("stats", "--no-stream", "--format", "{{json .}}")),
        ]
        for record in records:
            assert sorted(record) == sorted(SHAPES)
            for key, shape in SHAPES.items():
                assert re.fullmatch(shape, record[key]), (key, record[key])
        dockerd.docker("rm", "--force", "web")


def test_usage_by_proc(lab: Any, busybox: Any) -> None:
    """What a container uses is known without control groups, from the processes of its pid namespace."""
    script = "sleep 1000 & sleep 1000 & i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo; wait"
    web = lab.containers.run("busybox", ["sh", "-c", script], network="none", detach=True)
    while not web.logs():
        time.sleep(0.01)
    row = counters.empty()
    Processes().read(web.process.outside_pid(), row)
    assert row[INDEX["pids"]] == 3
    assert row[INDEX["memory"]] > 100_000
    assert row[INDEX["cpu_usec"]] > 0
    assert web.exec(["true"]).exit_code == 0


def test_traffic_leaves_lo_out() -> None:
    text = (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
        "    lo:    9000      10    0    0    0     0          0         0     9000      10    0    0    0     0\n"
        "  eth0:     100       1    0    0    0     0          0         0       20       1    0    0    0     0\n"
        "  eth1:       5       1    0    0    0     0          0         0        7       1    0    0    0     0\n"
    )
    assert usage.traffic(text) == (105, 27)
