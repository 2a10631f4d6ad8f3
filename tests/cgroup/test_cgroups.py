"""Limits, on this machine's control groups."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import CommandFailed, Unavailable


def run(lab: Any, command: list[str], **options: Any) -> Any:
    """Without a network: the virtual host, where these run on v2, has no bridges."""
    return lab.containers.run("busybox", command, network="none", **options)


MANY = Cgroups.detect().controllers >= {"cpu", "memory", "pids"}
limited = pytest.mark.skipif(not MANY, reason="no control group here may be written: see `%lab doctor`")


@limited
def test_memory_is_not_compressible(lab: Any, busybox: Any) -> None:
    with pytest.raises(CommandFailed, match="busy1 exited with 137: out of memory, limit 16 MiB"):
        run(lab, ["sh", "-c", "x=a; while :; do x=$x$x; done"], memory="16m", name="busy1")
    c = lab.containers.get("busy1")
    assert c.state.oom_killed
    assert c.inspect()["State"]["OOMKilled"] is True


@limited
def test_a_fork_bomb_stays_in_its_container(lab: Any, busybox: Any) -> None:
    c = run(lab, ["sh", "-c", "f() { f | f & }; f; sleep 60"], pids_limit=30, memory="64m", detach=True)
    time.sleep(1)
    assert c.cgroup is None or c.cgroup.usage().pids <= 30
    c.remove(force=True)
    assert run(lab, ["echo", "well"]).logs() == "well\n"


@limited
def test_limits_are_set_changed_and_seen_inside(lab: Any, busybox: Any) -> None:
    c = run(lab, ["sleep", "99"], memory="64m", cpus=0.5, pids_limit=20, cpu_shares=512, detach=True)
    assert c.cgroup.usage().memory_limit == 64 << 20
    assert c.cgroup.usage().pids == 1
    c.update(memory="128m", pids_limit=40)
    assert c.cgroup.usage().memory_limit == 128 << 20
    c.update(memory="32m")
    assert c.cgroup.usage().memory_limit == 32 << 20
    seen = c.exec(["sh", "-c", "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max"])
    assert seen.stdout == b"40\n"


@limited
def test_exec_is_limited_too(lab: Any, busybox: Any) -> None:
    c = run(lab, ["sleep", "99"], memory="16m", detach=True)
    assert c.exec(["sh", "-c", "x=a; while :; do x=$x$x; done"]).exit_code == 137


@limited
def test_pause(lab: Any, busybox: Any) -> None:
    c = run(lab, ["sh", "-c", "while :; do echo x; sleep 0.01; done"], detach=True)
    c.pause()
    assert c.status == "paused"
    time.sleep(0.1)
    before = len(c.logs())
    time.sleep(0.3)
    assert len(c.logs()) == before
    c.unpause()
    time.sleep(0.3)
    assert len(c.logs()) > before
    c.pause()
    c.remove(force=True)


@limited
def test_cpu_is_throttled(lab: Any, busybox: Any) -> None:
    c = run(lab, ["sh", "-c", "while :; do :; done"], cpus=0.1, detach=True)
    time.sleep(1)
    usage = c.cgroup.usage()
    assert usage.throttled_periods > 0
    assert usage.cpu_usec < 600_000


def test_without_a_group_a_limit_says_what_would_help(tmp_path: Path) -> None:
    none = Cgroups({}, None)
    assert none.mode == "none"
    none.create("x/y", Limits()).remove()
    with pytest.raises(Unavailable, match="cannot limit memory: limits need a control group you may write"):
        none.create("x/y", Limits(memory=1 << 25))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving away directories of control groups takes root")
def test_a_delegated_directory(tmp_path: Path) -> None:
    if not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("no v1 hierarchies on this machine")
    name = f"nbcontainer-test-{os.getpid()}"
    hierarchies = [Path("/sys/fs/cgroup", controller) for controller in ("memory", "pids", "cpu", "cpuacct")]
    for hierarchy in hierarchies:
        (hierarchy / name).mkdir()
    try:
        found = Cgroups.detect(name)
        assert found.tops["memory"] == f"/sys/fs/cgroup/memory/{name}"
        group = found.create("lab/one", Limits(memory=1 << 25, pids=5))
        assert group.usage().memory_limit == 1 << 25
        group.remove()
        found.remove_tree("lab")
    finally:
        for hierarchy in hierarchies:
            (hierarchy / name).rmdir()
