"""The sampler: what a pass reads, what subscribers get, what is kept, and that nothing stays behind."""

from __future__ import annotations

import math
import os
import queue
import resource
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.cgroup import counters
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.counters import FIELDS, INDEX, Budget, Counters
from nbcontainer.cgroup.sampler import Batch
from nbcontainer.cgroup.series import COLUMNS, WIDTH, Series

limited = pytest.mark.skipif(
    not Cgroups.detect().controllers >= {"cpu", "memory", "pids"},
    reason="no control group here may be written: see `%lab doctor`",
)
SPIN = ["timeout", "0.5", "sh", "-c", "while :; do :; done"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@limited
def test_a_pass_reads_every_group_and_container(lab: Any, busybox: Any) -> None:
    lab.cgroup("one")
    lab.cgroup("two", memory_max="32M")
    lab.containers.run("busybox", ["sleep", "99"], name="web", network="none", detach=True)
    batch = lab.sampler.take()
    assert batch.keys == ("container/web", "cgroup/one", "cgroup/two")
    assert len(batch.values) == 3 * WIDTH
    web = dict(zip(COLUMNS, batch.sample(0), strict=True))
    assert web["pids"] == 1
    assert web["memory"] > 0
    assert web["net_read_bytes"] == 0
    one = dict(zip(COLUMNS, batch.sample(1), strict=True))
    assert one["pids"] == 0
    assert math.isnan(one["net_read_bytes"])


@limited
def test_subscribers_get_batches_until_they_end(lab: Any) -> None:
    demo = lab.cgroup("demo")
    batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
    end = lab.sampler.subscribe(batches.put, hz=50)
    demo.exec(SPIN)
    demo.exec(SPIN)
    lab.sampler.take()
    end()
    end()  # a second time is nothing
    got = []
    while not batches.empty():
        got.append(batches.get())
    assert [batch.number for batch in got] == list(range(got[0].number, got[0].number + len(got)))
    used = [batch.sample(0)[COLUMNS.index("cpu_usec")] for batch in got]
    assert used == sorted(used)
    assert used[-1] - used[0] > 100_000
    assert max(batch.sample(0)[1] for batch in got[1:]) > 5  # percent of a processor
    assert all(batch.keys is got[-1].keys for batch in got if batch.keys == got[-1].keys)
    lab.sampler.take()
    assert batches.empty()


@limited
def test_a_subscriber_that_fails_is_dropped_and_the_others_go_on(lab: Any) -> None:
    lab.cgroup("demo")
    batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()

    def fails(batch: Batch) -> None:
        raise ValueError("never again")

    lab.sampler.subscribe(fails)
    end = lab.sampler.subscribe(batches.put, hz=50)
    for _ in range(3):
        batches.get(timeout=30)
    end()


@limited
def test_nothing_is_open_when_all_have_gone(lab: Any) -> None:
    lab.cgroup("warm").remove()
    before = descriptors()
    for number in range(20):
        lab.cgroup(f"group{number}")
    lab.sampler.take()
    assert descriptors() > before + 100
    for group in lab.cgroup_tree.list():
        group.remove()
    assert descriptors() <= before


@limited
def test_it_goes_on_without_descriptors(lab: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 200, hard))
    try:
        for number in range(40):
            lab.cgroup(f"group{number}")
        batch = lab.sampler.take()
        assert len(batch) == 40
        assert descriptors() < before + 150
        assert [batch.sample(index)[COLUMNS.index("pids")] for index in range(40)] == [0] * 40
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@limited
def test_a_removed_group_leaves_no_history(lab: Any) -> None:
    demo = lab.cgroup("demo")
    lab.sampler.take()
    assert len(lab.sampler.samples("cgroup/demo")) > 0
    demo.remove()
    assert lab.sampler.samples("cgroup/demo") == []
    assert "cgroup/demo" not in lab.sampler.take().keys


def test_a_ring_keeps_the_newest() -> None:
    series = Series(capacity=3)
    assert series.last is None
    for number in range(5):
        row = counters.empty()
        row[INDEX["cpu_usec"]] = number * 500_000
        series.add(100.0 + number, float(number), row)
    assert [sample[0] for sample in series] == [102, 103, 104]
    assert [sample[1] for sample in series] == [50, 50, 50]
    assert series.last is not None
    assert series.last[0] == 104


def test_counters_of_what_is_not_there(tmp_path: Any) -> None:
    budget = Budget()
    left = budget.left
    opened = Counters([(f"{tmp_path}/nothing", counters.number("memory"))], budget)
    row = counters.empty()
    opened.read(row)
    assert all(math.isnan(value) for value in row)
    opened.close()
    assert budget.left == left


# -- what is in the files


def parsed(parse: counters.Parse, text: bytes) -> dict[str, float]:
    row = counters.empty()
    parse(text, row)
    return {name: value for name, value in zip(FIELDS, row, strict=True) if not math.isnan(value)}


def test_the_files_of_v2() -> None:
    text = b"usage_usec 12\nuser_usec 7\nnr_periods 3\nnr_throttled 2\nthrottled_usec 9\n"
    parse = counters.keyed((b"usage_usec", "cpu_usec"), (b"nr_throttled", "throttled_periods"))
    assert parsed(parse, text) == {"cpu_usec": 12, "throttled_periods": 2}
    io = b"8:0 rbytes=4096 wbytes=1 rios=2 wios=3 dbytes=0 dios=0\n8:16 rbytes=4 wbytes=0 rios=1 wios=0\n"
    assert parsed(counters.io_stat, io) == {"io_read_bytes": 4100, "io_write_bytes": 1, "io_reads": 3, "io_writes": 3}
    assert parsed(counters.io_stat, b"") == {"io_read_bytes": 0, "io_write_bytes": 0, "io_reads": 0, "io_writes": 0}
    stall = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
    assert parsed(counters.pressure("io_pressure_usec"), stall) == {"io_pressure_usec": 77}


def test_the_files_of_v1() -> None:
    text = b"8:0 Read 4096\n8:0 Write 10\n8:0 Sync 1\n8:0 Total 4106\n8:16 Read 4\nTotal 4110\n"
    assert parsed(counters.blkio("io_read_bytes", "io_write_bytes"), text) == {
        "io_read_bytes": 4100,
        "io_write_bytes": 10,
    }
    assert parsed(counters.number("cpu_usec", 1e-3), b"5000\n") == {"cpu_usec": 5}


@given(
    st.dictionaries(st.sampled_from(["anon", "file", "kernel", "kernel_stack", "anon_thp"]), st.integers(0, 1 << 52))
)
def test_keys_are_whole_words(stat: dict[str, int]) -> None:
    text = "".join(f"{key} {value}\n" for key, value in stat.items()).encode()
    parse = counters.keyed((b"anon", "memory_anon"), (b"file", "memory_file"), (b"kernel", "memory_kernel"))
    names = {"anon": "memory_anon", "file": "memory_file", "kernel": "memory_kernel"}
    assert parsed(parse, text) == {names[key]: value for key, value in stat.items() if key in names}


@given(st.lists(st.integers(0, 1 << 50), max_size=12), st.integers(1, 5))
def test_a_ring_is_the_end_of_what_was_added(values: list[int], capacity: int) -> None:
    series = Series(capacity)
    for number, value in enumerate(values):
        row = array("d", [value]) * len(FIELDS)
        series.add(number, number, row)
    assert [sample[2] for sample in series.copy()] == values[-capacity:]
