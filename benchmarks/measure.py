"""Samples of time and memory, and a table of them beside their goals."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Runs of each side before those that count.
WARM_UP = 3
#: Seconds of quiet before each run: a daemon goes on cleaning up after its client has ended.
QUIET = 0.05


@dataclass(frozen=True)
class Samples:
    """Durations in seconds."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, middle, high = (f"{1000 * s:.3g}" for s in (min(self.seconds), self.median, max(self.seconds)))
        return f"{middle} ms ({low}–{high})"


def seconds_of(run: Callable[[], object]) -> float:
    """How long `run()` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def interleaved(count: int, *sides: Callable[[], object], quiet: float = QUIET) -> list[Samples]:
    """`count` durations of each side, taken in turn so that the machine's moods strike all of them."""
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(WARM_UP + count):
        for run, seconds in zip(sides, taken, strict=True):
            time.sleep(quiet)
            took = seconds_of(run)
            if number >= WARM_UP:
                seconds.append(took)
    return [Samples(seconds) for seconds in taken]


def resident(pid: int) -> int:
    """Resident memory of a process in bytes (proc(5), /proc/PID/statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def proportional(pid: int) -> int:
    """A process's memory in bytes, its part of what it shares (proc(5), Pss in /proc/PID/smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True)
class Row:
    """One line of the result: what was measured, ours, what it is held against, and whether it holds."""

    what: str
    ours: str
    beside: str
    goal: str
    verdict: str


@dataclass(frozen=True)
class Peer:
    """Something to be held against: its name, and how to run it or why that cannot be."""

    name: str
    run: Callable[[], object] | str


def versus(
    what: str,
    ours: Callable[[], object],
    peer: Peer,
    goal: int,
    aim: int | None = None,
    *,
    count: int,
    quiet: float = QUIET,
) -> Row:
    """Ours beside a peer: at most 1/goal of its median, with 1/aim hoped for."""
    wanted = f"≤ 1/{goal}" + (f", aim 1/{aim}" if aim else "")
    if isinstance(peer.run, str):
        (samples,) = interleaved(count, ours, quiet=quiet)
        return Row(what, str(samples), f"{peer.name}: {peer.run}", wanted, "not compared")
    samples, theirs = interleaved(count, ours, peer.run, quiet=quiet)
    return compared(what, samples, peer.name, theirs, goal, aim)


def compared(what: str, ours: Samples, name: str, theirs: Samples, goal: int, aim: int | None = None) -> Row:
    """Samples of ours beside a peer's: as `versus`."""
    wanted = f"≤ 1/{goal}" + (f", aim 1/{aim}" if aim else "")
    times = theirs.median / ours.median
    reached = "aim met" if aim and times >= aim else "met" if times >= goal else "MISSED"
    return Row(what, str(ours), f"{name} {theirs}", wanted, f"1/{times:.1f} {reached}")


def limit(what: str, value: float, unit: str, at_most: float, detail: str = "") -> Row:
    """Ours against a number."""
    verdict = "met" if value <= at_most else "MISSED"
    return Row(what, f"{value:.3g} {unit}{detail}", "", f"≤ {at_most:g} {unit}", verdict)


def table(rows: list[Row]) -> str:
    """The rows, in columns."""
    cells = [("", "nbcontainer", "beside", "goal", "")]
    cells += [(r.what, r.ours, r.beside, r.goal, r.verdict) for r in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = []
    for line in cells:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        lines.append("   ".join(padded).rstrip())
    return "\n".join(lines)
