"""Reads `docker save` archives and OCI layouts in a tar file, plain, gzip or zstd, as they come, once.

Docker: moby, image/spec/spec.md, "Combined Image JSON + Filesystem Changeset Format" (manifest.json).
OCI image-spec: image-layout.md, image-index.md, manifest.md.
"""

from __future__ import annotations

import json
import posixpath
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbcontainer.errors import ImageError, InvalidReference
from nbcontainer.image.arriving import Arriving
from nbcontainer.image.config import checked, diff_ids_of
from nbcontainer.image.content import MAGIC, Content, compression
from nbcontainer.image.image import architecture
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.store import NewImage
from nbcontainer.image.tar import Tar

#: The largest config, manifest or index that is read, and the most files an archive may have.
LARGEST_JSON = 16 << 20
MOST_FILES = 20_000
#: The most layers that are unpacked before anybody knows whether they are of an image.
MOST_LAYERS = 500
_LINKS = 8
#: Seconds between two reports of how far a layer is.
_EVERY = 0.1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


#: The diff_id of a layer, and the bytes of its files.
Unpacked = tuple[str, int]
#: Begins to unpack the layer in a file that is still arriving.
Unpack = Callable[[Arriving], "Future[Unpacked]"]


@dataclass(frozen=True)
class Member:
    """A file of the archive, copied to `path`; what its layer is, if it was unpacked on its way there. `name` is what
    progress calls it."""

    path: Path
    digest: str
    size: int
    name: str = ""
    layer: Future[Unpacked] | None = None


@dataclass(frozen=True)
class Described:
    """An image as an archive has it: what to record, and its layers' files, lowest first."""

    image: NewImage
    layers: tuple[Member, ...]


class Archive:
    """What `read(n)` gives, its files copied into `workspace`. Raises `ImageError` for whatever is wrong with it.

    What looks like a layer is given to `unpack` as it comes, before anybody knows whose layer it is.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        workspace: Path,
        unpack: Unpack | None = None,
        progress: Progress = nobody,
    ) -> None:
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        unpacked = 0
        content = Content(read, digest=False)
        archive = Tar(content.read)
        for entry in archive:
            name = posixpath.normpath(entry.name)
            if entry.kind == "symlink":
                self._links[name] = posixpath.join(posixpath.dirname(name), entry.target)
            elif entry.kind == "link":
                self._links[name] = entry.target
            elif entry.kind == "file":
                self._links.pop(name, None)
                path = workspace / str(len(self._members))
                copied = _Copied(_short(name), entry.size, progress)
                member = _copy(archive, path, copied, unpack if unpacked < MOST_LAYERS else None)
                unpacked += member.layer is not None
                self._members[name] = member
            if len(self._members) + len(self._links) > MOST_FILES:
                raise ImageError(f"the archive has more than {MOST_FILES} files: it is no image archive")
        content.drain()

    def images(self) -> list[Described]:
        """Every image in it, in its order."""
        if "manifest.json" in self._members:
            found = [self._docker(entry) for entry in _list(self._json("manifest.json"), "manifest.json")]
        elif "index.json" in self._members:
            found = self._index(self._json("index.json"), None)
        else:
            raise ImageError("the archive holds no image: it has neither manifest.json nor index.json")
        if not found:
            raise ImageError("the archive holds no image for this machine")
        return found

    # -- its files

    def _member(self, name: str) -> Member:
        found = posixpath.normpath(name)
        for _ in range(_LINKS):
            if found not in self._links:
                break
            found = posixpath.normpath(self._links[found])
        if found not in self._members:
            raise ImageError(f'the archive is incomplete: it has no "{name}"')
        return self._members[found]

    def _blob(self, descriptor: Any) -> Member:
        """The file that an OCI descriptor means: descriptor.md, digest and size."""
        wanted = _object(descriptor, "a descriptor")
        digest = wanted.get("digest")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ImageError("the archive is wrong: a descriptor has no sha256 digest")
        member = self._member("blobs/" + digest.replace(":", "/"))
        _expect(member, digest)
        if wanted.get("size") != member.size:
            raise ImageError(f"the archive is wrong: {digest[:19]} has {member.size} bytes, not {wanted.get('size')}")
        return member

    def _json(self, name: str) -> Any:
        return _parsed(self._member(name), name)

    # -- Docker's manifest.json

    def _docker(self, entry: Any) -> Described:
        manifest = _object(entry, "an entry of manifest.json")
        name = _text(manifest.get("Config"), "Config")
        config = self._member(name)
        # The name is the digest, in both of the forms that Docker has written.
        named = re.fullmatch(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?", name)
        if named:
            _expect(config, f"sha256:{named[1]}")
        layers = []
        for layer in _list(manifest.get("Layers") or [], "Layers"):
            layers.append(self._member(_text(layer, "Layers")))
            if layer.startswith("blobs/sha256/"):
                _expect(layers[-1], f"sha256:{posixpath.basename(layer)}")
        tags = [_text(tag, "RepoTags") for tag in _list(manifest.get("RepoTags") or [], "RepoTags")]
        return _described(config, layers, tags)

    # -- OCI's index.json

    def _index(self, index: Any, name: str | None, depth: int = 0) -> list[Described]:
        """The images of an index; of those that say so, only the ones for this machine."""
        found = []
        for entry in _list(_object(index, "an index").get("manifests"), "manifests"):
            descriptor = _object(entry, "a descriptor")
            platform = _object(descriptor.get("platform") or {}, "a platform")
            if platform and (platform.get("os"), platform.get("architecture")) != ("linux", architecture()):
                continue
            manifest = _object(_parsed(self._blob(descriptor), "a manifest"), "a manifest")
            known = name or _name_in(_object(descriptor.get("annotations") or {}, "annotations"))
            if "manifests" in manifest and depth < _LINKS:
                found += self._index(manifest, known, depth + 1)
                continue
            layers = [self._blob(layer) for layer in _list(manifest.get("layers"), "layers")]
            found.append(_described(self._blob(manifest.get("config")), layers, [known] if known else []))
        return found


class _Copied:
    """Tells how far a layer of `size` bytes is that is being copied."""

    def __init__(self, name: str, size: int, progress: Progress) -> None:
        self.name = name
        self._size = size
        self._progress = progress
        self._told = 0.0

    def tell(self, current: int) -> None:
        """So many bytes of it; now and then somebody hears of it."""
        now = time.monotonic()
        if current >= self._size or now > self._told + _EVERY:
            self._told = now
            self._progress(Event("Loading layer", self.name, current, self._size))


def _short(name: str) -> str:
    """What progress calls a layer: the first 12 digits of its digest, or of the directory it is in."""
    directory, _, file = name.rpartition("/")
    return (file if directory == "blobs/sha256" else directory or file)[:12]


def _copy(archive: Tar, path: Path, copied: _Copied, unpack: Unpack | None) -> Member:
    file, layer = Arriving(path), None
    try:
        for offset, piece in archive.pieces():
            if offset != file.size:
                raise ImageError("the archive has a sparse file: it is no image archive")
            file.write(piece)
            if offset == 0 and unpack is not None and _looks_like_a_layer(piece):
                layer = unpack(file)
            if layer is not None:
                copied.tell(file.size)
        file.finish()
    except BaseException as error:
        file.fail(error)
        raise
    finally:
        file.close()
    return Member(path, file.digest, file.size, copied.name, layer)


def _looks_like_a_layer(start: memoryview) -> bool:
    """Whether it begins as a tar archive does, or something compressed."""
    return compression(bytes(start[:MAGIC])) is not None or bytes(start[257:262]) == b"ustar"


def _described(config: Member, layers: list[Member], names: list[str]) -> Described:
    document = checked(_parsed(config, "a config"))
    diff_ids = diff_ids_of(document)
    if len(diff_ids) != len(layers):
        raise ImageError(f"the archive is wrong: its manifest names {len(layers)} layers, its config {len(diff_ids)}")
    try:
        references = [Reference.parse(name) for name in names]
    except InvalidReference as error:
        raise ImageError(f"the archive is wrong: {error}") from None
    familiar = dict.fromkeys(reference.familiar for reference in references)
    return Described(NewImage(config.path.read_bytes(), tuple(diff_ids), tuple(familiar)), tuple(layers))


def _expect(member: Member, digest: str) -> None:
    if member.digest != digest:
        raise ImageError(f"the archive is wrong: what it calls {digest[:19]} is {member.digest[:19]}")


def _name_in(annotations: dict[str, Any]) -> str | None:
    """The image's name, where there is a whole one: some tools write the bare tag."""
    found = (annotations.get(key) for key in _NAMES)
    return next((name for name in found if isinstance(name, str) and (":" in name or "/" in name)), None)


def _parsed(member: Member, what: str) -> Any:
    if member.size > LARGEST_JSON:
        raise ImageError(f"the archive is wrong: {what} is larger than {LARGEST_JSON >> 20} MiB")
    try:
        return json.loads(member.path.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise ImageError(f"the archive is wrong: {what} is no JSON ({error})") from None


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ImageError(f"the archive is wrong: {what} is no list")
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageError(f"the archive is wrong: {what} is no object")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ImageError(f"the archive is wrong: {what} names nothing")
    return value
