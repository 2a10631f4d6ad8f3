"""`%lab topology`: the view of a lab's graph. Nothing polls.

Netlink in every namespace, inotify on their names, and the lab's own events say when to look again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.errors import NbcontainerError
from nbcontainer.network.links import Events
from nbcontainer.view.lab_topology.graph import Graph, difference
from nbcontainer.view.lab_topology.picture import graph_svg
from nbcontainer.view.lab_topology.scan import Scan
from nbcontainer.view.lab_topology.text import graph_text
from nbcontainer.view.view import Emit, View

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

#: Seconds that changes are gathered, so that a hundred containers are one picture.
GATHER = 0.03
#: Seconds between two readings of the counters while somebody looks.
TRAFFIC = 1.0


class LabTopology(View):
    """A lab, as it is now in the text and the picture, and live in a page."""

    bundle: ClassVar[str] = "topology"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._watch: _Watch | None = None
        scan = Scan(lab)
        try:
            self.graph = scan.graph()
        finally:
            scan.close()

    def text(self) -> str:
        """A tree from the lab's host."""
        return graph_text(self.graph)

    def svg(self) -> str:
        """Boxes and lines."""
        return graph_svg(self.graph, self.text())

    def snapshot(self) -> dict[str, Any]:
        """The graph."""
        return self.graph.to_json()

    def begin(self, emit: Emit) -> Callable[[], None]:
        """Changes of the graph as `patch`, and what the links carry as `traffic`."""
        self._watch = _Watch(self, emit)
        return self._watch.end

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """A page asks for nothing."""


class _Watch:
    """What goes on while somebody looks. Begun and ended on the loop's thread; the reading is done beside it."""

    def __init__(self, view: LabTopology, emit: Emit) -> None:
        self.view = view
        self.lab = view.lab
        self._emit = emit
        self._loop = view.lab.loop.asyncio
        self._ended = False
        self._reading = False
        self._again = False
        self._scan: Scan | None = None
        self._events: dict[str, Events] = {}
        self._moved = False
        self._traffic: dict[str, tuple[int, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._ends: list[Callable[[], object]] = [
            view.lab.containers.watch(lambda event: self._soon()),
            view.lab.networks.watch(lambda event: self._soon()),
        ]
        self._task = self._loop.create_task(self._start())

    def _soon(self) -> None:
        """From any thread: something has happened."""
        self.lab.loop.soon(self._changed)

    async def _start(self) -> None:
        self._scan = await asyncio.to_thread(Scan, self.lab)
        sock = await asyncio.to_thread(self.lab.netns.opener.netlink)
        monitor = await asyncio.to_thread(self.lab.netns.monitor, lambda line: self._changed())
        self._ends.append(lambda: self._loop.run_in_executor(None, monitor.stop))
        if self._ended:
            self._close()
            return
        self._events[""] = Events(self._loop, sock, self._changed)
        self._changed()
        self._timer = self._loop.call_later(TRAFFIC, self._meter)

    def _changed(self) -> None:
        if self._ended or self._scan is None:
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._loop.call_later(GATHER, lambda: self._loop.create_task(self._look()))

    async def _look(self) -> None:
        self._again = False
        try:
            if not self._ended and self._scan is not None:
                graph = await asyncio.to_thread(self._scan.graph)
                await self._listen()
                self._say(graph)
        except (NbcontainerError, OSError):
            pass  # the lab has ended, or a container is just going: the next event asks again
        finally:
            self._reading = False
            if self._ended:
                self._close()
            elif self._again:
                self._changed()

    async def _listen(self) -> None:
        """A socket in every namespace with a name, for what happens within it."""
        assert self._scan is not None
        named = self._scan.named
        for gone in [name for name in self._events if name and name not in named]:
            self._events.pop(gone).close()
        for name in named:
            if name not in self._events and not self._ended:
                fd = self.lab.netns.open(name)
                try:
                    sock = await asyncio.to_thread(self.lab.netns.opener.netlink, netns=fd)
                finally:
                    os.close(fd)
                self._events[name] = Events(self._loop, sock, self._changed)

    def _say(self, graph: Graph) -> None:
        change = difference(self.view.graph, graph)
        if change is not None and not self._ended:
            self.view.graph = graph
            self._emit({"kind": "patch", "data": change}, ())

    # -- traffic

    def _meter(self) -> None:
        if not self._ended:
            self._loop.create_task(self._measure())

    async def _measure(self) -> None:
        try:
            if self._scan is not None and not self._reading:
                now = await asyncio.to_thread(self._scan.traffic)
                rates = {
                    edge.id: sum(now[edge.meter]) - sum(self._traffic[edge.meter])
                    for edge in self.view.graph.edges.values()
                    if edge.meter in now and edge.meter in self._traffic
                }
                moving = {name: rate / TRAFFIC for name, rate in rates.items() if rate > 0}
                if (moving or self._moved) and not self._ended:
                    self._emit({"kind": "traffic", "data": moving}, ())
                self._moved = bool(moving)
                self._traffic = now
        except (NbcontainerError, OSError):
            pass
        finally:
            if self._ended:
                self._close()
            else:
                self._timer = self._loop.call_later(TRAFFIC, self._meter)

    # -- the end

    def end(self) -> None:
        """Nothing of it is called any more, and nothing is open."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for step in self._ends:
            step()
        self._ends.clear()
        for events in self._events.values():
            events.close()
        self._events.clear()
        if not self._reading:
            self._close()

    def _close(self) -> None:
        for step in self._ends:
            step()
        self._ends.clear()
        if self._scan is not None:
            scan, self._scan = self._scan, None
            scan.close()
