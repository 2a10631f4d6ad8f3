"""Sweeps: every point in a fresh container, going on where they were interrupted; and snapshots of the facts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nbcontainer import runtime
from nbcontainer.errors import InvalidArgument, NotFound
from nbcontainer.harness import facts
from nbcontainer.harness.sweep import sweep


@pytest.fixture
def current(lab: Any, busybox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The test's lab as this process's."""
    monkeypatch.setattr(runtime, "_current", lab)
    return lab


def lines(container: Any, count: int) -> dict[str, Any]:
    script = "for i in $(seq $0); do echo x >> /lines; done; wc -l < /lines"
    return {"lines": int(container.exec(["sh", "-c", script, str(count)]).stdout)}


def test_every_point_has_a_fresh_container(current: Any) -> None:
    found = sweep(lines, {"count": [1, 3]}, repeats=2, progress=None, units={"lines": "lines"})
    rows = [(row["count"], row["repeat"], row["lines"]) for row in found]
    assert rows == [(1, 0, 1), (1, 1, 1), (3, 0, 3), (3, 1, 3)]
    assert repr(found) == "<Sweep of 2 points, 4 records: count>"
    assert found.facts["lab"]["seed"] == current.seed
    assert current.containers.list(all=True) == []


def test_limits_are_the_containers(current: Any) -> None:
    if "pids" not in current.cgroups.controllers:
        pytest.skip(f"no limits on processes here: {current.cgroups.why}")
    found = sweep(lambda c: {"limit": c.options.pids_limit}, {"pids_limit": [10, 20]}, progress=None)
    assert [row["limit"] for row in found] == [10, 20]


def test_it_goes_on_where_it_was_interrupted(current: Any, tmp_path: Path) -> None:
    calls: list[int] = []

    def once(container: Any, count: int) -> dict[str, int]:
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"twice": 2 * count}

    path = tmp_path / "sweep.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sweep(once, {"count": [1, 2, 3, 4]}, path=path, progress=None)
    path.write_text(path.read_text() + '{"point": {"cou')  # what a kill in the middle of a write leaves
    seen: list[tuple[int, int]] = []
    found = sweep(once, {"count": [1, 2, 3, 4]}, path=path, progress=lambda done, every: seen.append((done, every)))
    assert [row["twice"] for row in found] == [2, 4, 6, 8]
    assert calls == [1, 2, 3, 3, 4]
    assert seen == [(3, 4), (4, 4)]
    # What followed the torn line is known, too: nothing is measured again.
    assert [row["twice"] for row in sweep(once, {"count": [1, 2, 3, 4]}, path=path, progress=None)] == [2, 4, 6, 8]
    assert calls == [1, 2, 3, 3, 4]


def test_numbers_are_read_back_as_numbers(current: Any, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    for _ in range(2):
        found = sweep(
            lambda c, n: {"twice": numpy.int64(2 * n)}, {"n": [1, 2]}, path=tmp_path / "sweep.jsonl", progress=None
        )
        assert [row["twice"] for row in found] == [2, 4]


def test_any_executor_will_do(current: Any) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = sweep(lines, {"count": [1, 2, 3]}, executor=pool, progress=None)
    assert [row["lines"] for row in found] == [1, 2, 3]


def test_what_is_no_sweep(current: Any) -> None:
    with pytest.raises(InvalidArgument, match="a sweep needs a grid"):
        sweep(lines, {"count": []})
    with pytest.raises(InvalidArgument, match="a mapping of measures is wanted"):
        sweep(lambda c, n: n, {"n": [1]}, progress=None)
    assert current.containers.list(all=True) == []


def test_frames_and_figures(current: Any, tmp_path: Path) -> None:
    found = sweep(lines, {"count": [1, 3]}, repeats=2, progress=None, units={"lines": "lines"})
    frame = found.frame()
    assert list(frame.columns) == ["count", "repeat", "lines"]
    assert frame.attrs["units"] == {"lines": "lines"}
    figure = found.plot("count", "lines")
    assert figure.axes[0].get_ylabel() == "lines (lines)"
    figure.savefig(tmp_path / "figure.png")


def test_a_snapshot_and_what_differs_from_it(current: Any, tmp_path: Path) -> None:
    path = tmp_path / "note.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    with pytest.raises(NotFound, match="has no snapshot"):
        facts.verify(current, path)
    facts.snapshot(current, path)
    assert facts.verify(current, path) == []
    document = nbformat.read(path, as_version=4)
    document.metadata.nbcontainer.facts.machine.kernel = "2.6.32"
    nbformat.write(document, path)
    ((name, then, now),) = facts.verify(current, path)
    assert (name, then) == ("machine.kernel", "2.6.32")
    assert now != then
