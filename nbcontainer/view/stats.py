"""Usage as `docker stats` prints it, of containers and of groups."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbcontainer.cgroup.figure import cpu_limit
from nbcontainer.cgroup.series import COLUMNS
from nbcontainer.view import words
from nbcontainer.view.tables import Column

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

STATS_COLUMNS = (
    Column("ID", "CONTAINER ID", "code"),
    Column("Name", "NAME"),
    Column("CPUPerc", "CPU %", "number"),
    Column("MemUsage", "MEM USAGE / LIMIT", "number"),
    Column("MemPerc", "MEM %", "number"),
    Column("NetIO", "NET I/O", "number"),
    Column("BlockIO", "BLOCK I/O", "number"),
    Column("PIDs", "PIDS", "number"),
)
#: What only `--format "table …"` can show.
STATS_KNOWN = (Column("Container", "CONTAINER"),)


def named(sample: array[float] | None) -> dict[str, float]:
    """A sample by column, without what is not known."""
    if sample is None:
        return {}
    return {name: value for name, value in zip(COLUMNS, sample, strict=True) if not math.isnan(value)}


def stats_row(container: Container, asked: str, sample: array[float] | None, limit: int, trunc: bool) -> dict[str, Any]:
    """One container as `docker stats` has it; `limit` is what it may have of memory, in bytes."""
    known = named(sample)
    # docker/cli, calculateMemUsageUnixNoCache: files that have not been used lately could be given up at once.
    used = max(0.0, known.get("memory", 0) - known.get("memory_inactive_file", 0))
    return {
        "Container": asked,
        "ID": container.short_id if trunc else container.id,
        "Name": container.name,
        "CPUPerc": f"{known.get('cpu_percent', 0):.2f}%",
        "MemUsage": f"{words.binary_size(used)} / {words.binary_size(limit if known else 0)}",
        "MemPerc": f"{100 * used / limit:.2f}%" if known and limit else "0.00%",
        "NetIO": _pair(known, "net_read_bytes", "net_write_bytes"),
        "BlockIO": _pair(known, "io_read_bytes", "io_write_bytes"),
        "PIDs": f"{known.get('pids', 0):.0f}",
    }


def _pair(known: Mapping[str, float], first: str, second: str) -> str:
    return f"{words.size(known.get(first, 0))} / {words.size(known.get(second, 0))}"


USAGE_COLUMNS = (
    Column("Name", "NAME"),
    Column("CPU", "CPU %", "number"),
    Column("Throttled", "THROTTLED", "number"),
    Column("Memory", "MEMORY / MAX", "number"),
    Column("Pids", "PIDS / MAX", "number"),
    Column("BlockIO", "BLOCK I/O", "number"),
    Column("OOM", "OOM KILLS", "number"),
)


def usage_row(name: str, sample: array[float] | None, settings: Mapping[str, str]) -> dict[str, Any]:
    """One group for `%cgroup watch`: what it uses, beside what it may."""
    known = named(sample)
    limit = cpu_limit(settings["cpu.max"]) if "cpu.max" in settings else None
    periods = known.get("periods", 0)
    part = known.get("throttled_periods", 0) / periods if periods else 0
    memory_max = settings.get("memory.max", "max")
    return {
        "Name": name,
        "CPU": f"{known.get('cpu_percent', 0):.1f}%" + (f" / {limit:g}%" if limit is not None else ""),
        "Throttled": f"{known.get('throttled_usec', 0) / 1e6:.1f}s, {part:.0%} of periods" if periods else "-",
        "Memory": f"{words.binary_size(known.get('memory', 0))} / "
        + (words.binary_size(int(memory_max)) if memory_max.isdigit() else memory_max),
        "Pids": f"{known.get('pids', 0):.0f} / {settings.get('pids.max', 'max')}",
        "BlockIO": _pair(known, "io_read_bytes", "io_write_bytes"),
        "OOM": f"{known.get('oom_kills', 0):.0f}",
    }
