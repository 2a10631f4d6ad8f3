"""What COPY and ADD take: items from a tree, with a digest of their content and a tar archive of them.

An item is a file, named after its number, or a directory whose contents are named `NUMBER/PATH`. The digest says what
would change the result: names, kinds, modes, contents, and, from a stage, owners and attributes; not times.
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import stat

from nbcontainer.build.patterns import Ignored, is_pattern
from nbcontainer.build.tree import Tree
from nbcontainer.errors import ImageError, InvalidArgument
from nbcontainer.image.tar import Entry, Kind
from nbcontainer.image.tar_writer import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}
_CHUNK = 1 << 20


class Selection:
    """Items in order. With `keep_owners` files stay whose they are; else they are root's, as Docker has it.

    `where` ends the sentence that says what is not found.
    """

    def __init__(self, tree: Tree | None, keep_owners: bool, where: str = "") -> None:
        self.tree = tree
        self._where = where
        self.keep_owners = keep_owners
        #: For the receiving side: `kind`, `name`, and `archive` where one is to be unpacked.
        self.items: list[dict[str, Any]] = []
        self._roots: list[tuple[str, Ignored | None]] = []
        self._given: dict[int, tuple[Entry, int]] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}

    def add_source(self, source: str, parents: bool, exclude: Sequence[str]) -> None:
        """What a source of COPY means. Raises `InvalidArgument` when it is not there."""
        assert self.tree is not None
        excluded = Ignored(exclude) if exclude else None
        base, path = _pivot(source) if parents else ("", _clean(source))
        if parents:
            self._add_parents(base, path, excluded)
            return
        matched = self.tree.match(path) if is_pattern(path) else [path]
        for one in matched:
            real = self.tree.find(one)
            if real is None:
                raise InvalidArgument(f'"{source}": not found{self._where}')
            name = posixpath.basename(one)
            info = self.tree.stat(real)
            if info is not None and stat.S_ISDIR(info.st_mode):
                self._add("directory", name, real, excluded)
            elif not (excluded is not None and excluded.hides(name)):
                self._add("file", name, real, excluded)

    def _add(self, kind: str, name: str, path: str, excluded: Ignored | None) -> None:
        self.items.append({"kind": kind, "name": name})
        self._roots.append((path, excluded))

    def _add_parents(self, base: str, path: str, excluded: Ignored | None) -> None:
        assert self.tree is not None
        root = self.tree.find(base)
        matched = self.tree.match(posixpath.join(base, path), deep=True) if root is not None else []
        if not matched and not is_pattern(path):
            raise InvalidArgument(f'"{posixpath.join(base, path)}": not found{self._where}')
        self.items.append({"kind": "directory", "name": "", "base": root or "", "paths": matched})
        self._roots.append((root or "", excluded))

    def add_file(self, name: str, fd: int, mode: int, mtime: int = 0, archive: bool = False) -> None:
        """A file that is in no tree: the open file `fd`."""
        entry = Entry(str(len(self.items)), "file", mode, 0, 0, mtime, os.fstat(fd).st_size)
        self._given[len(self.items)] = (entry, fd)
        self.items.append({"kind": "file", "name": name, "archive": archive})
        self._roots.append(("", None))

    def path_of(self, number: int) -> str | None:
        """Where in the tree an item is; None when it is not from there."""
        return None if number in self._given else self._roots[number][0]

    def give(self, number: int, fd: int) -> None:
        """Take the archive `fd` in the place of an item, to be unpacked."""
        entry = Entry(str(number), "file", 0o644, 0, 0, 0, os.fstat(fd).st_size)
        self._given[number] = (entry, fd)
        self.items[number]["archive"] = True

    # -- entries

    def _entries(self) -> Iterator[tuple[Entry, str | int]]:
        """Each entry with its path in the tree, or with its descriptor."""
        linked: dict[tuple[int, int], str] = {}
        for number, (item, (root, excluded)) in enumerate(zip(self.items, self._roots, strict=True)):
            if number in self._given:
                yield self._given[number]
                continue
            for name, path, info in self._paths(number, item, root, excluded):
                entry = self._entry(name, path, info, linked)
                if entry is not None:
                    yield entry, path

    def _paths(
        self, number: int, item: dict[str, Any], root: str, excluded: Ignored | None
    ) -> Iterator[tuple[str, str, os.stat_result]]:
        assert self.tree is not None
        if "paths" in item:
            yield from self._with_parents(number, item, excluded)
            return
        info = self.tree.stat(root)
        if info is None:
            raise ImageError(f"{root} was removed while it was read")
        yield str(number), root, info
        if item["kind"] == "directory":
            for path, info in self.tree.walk(root, excluded):
                yield f"{number}/{path[len(root) :].lstrip('/')}", path, info

    def _with_parents(
        self, number: int, item: dict[str, Any], excluded: Ignored | None
    ) -> Iterator[tuple[str, str, os.stat_result]]:
        assert self.tree is not None
        done: set[str] = set()
        for matched in item["paths"]:
            inner = matched[len(item["base"]) :].lstrip("/")
            parts = inner.split("/") if inner else []
            for count in range(1, len(parts) + 1):
                inner = "/".join(parts[:count])
                real = self.tree.find(posixpath.join(item["base"], inner))
                info = self.tree.stat(real) if real is not None else None
                if real is None or info is None or inner in done:
                    continue
                if excluded is not None and excluded.hides(inner):
                    break
                done.add(inner)
                yield f"{number}/{inner}", real, info
            real = self.tree.find(matched)
            info = self.tree.stat(real) if real is not None else None
            if real is None or info is None or not stat.S_ISDIR(info.st_mode):
                continue
            for path, below in self.tree.walk(real, excluded):
                here = posixpath.join("/".join(parts), path[len(real) :].lstrip("/"))
                if here not in done:
                    done.add(here)
                    yield f"{number}/{here}", path, below

    def _entry(self, name: str, path: str, info: os.stat_result, linked: dict[tuple[int, int], str]) -> Entry | None:
        assert self.tree is not None
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return None  # sockets and devices are no content
        uid, gid = (info.st_uid, info.st_gid) if self.keep_owners else (0, 0)
        entry = Entry(name, kind, stat.S_IMODE(info.st_mode), uid, gid, info.st_mtime_ns)
        if kind == "file":
            entry.size = info.st_size
            if info.st_nlink > 1:
                first = linked.setdefault((info.st_dev, info.st_ino), name)
                if first != name:
                    entry.kind, entry.target = "link", first
        elif kind == "symlink":
            entry.target = self.tree.readlink(path)
            entry.size = len(os.fsencode(entry.target))
        if self.keep_owners and kind in ("file", "directory"):
            entry.attributes = self.tree.attributes(path)
        return entry

    # -- the digest and the archive

    def digest(self) -> str:
        """The sha256 of all that counts, in hexadecimal digits. Reads every file."""
        total = hashlib.sha256()
        for entry, place in self._entries():
            kind, content = entry.kind, entry.target
            if kind in ("file", "link"):
                kind, content = "file", self._content(place, entry)
            owner = [entry.uid, entry.gid] if self.keep_owners else []
            attributes = {name: value.hex() for name, value in sorted(entry.attributes.items())}
            mode = 0 if kind == "symlink" else entry.mode
            total.update(json.dumps([entry.name, kind, mode, owner, content, attributes]).encode() + b"\n")
        for item in self.items:
            total.update(json.dumps([item["kind"], item["name"], item.get("archive", False)]).encode() + b"\n")
        return total.hexdigest()

    def _content(self, place: str | int, entry: Entry) -> str:
        digest = hashlib.sha256()
        fd = self._open(place)
        try:
            at = 0
            while piece := os.pread(fd, _CHUNK, at):
                digest.update(piece)
                at += len(piece)
            if isinstance(place, str):
                self._stamps[place] = _stamp(fd)
        finally:
            if isinstance(place, str):
                os.close(fd)
        return digest.hexdigest()

    def _open(self, place: str | int) -> int:
        if isinstance(place, int):
            return place
        assert self.tree is not None
        return self.tree.open(place)

    def write(self, fd: int) -> None:
        """The items as a tar archive. Raises `ImageError` when a file is no longer what `digest` has read."""
        tar = TarWriter(lambda data: _write(fd, data))
        for entry, place in self._entries():
            if entry.kind != "file":
                tar.add(entry)
                continue
            content = self._open(place)
            try:
                if isinstance(place, str):
                    entry.size = os.fstat(content).st_size
                    if self._stamps and self._stamps.get(place) != _stamp(content):
                        raise ImageError(f"{place} was changed while it was read: build again")
                tar.add(entry, content)
            finally:
                if isinstance(place, str):
                    os.close(content)
        tar.finish()


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _stamp(fd: int) -> tuple[int, int, int]:
    info = os.fstat(fd)
    return info.st_mtime_ns, info.st_size, info.st_ino


def _clean(source: str) -> str:
    """A source's path from the root: what leads out of it leads to it (Dockerfile reference, "COPY", "Source")."""
    return posixpath.normpath("/" + source).lstrip("/")


def _pivot(source: str) -> tuple[str, str]:
    """`a/./b` as the part that is left out and the part that is kept."""
    before, middle, after = source.rpartition("/./")
    return (_clean(before), _clean(after)) if middle else ("", _clean(source))
