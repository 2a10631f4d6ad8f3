"""One group, without a container: what the kernel has of its limits, and what it does to the processes in it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.group import Group
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import NbcontainerError, Unavailable

HIERARCHIES = Path("/sys/fs/cgroup")
#: A user that nothing was given to.
NOBODY = 65534

FOUND = Cgroups.detect()
limited = pytest.mark.skipif(
    not FOUND.controllers >= {"cpu", "memory", "pids"},
    reason="no control group here may be written: see `%lab doctor`",
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")


Make = Callable[[Limits], Group]


def directories(group: Group) -> list[Path]:
    """Where the group is, in each hierarchy that has it."""
    tops = {*FOUND.tops.values(), *([FOUND.top] if FOUND.top else [])}
    return [path for path in (Path(top, group.path) for top in sorted(tops)) if path.is_dir()]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes a group with the limits it is given. None is left at the end, whatever became of the test."""
    scope = f"nbcontainer-test-group-{os.getpid()}"
    made: list[Group] = []

    def create(limits: Limits) -> Group:
        made.append(FOUND.create(f"{scope}/{len(made)}", limits))
        return made[-1]

    yield create
    for group in made:
        if directories(group):
            group.kill()
            group.remove()
    FOUND.remove_tree(scope)
    assert scope not in FOUND.leftovers()


def values(group: Group) -> dict[str, str]:
    """Every control file of the group that can be read, whichever hierarchy has it."""
    found = {}
    for directory in directories(group):
        for file in directory.iterdir():
            try:
                found[file.name] = file.read_text().strip()
            except OSError:
                continue
    return found


class Member:
    """A Python program in `group`: it is there before it runs the first line of `code`."""

    def __init__(self, group: Group, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.stdin.readline()\n{code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for directory in directories(group):
            (directory / "cgroup.procs").write_text(str(self.process.pid))
        self.say("go")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def is_silent(self) -> bool:
        """It has nothing to say, though it was given some time."""
        assert self.process.stdout is not None
        return select.select([self.process.stdout], [], [], 0.3)[0] == []

    def end(self) -> int:
        """Its exit code, negative for a signal."""
        code = self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return code


@limited
def test_limits_are_what_the_kernel_has(make: Make) -> None:
    limits = Limits(memory=48 << 20, memory_reservation=24 << 20, cpu_quota_us=25_000, cpu_period_us=50_000, pids=12)
    group = make(limits)
    found = values(group)
    assert found["pids.max"] == "12"
    assert found.get("memory.limit_in_bytes") == str(48 << 20) or found.get("memory.max") == str(48 << 20)
    assert found.get("memory.soft_limit_in_bytes") == str(24 << 20) or found.get("memory.low") == str(24 << 20)
    assert "cpu.max" in found or (found["cpu.cfs_quota_us"], found["cpu.cfs_period_us"]) == ("25000", "50000")
    assert found.get("cpu.max", "25000 50000") == "25000 50000"
    assert group.usage().memory_limit == 48 << 20
    assert group.usage().pids == 0
    group.remove()
    assert values(group) == {}


@limited
def test_it_is_shown_in_a_line(make: Make) -> None:
    group = make(Limits(memory=32 << 20, cpu_quota_us=20_000, pids=5))
    limits = "cpu.max 20000 100000, memory.max 33554432, pids.max 5"
    assert repr(group) == f"<control group {group.path}, {FOUND.mode}: {limits}>"
    assert repr(make(Limits())).endswith(f"/1, {FOUND.mode}: no limits>")


@limited
@pytest.mark.skipif("cpuset" not in FOUND.controllers, reason="no cpuset may be written here")
def test_processors(make: Make) -> None:
    first = str(min(os.sched_getaffinity(0)))
    group = make(Limits(cpuset_cpus=first))
    member = Member(group, "import os; print(*os.sched_getaffinity(0), flush=True)")
    assert member.hear() == f"{first}\n"
    assert member.end() == 0
    group.remove()


@limited
def test_limits_change_both_ways(make: Make) -> None:
    group = make(Limits(memory=32 << 20, memory_swap=32 << 20, pids=5))
    for size in (64 << 20, 16 << 20, 128 << 20):
        group.set(Limits(memory=size, memory_swap=size))
        assert group.usage().memory_limit == size
    group.set(Limits())
    assert (group.usage().memory_limit, values(group)["pids.max"]) == (128 << 20, "5")
    group.remove()


@limited
def test_a_limit_that_the_kernel_refuses(make: Make) -> None:
    with pytest.raises(Unavailable, match=r"^the limit was refused: cpu\.\S+: Invalid argument$"):
        make(Limits(cpu_period_us=1))
    group = make(Limits(cpu_period_us=50_000))  # of the same name: nothing of the other one is in the way
    with pytest.raises(Unavailable, match="the limit was refused"):
        group.set(Limits(cpu_period_us=1))
    group.remove()


@limited
def test_who_takes_too_much_memory_is_killed_and_counted(make: Make) -> None:
    group = make(Limits(memory=24 << 20, memory_swap=24 << 20))
    assert group.oom_kills() == 0
    for count in (1, 2):
        member = Member(group, "kept = [bytearray(b'x' * (1 << 20)) for _ in range(256)]")
        assert member.end() == -signal.SIGKILL
        assert group.oom_kills() == group.usage().oom_kills == count
    modest = Member(group, "kept = bytearray(b'x' * (1 << 20))")
    assert modest.end() == 0
    assert group.oom_kills() == 2
    group.remove()


@limited
def test_no_more_processes_than_allowed(make: Make) -> None:
    code = """
import os, signal
count = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        count += 1
except BlockingIOError:
    print(count, flush=True)
signal.pause()
"""
    group = make(Limits(pids=6))
    member = Member(group, code)
    assert member.hear() == "5\n"
    assert len(group.pids()) == group.usage().pids == 6
    assert member.process.pid in group.pids()
    group.kill()
    assert member.end() == -signal.SIGKILL
    group.remove()
    assert directories(group) == []


@limited
def test_frozen_and_thawed(make: Make) -> None:
    group = make(Limits())
    member = Member(group, "for line in sys.stdin: print(line, end='', flush=True)")
    for turn in ("first", "second"):
        member.say(f"{turn} before")
        assert member.hear() == f"{turn} before\n"
        group.freeze()
        member.say(f"{turn} frozen")
        assert member.is_silent()
        group.thaw()
        assert member.hear() == f"{turn} frozen\n"
    group.freeze()
    group.kill()
    assert member.end() == -signal.SIGKILL
    group.remove()


def as_nobody(work: Callable[[], str]) -> str:
    """What `work` says in a process of a user without rights; an error of ours by its message."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            try:
                said = work()
            except NbcontainerError as error:
                said = f"{type(error).__name__}: {error}"
            os.write(writer, said.encode())
        except BaseException as error:
            os.write(writer, f"not one of ours: {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


@as_root
def test_an_ordinary_user_that_was_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBCONTAINER_CGROUP", raising=False)

    def unlimited() -> str:
        found = Cgroups.detect()
        group = found.create("lab/one", Limits())
        joined = group.join_descriptors()
        group.remove()
        return f"{found.mode} {sorted(found.controllers)} {joined}"

    def limited() -> str:
        Cgroups.detect().create("lab/one", Limits(memory=1 << 25, pids=5))
        return "made"

    assert as_nobody(unlimited) == "none [] []"
    said = as_nobody(limited)
    assert said.startswith("Unavailable: cannot limit memory, pids: ")
    assert "NBCONTAINER_CGROUP" in said
    assert "\n" not in said


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory in every v1 hierarchy that belongs to nobody, and its name in NBCONTAINER_CGROUP."""
    name = f"nbcontainer-test-given-{os.getpid()}"
    made = []
    for controller in ("memory", "pids", "cpu", "cpuacct", "freezer"):
        directory = (HIERARCHIES / controller).resolve() / name
        if not (HIERARCHIES / controller / "cgroup.procs").exists():
            pytest.skip("no v1 hierarchies on this machine")
        if not directory.exists():
            directory.mkdir()
            os.chown(directory, NOBODY, NOBODY)
            made.append(directory)
    monkeypatch.setenv("NBCONTAINER_CGROUP", name)
    yield name
    for directory in made:
        for path, _, _ in os.walk(directory, topdown=False):
            os.rmdir(path)


@as_root
def test_an_ordinary_user_with_directories_of_their_own(given: str) -> None:
    def work() -> str:
        found = Cgroups.detect()
        group = found.create("lab/one", Limits(memory=1 << 25, pids=5))
        with subprocess.Popen(["sleep", "1000"]) as member:
            for descriptor in group.join_descriptors():
                os.write(descriptor, str(member.pid).encode())
                os.close(descriptor)
            inside = group.pids() == [member.pid]
            usage = group.usage()
            group.freeze()
            group.thaw()
            group.kill()
        group.remove()
        found.remove_tree("lab")
        left = list(HIERARCHIES.glob(f"*/{given}/lab"))
        return f"{found.mode} {inside} {usage.memory_limit} {usage.pids} {member.returncode} {left}"

    mode, _, rest = as_nobody(work).partition(" ")
    assert mode in ("v1", "hybrid"), rest
    assert rest == f"True {1 << 25} 1 -9 []"
