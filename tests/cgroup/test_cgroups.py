"""Limits, on this machine's control groups."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.cgroup import v2
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import CommandFailed, Unavailable
from tests.cgroup.places import places
from tests.cgroup.waiting import eventually


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
    # The kernel adds small changes up every two seconds (mm/memcontrol.c, FLUSH_TIME).
    eventually(lambda: c.cgroup.usage().memory_anon + c.cgroup.usage().memory_file > 0)
    c.update(memory="128m", pids_limit=40)
    assert c.cgroup.usage().memory_limit == 128 << 20
    c.update(memory="32m")
    assert c.cgroup.usage().memory_limit == 32 << 20
    seen = c.exec(["sh", "-c", "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/*pids*/pids.max 2>/dev/null"])
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


@pytest.fixture
def scope() -> Iterator[str]:
    """The name of a lab that is none. Nothing of it may be left."""
    name = f"nbcontainer-test-{os.getpid()}"
    yield name
    Cgroups.detect().remove_tree(name)
    assert places(name) == []


@limited
def test_who_is_killed_while_a_container_is_paused_leaves_nothing(lab: Any, busybox: Any) -> None:
    code = (
        "import time; from nbcontainer.runtime import Lab; lab = Lab(); "
        "c = lab.containers.run('busybox', ['sleep', '1000'], network='none', detach=True); c.pause(); "
        "print(lab.scope, *c.cgroup.pids(), flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        name, pid = other.stdout.readline().split()
        other.send_signal(signal.SIGKILL)
    lab.prune()
    assert places(name) == []
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()


@limited
def test_what_is_frozen_in_a_dead_lab_ends_with_its_tree(scope: str) -> None:
    group = Cgroups.detect().create(f"{scope}/one", Limits())
    with subprocess.Popen(["sleep", "1000"]) as frozen:
        join(scope, frozen.pid)
        group.freeze()
        frozen.kill()  # v1's freezer holds it all the same
        Cgroups.detect().remove_tree(scope)


@limited
def test_every_process_of_a_large_group_is_seen(scope: str) -> None:
    """More than one page of cgroup.procs, which is all that one read gives."""
    group = Cgroups.detect().create(f"{scope}/many", Limits())
    script = "read _; i=0; while [ $i -lt 1500 ]; do sleep 1000 & i=$((i + 1)); done; echo; wait"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as many:
        assert many.stdin is not None
        assert many.stdout is not None
        join(scope, many.pid)
        many.stdin.write(b"\n")
        many.stdin.flush()
        many.stdout.readline()
        try:
            assert len(group.pids()) == 1501
            group.freeze()
        finally:
            group.kill()
    group.remove()


def join(scope: str, pid: int) -> None:
    """Put a process into every group below the lab `scope`."""
    for procs in places(f"{scope}/*/cgroup.procs"):
        procs.write_text(str(pid))


@limited
def test_what_processes_made_below_their_group_goes_with_it(scope: str) -> None:
    group = Cgroups.detect().create(f"{scope}/one", Limits(pids=5))
    for directory in places(f"{scope}/one"):
        (directory / "made" / "inside").mkdir(parents=True)
    group.remove()
    assert places(f"{scope}/one") == []


@limited
def test_a_limit_that_is_not_given_stays(scope: str) -> None:
    group = Cgroups.detect().create(f"{scope}/one", Limits(cpu_quota_us=20_000, cpu_period_us=50_000, memory=1 << 25))
    group.set(Limits(cpu_period_us=60_000))
    group.set(Limits(cpu_quota_us=30_000))
    group.set(Limits(pids=7))
    assert group.usage().memory_limit == 1 << 25
    found = [
        file.read_text().split()
        for file in sorted(places(f"{scope}/one/cpu.*"))
        if file.name in ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    ]
    assert sorted(number for numbers in found for number in numbers) == ["30000", "60000"]
    group.remove()


def test_weights_are_those_of_runc() -> None:
    assert [v2.weight_of(shares) for shares in (2, 1024, 262_144)] == [1, 39, 10_000]
    assert [v2.io_weight_of(weight) for weight in (10, 500, 1000)] == [1, 4950, 10_000]


def test_limits_are_told_apart_by_controller() -> None:
    limits = Limits(memory=1, memory_swap=2, pids=3, cpu_shares=4, io_weight=5)
    assert limits.only(frozenset({"memory", "io"})) == Limits(memory=1, memory_swap=2, io_weight=5)
    assert limits.only(frozenset()) == Limits()
