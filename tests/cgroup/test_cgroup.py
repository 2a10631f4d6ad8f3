"""Groups with names, as a script uses them: limits that bite and change, children that join, events that are told."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer import Cgroup
from nbcontainer.cgroup import join, v1_files
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.events import OOM_KILL, THROTTLED, Event
from nbcontainer.errors import Conflict, InvalidArgument, NotFound, Unavailable
from tests.cgroup.places import places
from tests.cgroup.waiting import eventually

FOUND = Cgroups.detect()
limited = pytest.mark.skipif(
    not FOUND.controllers >= {"cpu", "memory", "pids"},
    reason="no control group here may be written: see `%lab doctor`",
)
SPIN = "while :; do :; done"
#: A Python program that takes 4 MiB after 4 MiB.
GREEDY = "kept = [bytearray(b'x' * (4 << 20)) for _ in range(64)]"


def groups_of(pid: int | str) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@limited
def test_limits_in_v2s_words(lab: Any) -> None:
    demo = lab.cgroup("demo", cpu_max="20%", memory_max="64M", pids_max=20, cpu_weight=200)
    assert repr(demo) == "<Cgroup demo>"
    found = demo.settings()
    assert {file: found[file] for file in ("cpu.max", "cpu.weight", "memory.max", "pids.max")} == {
        "cpu.max": "20000 100000",
        "cpu.weight": "200",
        "memory.max": str(64 << 20),
        "pids.max": "20",
    }
    demo.set(cpu_max="50%", memory_max="32M", pids_max="max")
    found = demo.settings()
    assert (found["cpu.max"], found["memory.max"], found["pids.max"]) == ("50000 100000", str(32 << 20), "max")
    demo.set(cpu_max="max", memory_max="max")
    assert (demo.settings()["cpu.max"], demo.settings()["memory.max"]) == ("max 100000", "max")
    for paths in demo.places().values():
        assert all(Path(path).exists() for path in paths)


@limited
@pytest.mark.parametrize("weight", [1, 39, 100, 777, 10_000])
def test_weights_come_back_as_they_were_set(lab: Any, weight: int) -> None:
    assert lab.cgroup("demo", cpu_weight=weight).settings()["cpu.weight"] == str(weight)


@limited
def test_memory_and_swap(lab: Any) -> None:
    demo = lab.cgroup("demo", memory_max="64M")
    if "memory.swap.max" not in demo.settings():
        pytest.skip("this kernel does not count swap")
    demo.set(memory_swap_max="16M")
    demo.set(memory_max="128M")
    assert demo.settings()["memory.swap.max"] == str(16 << 20)
    demo.set(memory_max="32M", memory_swap_max=0)
    found = demo.settings()
    assert (found["memory.max"], found["memory.swap.max"]) == (str(32 << 20), "0")


@limited
def test_what_this_kernel_has_not_is_said(lab: Any) -> None:
    if FOUND.mode != "v1":
        pytest.skip("v1 alone has no memory.high")
    with pytest.raises(Unavailable, match=r"^memory\.high cannot be set: v1 has nothing that slows down"):
        lab.cgroup("demo", memory_high="32M")
    assert lab.cgroup_tree.list() == []
    assert set(v1_files.MAPPED) | set(v1_files.MISSING) >= set(lab.cgroup("demo").settings())


@limited
def test_a_limit_that_is_refused_leaves_no_group(lab: Any) -> None:
    with pytest.raises(Unavailable, match="the limit was refused"):
        lab.cgroup("demo", cpu_max="1000000000000000 1000")
    with pytest.raises(InvalidArgument):
        lab.cgroup("demo", cpu_max="much")
    assert lab.cgroup_tree.list() == []


@limited
def test_a_name_is_made_once_and_opened_after(lab: Any) -> None:
    demo = lab.cgroup("demo")
    assert lab.cgroup("demo", pids_max=5) == demo
    assert demo.settings()["pids.max"] == "5"
    with pytest.raises(Conflict, match=r'The control group "demo" is already there'):
        lab.cgroup_tree.create("demo")
    demo.remove()
    with pytest.raises(NotFound, match="No such control group: demo"):
        demo.settings()


@limited
def test_levels(lab: Any) -> None:
    leaf = lab.cgroup("a/b/c", pids_max=3)
    assert [group.name for group in lab.cgroup_tree.list()] == ["a", "a/b", "a/b/c"]
    lab.cgroup("a", pids_max=2)
    with pytest.raises(Conflict, match="control group a has groups below it, so it holds no process itself: use a/b"):
        lab.cgroup("a").exec(["true"])
    # The limit of a holds for all below it.
    done = leaf.exec(["sh", "-c", "sleep 0.1 & sleep 0.1 & wait"])
    assert done.exit_code != 0
    assert b"ork" in done.stderr
    with pytest.raises(Conflict, match="has groups below it, such as a/b: remove those first"):
        lab.cgroup("a").remove()
    lab.cgroup("a").remove(force=True)
    assert lab.cgroup_tree.list() == []


@limited
def test_who_holds_processes_gets_no_groups_below(lab: Any, sleeper: Any) -> None:
    lab.cgroup("busy").attach(sleeper)
    with pytest.raises(Conflict, match="busy holds processes, so it can have no groups below it"):
        lab.cgroup("busy/below")
    with pytest.raises(Conflict, match="busy holds processes: kill them first"):
        lab.cgroup("busy").remove()
    lab.cgroup("busy").kill()
    sleeper.wait(30)
    lab.cgroup("busy/below")


@limited
def test_a_program_is_in_it_from_the_first_instruction(lab: Any) -> None:
    demo = lab.cgroup("demo", pids_max=50)
    done = demo.exec(["cat", "/proc/self/cgroup"])
    assert done.exit_code == 0
    assert f"{lab.scope}/demo" in done.stdout.decode()
    assert demo.exec(["tr", "a-z", "A-Z"], stdin=b"hello").stdout == b"HELLO"
    assert demo.exec(["/not-there"]).exit_code == 127


@limited
def test_attach(lab: Any, sleeper: Any) -> None:
    demo = lab.cgroup("demo")
    demo.attach(sleeper)
    assert demo.pids() == [sleeper.pid]
    with pytest.raises(InvalidArgument, match=r"is this notebook itself: what limits or freezes it"):
        demo.attach(os.getpid())
    with pytest.raises(InvalidArgument, match="is the init of the lab"):
        demo.attach(lab.pid)
    with pytest.raises(InvalidArgument, match="is the init of the lab"):
        demo.attach(1, in_lab=True)
    for nobody in (1, 1 << 22):
        with pytest.raises(NotFound, match="No such process"):
            demo.attach(nobody)
    with pytest.raises(NotFound, match="No such process in the lab"):
        demo.attach(1 << 21, in_lab=True)
    assert demo.pids() == [sleeper.pid]


@limited
def test_a_containers_process_stays_where_it_is(lab: Any, busybox: Any) -> None:
    web = lab.containers.run("busybox", ["sleep", "99"], name="web", network="none", detach=True)
    with pytest.raises(Conflict, match="is in the container web: `%container update` changes its limits"):
        lab.cgroup("demo").attach(web.state.pid, in_lab=True)


# -- with


@limited
def test_children_of_a_block_are_in_it_and_this_process_is_not(lab: Any) -> None:
    mine = groups_of("self")
    wanted = f"{lab.scope}/demo"
    with lab.cgroup("demo") as demo:
        assert groups_of("self") == mine
        assert wanted in subprocess.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True).stdout
        assert wanted in os.popen("cat /proc/self/cgroup").read()
        script = "import subprocess; subprocess.run(['cat', '/proc/self/cgroup'])"
        assert wanted in subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
        assert wanted in forked()
        assert wanted in asyncio.run(by_asyncio())
        with lab.cgroup("inner"):
            assert f"{lab.scope}/inner" in forked()
        assert wanted in forked()
    assert groups_of("self") == mine
    assert wanted not in subprocess.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True).stdout
    assert wanted not in forked()
    assert demo.pids() == []
    assert subprocess.Popen.__init__ is join._popen


def forked() -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, groups_of("self").encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


async def by_asyncio() -> str:
    process = await asyncio.create_subprocess_exec("cat", "/proc/self/cgroup", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()


@limited
def test_a_pool_of_processes_joins(lab: Any) -> None:
    with lab.cgroup("demo") as demo, multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(f"{lab.scope}/demo" in text for text in pool.map(groups_of, ["self"] * 4))
        eventually(lambda: len(demo.pids()) == 2)  # one may have done all the work before the other ran at all


@limited
def test_other_threads_are_left_alone(lab: Any) -> None:
    said: list[str] = []
    with lab.cgroup("demo"):
        other = threading.Thread(target=lambda: said.append(by_subprocess()))
        other.start()
        other.join()
    assert f"{lab.scope}/demo" not in said[0]


def by_subprocess() -> str:
    return subprocess.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True).stdout


@limited
def test_a_block_that_fails_is_left(lab: Any) -> None:
    with pytest.raises(ValueError, match="inside"), lab.cgroup("demo"):
        raise ValueError("inside")
    assert f"{lab.scope}/demo" not in by_subprocess()


# -- what happens


@limited
def test_cpu_is_compressible_and_memory_is_not(lab: Any) -> None:
    demo = lab.cgroup("demo", cpu_max="10%", memory_max="32M")
    if "memory.swap.max" in demo.settings():
        demo.set(memory_swap_max=0)
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()
    end = demo.on_event(told.put)
    assert demo.exec(["timeout", "1", "sh", "-c", SPIN]).exit_code == 124  # it waited, and lived
    assert told.get(timeout=30).kind == THROTTLED
    usage = demo.usage()
    assert usage.throttled_periods
    assert usage.throttled_usec
    assert usage.cpu_usec is not None
    assert usage.cpu_usec < 800_000
    demo.set(cpu_max="max")
    assert demo.exec([sys.executable, "-c", GREEDY]).exit_code == 137  # it was killed
    assert [told.get(timeout=30).kind for _ in range(2)] == ["memory.max reached", OOM_KILL]
    assert demo.usage().oom_kills == 1
    killed = demo.events[-1]
    assert (killed.name, killed.kind, killed.limit) == ("demo", OOM_KILL, str(32 << 20))
    if killed.victim is not None:  # the kernel's log may not be read by everybody
        assert killed.victim.command.startswith("python")
        assert killed.victim.group.endswith(f"{lab.scope}/demo")
        assert killed.victim.limited_by in ("", killed.victim.group)
    end()
    demo.exec([sys.executable, "-c", GREEDY])
    assert len(demo.events) > 3
    assert told.empty()


@limited
def test_it_is_the_limit_of_the_group_above(lab: Any) -> None:
    lab.cgroup("above", memory_max="32M")
    below = lab.cgroup("above/below")
    if "memory.swap.max" in below.settings():
        lab.cgroup("above").set(memory_swap_max=0)
    assert below.exec([sys.executable, "-c", GREEDY]).exit_code == 137
    killed = [event for event in lab.cgroup("above").events if event.kind == OOM_KILL]
    assert [event.name for event in killed] == ["above/below"]
    if killed[0].victim is not None and killed[0].victim.limited_by:
        assert killed[0].victim.limited_by.endswith("/above")


@limited
def test_a_fork_that_is_refused_is_told(lab: Any) -> None:
    demo = lab.cgroup("demo", pids_max=3)
    demo.exec(["sh", "-c", "for i in 1 2 3 4 5; do sleep 0.1 & done; wait"])
    assert [event.kind for event in demo.events] == ["pids.max reached"]
    assert demo.usage().pids_max_events


@limited
def test_a_watcher_that_fails_is_dropped(lab: Any) -> None:
    demo = lab.cgroup("demo", pids_max=2)

    def fails(event: Event) -> None:
        raise ValueError("never again")

    demo.on_event(fails)
    told: list[str] = []
    demo.on_event(lambda event: told.append(event.kind))
    demo.exec(["sh", "-c", "sleep 0.1 & sleep 0.1 & wait"])
    assert [event.kind for event in demo.events] == told == ["pids.max reached"]


@limited
def test_two_that_compete_share_by_weight(lab: Any) -> None:
    processor = str(min(os.sched_getaffinity(0)))
    groups = {name: lab.cgroup(name, cpu_weight=weight) for name, weight in (("heavy", 900), ("light", 100))}
    spinning = []
    for group in groups.values():
        with group:
            argv = ["taskset", "--cpu-list", processor, "sh", "-c", f"echo; {SPIN}"]
            spinning.append(subprocess.Popen(argv, stdout=subprocess.PIPE))
    for process in spinning:
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()  # it spins
    used = {name: group.usage().cpu_usec or 0 for name, group in groups.items()}
    # Until the light one has had enough for the ratio to mean something, however busy this machine is.
    eventually(lambda: (groups["light"].usage().cpu_usec or 0) - used["light"] > 150_000)
    heavy, light = ((groups[name].usage().cpu_usec or 0) - used[name] for name in groups)
    for group in groups.values():
        group.kill()
    for process in spinning:
        process.wait(30)
    assert 5 < heavy / light < 14, (heavy, light)


@limited
def test_memory_high_slows_down(lab: Any) -> None:
    if FOUND.mode != "v2":
        pytest.skip("v1 has no memory.high")
    demo = lab.cgroup("demo", memory_high="16M")
    assert demo.settings()["memory.high"] == str(16 << 20)
    # It is not killed, but slowed down to next to nothing where there is no swap.
    demo.exec(["timeout", "3", sys.executable, "-c", "kept = bytearray(b'x' * (24 << 20))"])
    assert not demo.usage().oom_kills
    assert demo.usage().memory_high_events
    assert demo.events[0].kind == "memory.high reached"


@limited
def test_pressure(lab: Any) -> None:
    demo = lab.cgroup("demo", cpu_max="10%")
    if demo.usage().cpu_pressure_usec is None:
        pytest.skip("this kernel does not count the pressure of groups")
    demo.exec(["timeout", "1", "sh", "-c", SPIN])
    assert demo.usage().cpu_pressure_usec


@limited
def test_freeze_thaw_kill_reach_all_below(lab: Any) -> None:
    with lab.cgroup("top/one"):
        sleeping = subprocess.Popen(["sh", "-c", SPIN])
    top = lab.cgroup("top")
    top.freeze()
    assert top.frozen
    assert lab.cgroup("top/one").frozen
    before = lab.cgroup("top/one").usage().cpu_usec
    time.sleep(0.2)
    assert lab.cgroup("top/one").usage().cpu_usec == before
    top.thaw()
    assert not top.frozen
    eventually(lambda: lab.cgroup("top/one").usage().cpu_usec != before)
    top.freeze()
    top.kill()
    assert sleeping.wait(30) == -9


@limited
@pytest.mark.skipif("cpuset" not in FOUND.controllers, reason="no cpuset may be written here")
def test_processors(lab: Any) -> None:
    first = str(min(os.sched_getaffinity(0)))
    demo = lab.cgroup("demo", cpuset_cpus=first)
    assert demo.settings()["cpuset.cpus"] == first
    done = demo.exec([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"])
    assert done.stdout.decode().split() == [first]
    late = lab.cgroup("late")
    with late:
        sleeping = subprocess.Popen(["sleep", "1000"])
    late.set(cpuset_cpus=first)  # on v1 it moves there now
    assert os.sched_getaffinity(sleeping.pid) == {int(first)}
    late.kill()
    sleeping.wait(30)


@limited
@pytest.mark.skipif("io" not in FOUND.controllers, reason="no block io controller may be written here")
def test_block_io_limits(lab: Any) -> None:
    disk = next((path for path in sorted(Path("/sys/block").glob("*/dev")) if not path.match("*/ram*/*")), None)
    if disk is None:
        pytest.skip("no block device on this machine")
    number = disk.read_text().strip()
    demo = lab.cgroup("demo", io_max=f"{number} rbps=1M wiops=100")
    assert demo.settings()["io.max"] == f"{number} rbps=1048576 wbps=max riops=max wiops=100"
    demo.set(io_max=f"{number} rbps=max wiops=max")
    assert demo.settings()["io.max"] == ""


@limited
def test_block_io_weight(lab: Any) -> None:
    demo = lab.cgroup("demo")
    if "io.weight" not in demo.settings():
        with pytest.raises(Unavailable, match=r"no block io weights|cannot limit io"):
            demo.set(io_weight=200)
        pytest.skip("this kernel has no block io weights")
    demo.set(io_weight=300)
    assert demo.settings()["io.weight"] == "300"


@limited
def test_a_container_with_a_block_io_weight(lab: Any, busybox: Any) -> None:
    if "io.weight" not in lab.cgroup("probe").settings():
        pytest.skip("this kernel has no block io weights")
    web = lab.containers.run("busybox", ["sleep", "99"], name="web", network="none", blkio_weight=300, detach=True)
    text = web.cgroup.settings()["io.weight"]
    assert text in ("300", "2930")  # BFQ's scale is v1's; the cost controller's as runc converts it


# -- history and figure


@limited
def test_history_is_a_frame_or_records(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = lab.cgroup("demo", cpu_max="20%")
    demo.exec(["timeout", "0.5", "sh", "-c", SPIN])
    frame = demo.history()
    if isinstance(frame, list):
        pytest.skip("not installed: pandas")
    assert frame.index.name == "time"
    assert frame["cpu_usec"].is_monotonic_increasing
    assert frame["cpu_percent"].max() > 5
    monkeypatch.setitem(sys.modules, "pandas", None)
    records = demo.history()
    assert records[-1]["pids"] == 0
    assert records[0]["net_read_bytes"] is None


@limited
def test_plot(lab: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    demo = lab.cgroup("demo", cpu_max="20%", pids_max=2)
    demo.exec(["sh", "-c", f"sleep 0.1 & sleep 0.1 & timeout 0.5 sh -c '{SPIN}'"])
    figure = demo.plot()
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["processor (%)", "memory (MiB)", "processes"]
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "cpu.max 20" in said
    assert "pids.max reached" in said
    figure.savefig(tmp_path / "usage.png")
    assert (tmp_path / "usage.png").read_bytes().startswith(b"\x89PNG")
    shown, about = figure._repr_png_()
    assert shown.startswith(b"\x89PNG")
    assert about["alt"] == "Usage over time of demo"


@limited
def test_without_matplotlib_it_says_so(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Unavailable, match=r"^a figure takes matplotlib: `pip install matplotlib`$"):
        lab.cgroup("demo").plot()


# -- without control groups, and the end


def test_where_no_group_may_be_made(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.__dict__["cgroups"] = Cgroups({}, None)
    with pytest.raises(Unavailable, match="cannot limit cpu: limits need a control group you may write"):
        lab.cgroup("demo", cpu_max="20%")
    with pytest.raises(Unavailable, match="cannot make the control group demo: limits need a control group you may"):
        lab.cgroup("demo")
    assert lab.cgroup_tree.list() == []


@limited
def test_it_ends_with_its_lab(lab: Any) -> None:
    from nbcontainer.runtime import Lab

    with Lab() as other:
        with other.cgroup("demo"):
            left = subprocess.Popen(["sleep", "1000"])
        scope = other.scope
    assert left.wait(30) == -9
    assert places(scope) == []


@limited
def test_this_processs_lab(home: Path) -> None:
    from nbcontainer import runtime

    try:
        demo = Cgroup("demo", pids_max=7)
        assert runtime.current_lab().cgroup_tree.list() == [demo]
        assert Cgroup("demo").settings()["pids.max"] == "7"
    finally:
        runtime.current_lab().close()


@limited
def test_who_was_killed_without_the_kernels_log(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refused(path: Any, *rest: Any, **more: Any) -> int:
        if path == "/dev/kmsg":
            raise PermissionError(1, "Operation not permitted", path)
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refused)
    demo = lab.cgroup("demo", memory_max="32M")
    if "memory.swap.max" in demo.settings():
        demo.set(memory_swap_max=0)
    slowly = "import time; kept = [(bytearray(b'x' * (4 << 20)), time.sleep(0.1)) for _ in range(64)]"
    assert demo.exec(["sh", "-c", f'sleep 60 & {sys.executable} -c "{slowly}"; sleep 1; kill $!']).exit_code == 0
    killed = demo.events[-1]
    assert killed.kind == OOM_KILL
    assert killed.victim is not None
    assert killed.victim.command.startswith("python")


@limited
def test_who_is_killed_leaves_no_group_and_nobody_in_it(lab: Any) -> None:
    code = (
        "import subprocess, time; from nbcontainer.runtime import Lab; lab = Lab(); demo = lab.cgroup('a/demo')\n"
        "with demo: child = subprocess.Popen(['sleep', '1000'])\n"
        "demo.freeze(); print(lab.scope, child.pid, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        scope, pid = other.stdout.readline().split()
        other.kill()
    lab.prune()
    assert places(scope) == []
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()
