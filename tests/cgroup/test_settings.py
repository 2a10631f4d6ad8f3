"""v2's vocabulary: what may be written, and what the kernel is given for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.cgroup import settings
from nbcontainer.cgroup.oom import Victim, parse
from nbcontainer.cgroup.tree import check_name
from nbcontainer.errors import InvalidArgument


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("cpu_max", "20%", "20000 100000"),
        ("cpu_max", "150%", "150000 100000"),
        ("cpu_max", "2.5%", "2500 100000"),
        ("cpu_max", "20000 50000", "20000 50000"),
        ("cpu_max", "20000", "20000 100000"),
        ("cpu_max", "max", "max 100000"),
        ("cpu_max", "max 50000", "max 50000"),
        ("cpu_weight", 200, "200"),
        ("memory_max", "64M", "67108864"),
        ("memory_max", "64MiB", "67108864"),
        ("memory_max", "1.5g", "1610612736"),
        ("memory_max", 4096, "4096"),
        ("memory_swap_max", 0, "0"),
        ("memory_high", "max", "max"),
        ("pids_max", 20, "20"),
        ("pids_max", "max", "max"),
        ("cpuset_cpus", "0-1,3", "0-1,3"),
        ("io_max", "8:0 rbps=1M wiops=100", "8:0 rbps=1048576 wiops=100"),
        ("io_max", "8:0 rbps=max", "8:0 rbps=max"),
        ("io_weight", "300", "300"),
    ],
)
def test_what_the_kernel_is_given(keyword: str, value: object, text: str) -> None:
    file = settings.BY_KEYWORD[keyword].file
    assert settings.parse({keyword: value, "cpu_weight" if keyword != "cpu_weight" else "pids_max": None}) == {
        file: text
    }


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("cpu_max", "fast", 'cpu.max "fast" is not 20%, max, QUOTA or "QUOTA PERIOD" in microseconds'),
        ("cpu_max", "0%", "the least is 1000 microseconds"),
        ("cpu_max", "20000 5", "the period is 1000 to 1000000 microseconds"),
        ("cpu_max", "20000 max", "the period is"),
        ("cpu_weight", 0, 'cpu.weight "0" is not a whole number from 1 to 10000'),
        ("memory_max", "64X", 'memory.max "64X" is not a size such as 64M, nor max'),
        ("memory_max", "-1", "is not a size"),
        ("pids_max", "few", 'pids.max "few" is not a whole number, nor max'),
        ("cpuset_cpus", "0;1", "is not a list such as 0-1,3"),
        ("io_max", "8:0", 'is not a device and a limit, such as "/dev/sda rbps=1M"'),
        ("io_max", "8:0 speed=1", 'it takes rbps, wbps, riops, wiops, not "speed=1"'),
        ("io_max", "/dev/not-there rbps=1", "no such device: /dev/not-there: No such file or directory"),
        ("io_max", "/etc/passwd rbps=1", "/etc/passwd is not a device"),
        ("cpu_speed", "1", "a control group has no cpu_speed: there are cpu_max, "),
    ],
)
def test_mistakes_are_one_line(keyword: str, value: object, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        settings.parse({keyword: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(sorted(settings.BY_KEYWORD)), st.text(max_size=30))
def test_any_text_is_taken_or_refused_in_one_line(keyword: str, text: str) -> None:
    try:
        parsed = settings.parse({keyword: text})
    except InvalidArgument:
        return
    (value,) = parsed.values()
    assert settings.parse({keyword: value}) == parsed, "what the kernel is given means the same again"


@given(st.integers(1, 1 << 40))
def test_sizes_in_bytes_stay(size: int) -> None:
    assert settings.parse({"memory_max": size}) == {"memory.max": str(size)}


def test_a_disk_by_its_path() -> None:
    disks = [path for path in sorted(Path("/sys/block").glob("*/dev")) if (Path("/dev") / path.parent.name).exists()]
    if not disks:
        pytest.skip("no block device on this machine")
    device = Path("/dev") / disks[0].parent.name
    number = f"{os.major(device.stat().st_rdev)}:{os.minor(device.stat().st_rdev)}"
    assert settings.parse({"io_max": f"{device} rbps=1k"}) == {"io.max": f"{number} rbps=1024"}


@pytest.mark.parametrize("name", ["demo", "a/b/c", "x1", "with.dot", "A_b-c"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "..", "a/../b", ".", "cgroup.procs", "a/memory.max", "tasks", "f" * 64, "a b", "-x", "a/"]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid control group name"):
        check_name(name)


@given(st.text(max_size=40))
def test_no_name_leads_out(name: str) -> None:
    try:
        check_name(name)
    except InvalidArgument:
        return
    assert os.path.normpath(f"/top/{name}") == f"/top/{name}"


RECORD = (
    b"6,1187,5098,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    b"oom_memcg=/nbcontainer/one/a,task_memcg=/nbcontainer/one/a/b,task=py,thon,pid=42,uid=1000\n"
)


def test_the_kernels_log_tells_who() -> None:
    assert parse(RECORD) == Victim("py,thon", 42, 1000, "/nbcontainer/one/a/b", "/nbcontainer/one/a")
    assert parse(b"6,1,1,-;Out of memory: Killed process 1 (x)\n") is None


@given(st.binary(max_size=200))
def test_any_record_is_read_or_left(record: bytes) -> None:
    assert parse(record) is None or b"oom-kill:" in record
