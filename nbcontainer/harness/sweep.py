"""A function over a grid of parameters and limits, each point in a fresh container, again and again.

def throttled(c, work):
    c.exec(["sh", "-c", f"i=0; while [ $i -lt {work} ]; do i=$((i+1)); done"])
    return {"throttled": c.cgroup.usage().throttled_usec / 1e6}

sweep(throttled, {"work": [10_000, 100_000], "cpus": [0.1, 0.5]}, repeats=3, units={"throttled": "s"})
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbcontainer.cgroup import figure
from nbcontainer.container.options import UpdateOptions
from nbcontainer.errors import InvalidArgument

Function = Callable[..., Mapping[str, Any]]
#: What in a grid is a limit of the container's: the function is not given it.
LIMITS = UpdateOptions.NAMES - {"restart"}


@dataclass
class Sweep:
    """What came out: a record for each point and repeat, parameters and measures in one, by the grid's order."""

    grid: dict[str, list[Any]]
    records: list[dict[str, Any]]
    units: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def frame(self) -> Any:
        """The records as a pandas DataFrame, the units and facts in its `attrs`."""
        import pandas

        frame = pandas.DataFrame(self.records)
        frame.attrs.update(units=self.units, facts=self.facts)
        return frame

    def plot(self, x: str, y: str, by: str | None = None) -> Any:
        """Means of `y` over `x`, a line for each value of `by`, with the least and the most of the repeats."""
        drawn = figure.new(5.2, 3.2, f"{self._named(y)} over {self._named(x)}")
        axes = drawn.add_subplot()
        values = self.grid[by] if by else [None]
        for value, colour in zip(values, figure.colours(len(values)), strict=True):
            rows = [row for row in self.records if by is None or row[by] == value]
            at = [one for one in self.grid[x] if any(row[x] == one for row in rows)]
            groups = [[row[y] for row in rows if row[x] == one] for one in at]
            means = [sum(group) / len(group) for group in groups]
            spread = [
                [mean - min(group) for mean, group in zip(means, groups, strict=True)],
                [max(group) - mean for mean, group in zip(means, groups, strict=True)],
            ]
            label = y if by is None else f"{by} {value}"
            axes.errorbar(at, means, yerr=spread, marker="o", markersize=4, capsize=3, color=colour, label=label)
        axes.set_xlabel(self._named(x), fontsize=8)
        axes.set_ylabel(self._named(y), fontsize=8)
        axes.set_ylim(bottom=0)
        figure.quiet(axes)
        if by:
            axes.legend(fontsize=7, frameon=False, labelcolor=figure.GREY)
        return drawn

    def _named(self, name: str) -> str:
        return f"{name} ({self.units[name]})" if name in self.units else name

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        points = len(list(_points(self.grid)))
        return f"<Sweep of {points} points, {len(self.records)} records: {', '.join(self.grid)}>"


def bar(done: int, all_: int) -> None:
    """`[######----] 12 of 20`, in place, to stderr."""
    width = 30
    filled = width * done // all_
    end = "\n" if done == all_ else ""
    print(f"\r[{'#' * filled}{'-' * (width - filled)}] {done} of {all_}", end=end, file=sys.stderr, flush=True)


def sweep(
    function: Function,
    grid: Mapping[str, Sequence[Any]],
    *,
    repeats: int = 1,
    image: str = "busybox",
    executor: Executor | None = None,
    units: Mapping[str, str] | None = None,
    path: Path | str | None = None,
    progress: Callable[[int, int], object] | None = bar,
) -> Sweep:
    """Call `function(container, **parameters)` for every point of `grid`, `repeats` times; it gives its measures.

    Names in the grid that are limits (`cpus`, `memory`, `pids_limit`, …) are the container's; the rest are the
    function's parameters. Each call has a fresh container of `image`, removed after it. With `executor`, any of
    `concurrent.futures`, calls run there; in other processes in labs of their own. With `path`, each record is
    written there as a line of JSON as soon as it is known, and a sweep that was interrupted goes on from there.
    `progress(done, all)` is called after each; None shows nothing. Raises `InvalidArgument`, and what `function` does.
    """
    from nbcontainer.harness.facts import facts
    from nbcontainer.runtime import current_lab

    plain = {name: list(values) for name, values in grid.items()}
    if not plain or not all(plain.values()):
        raise InvalidArgument("a sweep needs a grid of names, each with at least one value")
    wanted = [{**point, "repeat": repeat} for point in _points(plain) for repeat in range(repeats)]
    known = {} if path is None else _known(Path(path))
    missing = [point for point in wanted if _key(point) not in known]
    try:
        for point, measures in _results(function, image, missing, executor):
            known[_key(point)] = {**point, **measures}
            if path is not None:
                _append(Path(path), point, measures)
            if progress is not None:
                progress(sum(_key(one) in known for one in wanted), len(wanted))
    except KeyboardInterrupt:
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        raise
    records = [known[_key(point)] for point in wanted]
    return Sweep(plain, records, dict(units or {}), facts(current_lab()))


def _points(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _results(
    function: Function, image: str, points: list[dict[str, Any]], executor: Executor | None
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    if executor is None:
        for point in points:
            yield point, measure(function, image, point)
        return
    waiting: dict[Future[Mapping[str, Any]], dict[str, Any]] = {
        executor.submit(measure, function, image, point): point for point in points
    }
    for done in as_completed(waiting):
        yield waiting[done], done.result()


def measure(function: Function, image: str, point: Mapping[str, Any]) -> Mapping[str, Any]:
    """One call of `function`, in a fresh container of this process's lab."""
    from nbcontainer.runtime import current_lab

    limits = {name: value for name, value in point.items() if name in LIMITS}
    parameters = {name: value for name, value in point.items() if name not in LIMITS and name != "repeat"}
    container = current_lab().containers.run(image, ["sleep", "1000000"], detach=True, **limits)
    try:
        measures = function(container, **parameters)
    finally:
        container.remove(force=True, volumes=True)
    if not isinstance(measures, Mapping):
        name = getattr(function, "__name__", str(function))
        raise InvalidArgument(f"{name} gives {measures!r}: a mapping of measures is wanted")
    return dict(measures)


def _key(point: Mapping[str, Any]) -> str:
    return json.dumps(dict(point), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's, so that it is read back as what it was; what JSON has no word for as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _known(path: Path) -> dict[str, dict[str, Any]]:
    """What an earlier run has written; a last line cut short by its end is left out."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[_key(record["point"])] = {**record["point"], **record["measures"]}
    return found


def _append(path: Path, point: Mapping[str, Any], measures: Mapping[str, Any]) -> None:
    line = json.dumps({"point": dict(point), "measures": dict(measures)}, default=_plain) + "\n"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        cut_short = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        os.write(fd, ("\n" * cut_short + line).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
