"""Usage, live: `%container stats` and `%cgroup watch` in a page. The samples are the sampler's; nothing else reads."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.cgroup.figure import cpu_limit
from nbcontainer.cgroup.series import COLUMNS, WIDTH
from nbcontainer.errors import NbcontainerError
from nbcontainer.view.view import Emit, View

if TYPE_CHECKING:
    from nbcontainer.cgroup.sampler import Batch
    from nbcontainer.runtime import Lab
    from nbcontainer.view.tables import Table

#: What a page is sent of a sample, in this order, as doubles.
SENT = (
    "time", "cpu_percent", "memory", "pids", "io_read_bytes", "io_write_bytes", "throttled_usec", "oom_kills",
)  # fmt: skip
_AT = tuple(COLUMNS.index(name) for name in SENT)
#: Passes a second, and how many of them until limits are looked at again.
HZ, LIMITS_EVERY = 10.0, 20


class Usage(View):
    """What groups use. `prefix` is `container/` or `cgroup/`; without `names` everything there is, now and later."""

    bundle: ClassVar[str] = "usage"

    def __init__(self, lab: Lab, prefix: str, names: Sequence[str], table: Table) -> None:
        self.lab = lab
        self.prefix = prefix
        self.names = tuple(names)
        self.table = table
        self._emit: Emit | None = None
        self._end: Callable[[], None] | None = None
        self._keys: tuple[str, ...] = ()
        self._passes = 0
        self._limits: dict[str, dict[str, float]] = {}

    def text(self) -> str:
        """The table, as it was when it was asked for."""
        return str(self.table)

    def html(self) -> str:
        """The same."""
        return self.table._repr_html_()

    def snapshot(self) -> dict[str, Any]:
        """What is drawn: the samples come as messages."""
        what = "containers" if self.prefix == "container/" else "control groups"
        return {"title": f"Usage of {what}", "columns": list(SENT)}

    # -- a page looks (the loop's thread)

    def begin(self, emit: Emit) -> Callable[[], None]:
        """What is kept of every group as `history`, then each pass as `samples`."""
        self._emit = emit
        self._keys = ()
        end = self.lab.sampler.subscribe(self._batch, hz=HZ)
        self._history()
        self._look_at_limits()

        def stop() -> None:
            end()
            self._emit = None

        return stop

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """One more page: it gets what is kept."""
        if message["kind"] == "again":
            self._history()
            self._say_limits()

    def _wanted(self, key: str) -> bool:
        return key.startswith(self.prefix) and (not self.names or key.removeprefix(self.prefix) in self.names)

    def _name(self, key: str) -> str:
        return key.removeprefix(self.prefix)

    def _history(self) -> None:
        if self._emit is None:
            return
        keys = [key for key in self._keys or self.lab.sampler.take().keys if self._wanted(key)]
        buffers = []
        for key in keys:
            rows: array[float] = array("d")
            for sample in self.lab.sampler.samples(key):
                rows.extend(sample[at] for at in _AT)
            buffers.append(rows.tobytes())
        self._emit({"kind": "history", "names": [self._name(key) for key in keys]}, buffers)

    def _batch(self, batch: Batch) -> None:
        if self._emit is None:
            return
        if batch.keys is not self._keys:
            self._keys = batch.keys
            self._look_at_limits()
        self._passes += 1
        if self._passes % LIMITS_EVERY == 0:
            self._look_at_limits()
        values: array[float] = array("d")
        names = []
        for index, key in enumerate(batch.keys):
            if self._wanted(key):
                names.append(self._name(key))
                start = index * WIDTH
                values.extend(batch.values[start + at] for at in _AT)
        self._emit({"kind": "samples", "names": names}, [values.tobytes()])

    # -- limits

    def _look_at_limits(self) -> None:
        task = self.lab.loop.asyncio.create_task(asyncio.to_thread(self._read_limits))
        task.add_done_callback(lambda done: self._limits_read(done.result()))

    def _limits_read(self, found: dict[str, dict[str, float]]) -> None:
        if found != self._limits:
            self._limits = found
            self._say_limits()

    def _say_limits(self) -> None:
        if self._emit is not None:
            self._emit({"kind": "limits", "data": self._limits}, ())

    def _read_limits(self) -> dict[str, dict[str, float]]:
        found = {}
        for key in self._keys:
            if self._wanted(key):
                try:
                    found[self._name(key)] = self._limits_of(self._name(key))
                except (NbcontainerError, OSError):
                    continue  # gone meanwhile
        return found

    def _limits_of(self, name: str) -> dict[str, float]:
        if self.prefix == "container/":
            options = self.lab.containers.get(name).options
            limits = {"cpu": 100 * (options.cpus or 0), "memory": options.memory, "pids": options.pids_limit}
            return {kind: float(limit) for kind, limit in limits.items() if limit and limit > 0}
        settings = self.lab.cgroup_tree.get(name).settings()
        told = {
            "cpu": cpu_limit(settings.get("cpu.max", "max")),
            "memory": _number(settings.get("memory.max", "max")),
            "pids": _number(settings.get("pids.max", "max")),
        }
        return {kind: limit for kind, limit in told.items() if limit is not None and math.isfinite(limit)}


def _number(text: str) -> float | None:
    return float(text) if text.isdigit() else None
