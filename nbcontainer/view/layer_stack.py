"""`%image layers` and `%container layers` in a page: what is in each layer, whose a path is, and, while a container
runs, what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbcontainer.errors import NbcontainerError
from nbcontainer.lab import loop
from nbcontainer.view import layers, words
from nbcontainer.view.view import Emit, View

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.image.stack import Entry, Layer, Stack

#: Seconds between two looks at what a container writes, which the kernel tells nobody; entries of a layer that are
#: shown.
EVERY, MOST = 1.0, 2000


class LayerStack(View):
    """A stack of layers; with `container`, the topmost one follows what it writes."""

    bundle: ClassVar[str] = "layers"

    def __init__(self, stack: Stack, container: Container | None = None, table: layers.Layers | None = None,
                 path: str = "") -> None:  # fmt: skip
        self.stack = stack
        self.container = container
        self.table = table or layers.table(stack)
        self.path = path
        self._loop = loop.shared()
        self._emit: Emit | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: The layers that a page has unfolded, topmost first, and what was said last.
        self._open: set[int] = set()
        self._said: dict[str, Any] = {}

    # -- the three forms

    def text(self) -> str:
        """The table, as it was when it was asked for."""
        return str(self.table)

    def html(self) -> str:
        """The same, as slabs."""
        return self.table._repr_html_()

    def snapshot(self) -> dict[str, Any]:
        """The layers, topmost first."""
        found = list(self.stack)[::-1]
        return {
            "title": self.stack.title,
            "path": self.path,
            "layers": [_layer(one, max(layer.size for layer in found) or 1) for one in found],
        }

    # -- a page looks (the loop's thread)

    def begin(self, emit: Emit) -> Callable[[], None]:
        """New layers, contents and answers."""
        self._emit = emit
        self._said = {}
        end = self.container.owner.watch(self._happened) if self.container is not None else lambda: None
        self._look()

        def stop() -> None:
            self._emit = None
            self._open.clear()
            end()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return stop

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """A layer is unfolded or folded, or a path is asked for."""
        kind = message["kind"]
        if kind == "list":
            self._open.add(int(message["layer"]))
            self._said.pop(f"list {message['layer']}", None)
        elif kind == "fold":
            self._open.discard(int(message["layer"]))
        elif kind == "find":
            self.path = str(message["path"])
            self._said.pop("where", None)
        elif kind == "again":
            self._said = {}
        self._look()

    def _happened(self, event: Any) -> None:
        self._loop.soon(self._look)

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._emit is not None:
            self._loop.asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            found = await asyncio.to_thread(self._read, sorted(self._open), self.path)
        except (NbcontainerError, OSError):
            found = []  # the lab has ended, or the container is just going
        if self._emit is None:
            return
        for key, message in found:
            if self._said.get(key) != message:
                self._said[key] = message
                self._emit(message, ())
        if self._timer is None and self.container is not None and self.container.status == "running":
            self._timer = self._loop.asyncio.call_later(EVERY, self._look)

    def _read(self, unfolded: Sequence[int], path: str) -> list[tuple[str, dict[str, Any]]]:
        if self.container is not None:
            self.stack = self.container.layers
        told: list[tuple[str, dict[str, Any]]] = [("layers", {"kind": "layers", "data": self.snapshot()})]
        for index in unfolded:
            if 0 <= index < len(self.stack):
                entries = self.stack[len(self.stack) - 1 - index].entries()
                rows = [[one.path, one.kind, _size(one)] for one in entries[:MOST]]
                more = max(0, len(entries) - MOST)
                told.append((f"list {index}", {"kind": "list", "layer": index, "data": rows, "more": more}))
        told.append(("where", {"kind": "where", "path": path, **self._where(path)}))
        return told

    def _where(self, path: str) -> dict[str, Any]:
        try:
            return {"said": self.stack.where(path)[::-1] if path else [], "error": ""}
        except NbcontainerError as error:
            return {"said": [], "error": str(error)}


def _size(entry: Entry) -> str:
    return words.size(entry.size) if entry.size or entry.kind == "file" else ""


def _layer(layer: Layer, largest: int) -> dict[str, Any]:
    counted = layer.contents
    return {
        "name": layer.name,
        "digest": layer.diff_id,
        "kind": layer.kind,
        "by": layer.created_by,
        "files": counted.get("files"),
        "removed": counted.get("removed", 0),
        "size": "" if layer.kind == "host" else words.size(layer.size),
        "share": round(layer.size / largest, 4),
    }
