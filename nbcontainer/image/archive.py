"""Reading `docker save` archives and OCI layouts in one tar file, plain or gzip.

Docker: moby, image/spec/spec.md (manifest.json). OCI image-spec: image-layout.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from nbcontainer.errors import ImageError, InvalidReference
from nbcontainer.image.reference import Reference

#: The largest config, manifest or index that is read.
LARGEST_JSON = 16 << 20


@dataclass(frozen=True)
class Described:
    """An image as an archive describes it: its config, the archive's members that are its layers, its names."""

    config: bytes
    layers: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        """The digest of the config."""
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"


class Archive:
    """An archive, open for reading. Raises `ImageError` for whatever is wrong with it."""

    def __init__(self, path: Path, workspace: Path) -> None:
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise ImageError(f"open {path}: {str(error.strerror).lower()}") from None
        try:
            if self._file.read(2) == b"\x1f\x8b":
                self._file = _inflate(self._file, workspace)
            self._file.seek(0)
            self._tar = tarfile.open(fileobj=self._file, mode="r:")
            self._members = {posixpath.normpath(member.name): member for member in self._tar}
        except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
            self._file.close()
            raise ImageError(f"{path} is not an image archive: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()
        self._file.close()

    def images(self) -> list[Described]:
        """Every image in it."""
        if "manifest.json" in self._members:
            found = self._docker(self._json("manifest.json"))
        elif "index.json" in self._members:
            found = self._oci(self._json("index.json"))
        else:
            raise ImageError("the archive holds no image: it has neither manifest.json nor index.json")
        if not found:
            raise ImageError("the archive holds no image")
        return found

    def member(self, name: str) -> BinaryIO:
        """A member's bytes; links to other members are followed."""
        for _ in range(8):
            found = self._members.get(posixpath.normpath(name))
            if found is None:
                raise ImageError(f'the archive is incomplete: it has no "{name}"')
            if found.issym():
                name = posixpath.join(posixpath.dirname(found.name), found.linkname)
            elif found.islnk():
                name = found.linkname
            elif found.isfile():
                return cast(BinaryIO, self._tar.extractfile(found))
            else:
                break
        raise ImageError(f'"{name}" in the archive is not a file')

    def _bytes(self, name: str) -> bytes:
        data = self.member(name).read(LARGEST_JSON + 1)
        if len(data) > LARGEST_JSON:
            raise ImageError(f'"{name}" in the archive is too large')
        return data

    def _json(self, name: str) -> Any:
        return _parse(self._bytes(name), name)

    def _docker(self, manifest: Any) -> list[Described]:
        found = []
        for entry in _list(manifest, "manifest.json"):
            if not isinstance(entry, dict):
                raise ImageError("manifest.json of the archive is wrong: an entry is no object")
            config = self._bytes(_text(entry.get("Config"), "Config"))
            layers = tuple(_text(name, "Layers") for name in _list(entry.get("Layers") or [], "Layers"))
            names = [_name(_text(tag, "RepoTags")) for tag in _list(entry.get("RepoTags") or [], "RepoTags")]
            found.append(_checked(Described(config, layers, tuple(names))))
        return found

    def _oci(self, index: Any) -> list[Described]:
        found = []
        for entry in _list(index.get("manifests") if isinstance(index, dict) else None, "index.json"):
            manifest = self._json(_blob(entry))
            config = self._bytes(_blob(manifest.get("config")))
            layers = tuple(_blob(layer) for layer in _list(manifest.get("layers"), "layers"))
            annotations = entry.get("annotations") or {}
            name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name")
            names = (_name(name),) if isinstance(name, str) and ":" in name else ()
            found.append(_checked(Described(config, layers, names)))
        return found


def _inflate(file: BinaryIO, workspace: Path) -> BinaryIO:
    """An unnamed copy, unpacked: members are read in whatever order the manifest asks for."""
    file.seek(0)
    plain = workspace / "archive.tar"
    with gzip.GzipFile(fileobj=file) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    opened = plain.open("rb")
    plain.unlink()
    file.close()
    return opened


def _parse(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{name} of the archive is no JSON: {error}") from None


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ImageError(f"the archive is wrong: {what} is no list")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ImageError(f"the archive is wrong: {what} names nothing")
    return value


def _blob(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return "blobs/" + _text(digest, "a digest").replace(":", "/")


def _name(text: str) -> str:
    try:
        return Reference.parse(text).familiar
    except InvalidReference as error:
        raise ImageError(f"the archive is wrong: {error}") from None


def _checked(image: Described) -> Described:
    config = _parse(image.config, "a config")
    rootfs = config.get("rootfs") if isinstance(config, dict) else None
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(image.layers):
        raise ImageError(
            f"the archive is wrong: its manifest names {len(image.layers)} layers, "
            f"its config {len(diff_ids) if isinstance(diff_ids, list) else 'none'}"
        )
    if not all(isinstance(d, str) and d.startswith("sha256:") and len(d) == 71 for d in diff_ids):
        raise ImageError("the archive is wrong: a diff id of its config is no sha256 digest")
    return image
