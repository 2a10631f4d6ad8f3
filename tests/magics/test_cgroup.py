"""`%cgroup` in a real kernel: what it shows, what it says while things happen, and how it fails."""

from __future__ import annotations

import json
import re

import pytest

from nbcontainer.cgroup.cgroups import Cgroups
from tests.magics.conftest import Kernel

FOUND = Cgroups.detect()
limited = pytest.mark.skipif(
    not FOUND.controllers >= {"cpu", "memory", "pids"},
    reason="no control group here may be written: see `%lab doctor`",
)
GREEDY = "python3 -c \"kept = [bytearray(b'x' * (4 << 20)) for _ in range(64)]\""
SPIN = "timeout 1 sh -c 'while :; do :; done'"


@limited
def test_create_gives_the_group_and_shows_it(kernel: Kernel) -> None:
    cell = kernel.ok("%cgroup create demo --cpu-max 20% --memory-max 64M --pids-max 20")
    assert (cell.stdout, cell.stderr) == ("", "")
    assert cell.result is not None
    assert cell.result["text/plain"] == "<Cgroup demo>"
    for said in ("cpu.max", "20%", "64MiB", "empty"):
        assert said in cell.result["text/html"]
    assert kernel.ok("g = %cgroup create a/b\nprint(g.name)").stdout == "a/b\n"


@limited
def test_tables(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --cpu-max 20% --memory-max 64M --pids-max 20\n%cgroup create a/b --cpu-weight 200")
    (ls,) = kernel.ok("%cgroup ls").displays
    assert ls["text/plain"].splitlines() == [
        "NAME      STATE     PIDS      CPU.MAX   CPU.WEIGHT   MEMORY.MAX   PIDS.MAX",
        "a         empty     0         max       100          max          max",
        "a/b       empty     0         max       200          max          max",
        "demo      empty     0         20%       100          64MiB        20",
    ]
    assert kernel.ok("%cgroup ls -q").stdout == "a\na/b\ndemo\n"
    assert kernel.ok("%cgroup ls --format '{{.Name}} {{.CpuMax}}'").stdout == "a max\na/b max\ndemo 20%\n"
    (show,) = kernel.ok("%cgroup show demo").displays
    lines = show["text/plain"].splitlines()
    assert lines[0].split() == ["FILE", "VALUE", "MEANING"]
    assert lines[1] == "cpu.max           20000 100000   at most 20% of one processor's time"
    (files,) = kernel.ok("%cgroup show --files demo").displays
    assert re.search(r"^cpu\.max +\S*/…/demo/cpu\.(max|cfs_quota_us) +20000", files["text/plain"], re.MULTILINE)


@limited
def test_the_tree_has_containers_too(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --cpu-max 20%\n%cgroup create a/b --cpu-weight 200")
    kernel.ok("%container run -d --name web -m 64m busybox sleep 1000")
    (tree,) = kernel.ok("%cgroup tree").displays
    head, *lines = tree["text/plain"].splitlines()
    assert re.fullmatch(r"lab \((v1|v2|hybrid)\)", head)
    assert lines[:3] == ["├── a", "│   └── b  cpu.weight 200", "├── demo  cpu.max 20%"]
    assert lines[3].startswith("└── web  container, memory.max 64MiB")
    assert "<ul><li>" in tree["text/html"]


@limited
def test_the_cell_is_a_script_that_runs_in_it(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --pids-max 20")
    cell = kernel.ok("%%cgroup exec demo\necho hello\ngrep -o '/demo$' /proc/self/cgroup | sort -u")
    assert cell.stdout == "hello\n/demo\n"
    assert kernel.ok("%%cgroup exec demo tr a-z A-Z\nhello").stdout.strip() == "HELLO"
    assert kernel.ok("%cgroup exec demo echo hi").stdout == "hi\n"
    failed = kernel.run("%%cgroup exec demo\nexit 3")
    assert failed.error is not None
    assert list(failed.error["traceback"]) == ["Error: the script in demo exited with 3"]
    assert kernel.ok("r = %cgroup exec --no-check demo false\nprint(r.exit_code)").stdout == "1\n"


@limited
def test_what_happens_is_said_as_it_happens(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --cpu-max 10% --memory-max 32M --pids-max 4")
    if FOUND.mode != "v2" or "memory.swap.max" in kernel.ok("%cgroup show demo").displays[0]["text/plain"]:
        kernel.ok("%cgroup set demo --memory-swap-max 0")
    cell = kernel.ok(f"%cgroup exec --no-check demo {SPIN}")
    assert cell.stderr == "demo: throttled: cpu.max is 10%\n"
    kernel.ok("%cgroup set demo --cpu-max max")
    failed = kernel.run(f"%cgroup exec demo {GREEDY}")
    first, second = failed.stderr.splitlines()
    assert first == "demo: memory.max reached: 32MiB"
    assert re.fullmatch(r"demo: out of memory: (python3|a process) was killed, memory\.max is 32MiB", second)
    assert failed.error is not None
    assert failed.error["evalue"].endswith(" in demo exited with 137: out of memory")
    cell = kernel.ok("%%cgroup exec --no-check demo\nfor i in 1 2 3 4 5; do sleep 0.1 & done; wait")
    assert "demo: pids.max reached: 4\n" in cell.stderr
    events = kernel.ok("%cgroup events").stdout.splitlines()
    assert events == ["demo: throttled: cpu.max is 10%", first, second, "demo: pids.max reached: 4"]
    stamped = kernel.ok("%cgroup events -t demo").stdout.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z demo: ", line) for line in stamped)
    records = [json.loads(line) for line in kernel.ok("%cgroup events --format json").stdout.splitlines()]
    assert [record["event"] for record in records] == [
        "throttled", "memory.max reached", "oom-kill", "pids.max reached",
    ]  # fmt: skip


@limited
def test_events_are_followed_until_interrupted(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --pids-max 2")
    kernel.ok("%%cgroup exec --no-check demo\nsleep 0.1 & sleep 0.1 & wait")
    cell = kernel.interrupted("%cgroup events --follow\nprint('after')")
    assert cell.error is None
    assert cell.stdout == "demo: pids.max reached: 2\nafter\n"


@limited
def test_limits_change_live(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --cpu-max 20%")
    kernel.ok("%cgroup set demo --cpu-max 50% --memory-max 1G")
    assert kernel.ok("%cgroup ls --format '{{.CpuMax}} {{.MemoryMax}}'").stdout == "50% 1GiB\n"
    nothing = kernel.run("%cgroup set demo")
    assert nothing.error is not None
    assert nothing.error["evalue"] == "%cgroup set: which limit? See '%cgroup set --help'."


@limited
def test_freeze_thaw_kill_attach_rm(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo\nimport subprocess\np = subprocess.Popen(['sleep', '1000'])")
    kernel.ok("%cgroup attach --machine demo {p.pid}")
    refused = kernel.run("import os\n%cgroup attach --machine demo {os.getpid()}")
    assert refused.error is not None
    assert "is this notebook itself" in refused.error["evalue"]
    assert kernel.ok("%cgroup freeze demo").stdout == "demo\n"
    assert kernel.ok("%cgroup ls --format '{{.State}} {{.Pids}}'").stdout == "frozen (paused) 1\n"
    assert kernel.ok("%cgroup thaw demo").stdout == "demo\n"
    busy = kernel.run("%cgroup rm demo")
    assert busy.error is not None
    assert busy.error["evalue"] == "control group demo holds processes: kill them first, or force the removal"
    assert kernel.ok("%cgroup kill demo\nprint(p.wait())").stdout == "demo\n-9\n"
    assert kernel.ok("%cgroup rm demo").stdout == "demo\n"
    gone = kernel.run("%cgroup show demo")
    assert gone.error is not None
    assert list(gone.error["traceback"]) == ["Error: No such control group: demo"]


@limited
def test_attach_counts_as_the_lab_does(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo")
    pid = kernel.ok("%%lab\nsleep 1000 >/dev/null 2>&1 &\necho $!").stdout.strip()
    kernel.ok(f"%cgroup attach demo {pid}")
    assert kernel.ok("%cgroup ls --format '{{.Pids}}'").stdout == "1\n"


@limited
def test_watch(kernel: Kernel) -> None:
    kernel.ok("%cgroup create demo --cpu-max 20% --memory-max 64M")
    (table,) = kernel.ok("%cgroup watch --no-stream").displays
    head, row = table["text/plain"].splitlines()
    assert re.split(r"  +", head) == [
        "NAME", "CPU %", "THROTTLED", "MEMORY / MAX", "PIDS / MAX", "BLOCK I/O", "OOM KILLS",
    ]  # fmt: skip
    assert re.match(r"demo +0\.0% / 20% +(-|0\.0s, 0% of periods) +0B / 64MiB +0 / max ", row)
    assert len(kernel.ok("%cgroup watch --for 0.2 demo").displays) == 1  # the others are updates of it


def test_completion_and_mistakes(kernel: Kernel) -> None:
    assert "freeze" in kernel.complete("%cgroup fr")
    assert "--cpu-max" in kernel.complete("%cgroup create demo --cpu-m")
    for typed, said in [
        ("create demo --cpu-max fast", 'cpu.max "fast" is not 20%, max, QUOTA or "QUOTA PERIOD" in microseconds'),
        ("create a..b", "Invalid control group name (a..b)"),
        ("show nothing", "No such control group: nothing"),
        ("frieze demo", "unknown command: %cgroup frieze (did you mean freeze?) See '%cgroup --help'."),
    ]:
        cell = kernel.run(f"%cgroup {typed}")
        assert cell.error is not None
        assert cell.error["evalue"].startswith(said)
        assert len(cell.error["traceback"]) == 1
    if FOUND.mode != "none":
        kernel.ok("%cgroup create demo")
        assert kernel.complete("%cgroup show d") == ["demo"]


# -- %container stats


def test_stats_is_dockers_table(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    (table,) = kernel.ok("%container stats --no-stream").displays
    head, row = table["text/plain"].splitlines()
    assert re.split(r"  +", head) == [
        "CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS",
    ]  # fmt: skip
    cells = re.split(r"  +", row)
    assert cells[1] == "web"
    assert re.fullmatch(r"\d+\.\d\d%", cells[2])
    assert re.fullmatch(r"[\d.]+[KM]iB / [\d.]+GiB", cells[3])
    assert cells[-1] == "1"
    assert '<td class="nbc-number">' in table["text/html"]


def test_stats_formats(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000\n%container run --name done busybox true")
    assert kernel.ok("%container stats --no-stream --format '{{.Name}} {{.PIDs}}'").stdout == "web 1\n"
    assert kernel.ok("%container stats --no-stream -a --format '{{.Name}} {{.PIDs}}'").stdout == "done 0\nweb 1\n"
    (line,) = kernel.ok("%container stats --no-stream --format json web").stdout.splitlines()
    assert sorted(json.loads(line)) == [
        "BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs",
    ]  # fmt: skip
    (table,) = kernel.ok("%container stats --no-stream --format 'table {{.Name}}\\t{{.CPUPerc}}'").displays
    assert table["text/plain"].splitlines()[0] == "NAME      CPU %"
    stopped = kernel.run("%container stats --no-stream done")
    assert stopped.error is not None
    assert stopped.error["evalue"] == "Container done is not running: --all shows it all the same"


@limited
def test_stats_shows_the_limit_and_what_was_used(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web -m 64m busybox sh -c 'while :; do :; done'")
    out = kernel.ok("%container stats --no-stream --format '{{.MemUsage}}|{{.CPUPerc}}'").stdout
    memory, cpu = out.strip().split("|")
    assert memory.endswith(" / 64MiB")
    assert float(cpu.rstrip("%")) > 1


def test_stats_counts_the_network(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    kernel.ok("%%lab\nbusybox ping -c 3 -s 1400 172.17.0.2 >/dev/null")
    received, sent = kernel.ok("%container stats --no-stream --format '{{.NetIO}}'").stdout.split(" / ")
    assert received.endswith("kB")
    assert sent.strip().endswith("kB")


def test_stats_goes_on_until_interrupted(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    cell = kernel.interrupted("%container stats --format '{{.Name}}'\nprint('after')", times=1)
    assert cell.error is None
    assert cell.stdout.startswith("web\n")
    assert cell.stdout.endswith("after\n")
