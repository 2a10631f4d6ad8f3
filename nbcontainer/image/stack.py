"""The layers of an image or a container as one looks at them: what made each, how much is in it, whose a path is."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, overload

from nbcontainer.errors import InvalidArgument


class Entry(NamedTuple):
    """A path in a layer, absolute as a container has it, and its bytes.

    `kind` is "file", "link", "directory" (an empty one) or "removed"; of a container's own layer "added", "changed" or
    "removed", as `diff` says.
    """

    path: str
    kind: str
    size: int


@dataclass(frozen=True)
class Layer:
    """One layer: the digest of its content ("" for what is no archive), the bytes of its files, what made it.

    What is in it is counted when it is asked for; then it is unpacked, if it has not been.
    """

    diff_id: str
    size: int
    created_by: str
    kind: str = "image"
    count: Callable[[], Mapping[str, int]] = field(default=dict, repr=False, compare=False)
    list: Callable[[], Sequence[Entry]] = field(default=tuple, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The first 12 digits of its digest, "writable" for a container's own, "host" for this machine's root."""
        return self.diff_id.removeprefix("sha256:")[:12] or self.kind

    @cached_property
    def contents(self) -> Mapping[str, int]:
        """`files`, `directories`, and how many names of the layers below it `removed`."""
        return self.count()

    @property
    def files(self) -> int | None:
        """How many files, links and pipes are in it; None for this machine's root, which nobody counts."""
        return self.contents.get("files")

    def entries(self) -> Sequence[Entry]:
        """What is in it, sorted by path; nothing of this machine's root."""
        return self.list()


class Stack(Sequence[Layer]):
    """Layers, lowest first. `find` says what each has to do with a path, in the same order."""

    def __init__(self, title: str, layers: Sequence[Layer], find: Callable[[str], Sequence[str]]) -> None:
        self.title = title
        self._layers = tuple(layers)
        self._find = find

    @overload
    def __getitem__(self, index: int) -> Layer: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Layer, ...]: ...

    def __getitem__(self, index: int | slice) -> Layer | tuple[Layer, ...]:
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def where(self, path: str) -> list[str]:
        """For each layer: "seen" when `path` in a container is what this layer has there, "merged" when it is a
        directory of which this layer has a part, "hidden" when a layer above covers it, "removed" when this layer
        takes it away, else "". Raises `InvalidArgument` for what is no absolute path."""
        if not path.startswith("/") or "\0" in path:
            raise InvalidArgument(f"{path!r} is no path in a container: it must begin with /")
        return list(self._find("/" + posixpath.normpath(path).lstrip("/")))

    def source(self, path: str) -> Layer | None:
        """The layer that `path` comes from; None when there is nothing."""
        said = self.where(path)
        return next((layer for layer, word in zip(self, said, strict=True) if word == "seen"), None)

    def __repr__(self) -> str:
        return f"<Stack {self.title}: {len(self)} layers>"
