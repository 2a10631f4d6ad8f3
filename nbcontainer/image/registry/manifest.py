"""Manifests and indexes: read with suspicion, chosen by platform, written.

OCI image-spec, manifest.md, image-index.md, descriptor.md; distribution, manifest-v2-2.md. The platform's matching is
containerd's (platforms/compare.go): an arm variant runs where a later one does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nbcontainer.errors import ImageError, InvalidArgument, RegistryError
from nbcontainer.image.image import architecture

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = (OCI_INDEX, DOCKER_LIST, OCI, DOCKER)
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_OLD = "application/vnd.docker.distribution.manifest.v1"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIGS = (DOCKER_CONFIG, OCI_CONFIG)
_LAYER = re.compile(
    r"application/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.diff\.tar(\.gzip|\.zstd)?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: More layers than an overlay takes.
_MOST_LAYERS = 500
_LARGEST_BLOB = 1 << 42
_ALIASES = {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386",
    "i686": "386",
}  # fmt: skip


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of a blob: its digest, its bytes, its type."""

    digest: str
    size: int
    media_type: str = ""

    @property
    def short(self) -> str:
        """12 digits, by which progress calls it."""
        return self.digest.removeprefix("sha256:")[:12]


@dataclass(frozen=True)
class Platform:
    """OS, architecture and variant."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`linux/amd64`, `linux/arm/v7`, `arm64`. Raises `InvalidArgument`."""
        parts = text.lower().split("/")
        if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[a-z0-9_.-]+", part) for part in parts):
            raise InvalidArgument(
                f'"{text}" is no platform: write it as os/architecture[/variant], such as linux/amd64'
            )
        if len(parts) == 1:
            parts = [parts[0], architecture()] if parts[0] in ("linux", "windows", "darwin") else ["linux", parts[0]]
        os, arch, variant = (*parts, "")[:3]
        variant = variant or {"armhf": "v7", "armel": "v6"}.get(arch, "")
        return cls(os, _ALIASES.get(arch, arch), variant)

    @classmethod
    def here(cls) -> Platform:
        """This machine's."""
        return cls("linux", architecture())

    def score(self, other: Platform) -> int | None:
        """How well an image for `other` fits, the least best; None when it cannot run here."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return None
        mine, theirs = (_version(one, self.architecture) for one in (self.variant, other.variant))
        if self.architecture in ("arm", "amd64"):
            return mine - theirs if theirs <= mine else None
        return abs(mine - theirs) if not self.variant or mine == theirs else None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _version(variant: str, arch: str) -> int:
    otherwise = {"arm": 7, "arm64": 8, "amd64": 1}.get(arch, 0)
    digits = re.fullmatch(r"v(\d{1,2})", variant)
    return int(digits[1]) if digits else otherwise


@dataclass(frozen=True)
class Fetched:
    """A manifest, or, with `platforms` and without `config`, an index."""

    content: bytes
    digest: str
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    platforms: tuple[tuple[Platform | None, Descriptor], ...] = field(default=())

    def choose(self, platform: Platform) -> Descriptor | None:
        """The manifest of an index that fits `platform` best; None when none does."""
        best: tuple[int, Descriptor] | None = None
        for theirs, descriptor in self.platforms:
            score = platform.score(theirs) if theirs is not None else 1000
            if score is not None and (best is None or score < best[0]):
                best = (score, descriptor)
        return best[1] if best else None


def read(content: bytes, digest: str, kind: str, host: str) -> Fetched:
    """What `host` has sent with the Content-Type `kind`. Raises `RegistryError`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        what = "an HTML page" if content.lstrip()[:1] == b"<" else "something that is no JSON"
        raise RegistryError(f"{host} sent {what} for a manifest") from None
    try:
        return _read(_object(document, "it"), content, digest, kind)
    except ImageError as error:
        raise RegistryError(f"{host} sent a wrong manifest: {error}") from None


def _read(document: dict[str, Any], content: bytes, digest: str, kind: str) -> Fetched:
    said = document.get("mediaType")
    media_type = said if isinstance(said, str) and said else kind
    if document.get("schemaVersion") == 1 or media_type.startswith(_OLD):
        raise ImageError("it is of schema version 1, which Docker has given up; push the image anew with a newer tool")
    # One that could be read both ways would be an image to one reader and an index to another (CVE-2021-41190).
    if "manifests" in document and ("layers" in document or "config" in document):
        raise ImageError("it is an index and an image at once")
    if "manifests" in document:
        listed = document["manifests"]
        if not isinstance(listed, list):
            raise ImageError("its manifests are no list")
        platforms = tuple(found for entry in listed if (found := _entry(entry)) is not None)
        return Fetched(content, digest, media_type or OCI_INDEX, platforms=platforms)
    config = _descriptor(document.get("config"))
    if config.media_type not in _CONFIGS:
        raise ImageError(f"it is of a {config.media_type[:100] or 'thing without a type'}, and no image to run")
    layers = document.get("layers")
    if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        raise ImageError("its layers are no list" if not isinstance(layers, list) else f"it has {len(layers)} layers")
    described = tuple(_descriptor(layer) for layer in layers)
    for layer in described:
        if not _LAYER.fullmatch(layer.media_type):
            raise ImageError(f"a layer is of type {layer.media_type[:100]!r}, which is none that can be unpacked")
    return Fetched(content, digest, media_type or OCI, config, described)


def _entry(value: Any) -> tuple[Platform | None, Descriptor] | None:
    """A manifest that an index lists; None for what is no image, such as an attestation."""
    entry = _object(value, "a descriptor")
    given = entry.get("platform")
    platform = None
    if given is not None:
        parts = _object(given, "a platform")
        os, arch, variant = (parts.get(key) or "" for key in ("os", "architecture", "variant"))
        if not all(isinstance(part, str) for part in (os, arch, variant)):
            raise ImageError("a platform is no text")
        if os == "unknown" or arch == "unknown":
            return None
        platform = Platform(os, arch, variant)
    return platform, _descriptor(entry)


def _descriptor(value: Any) -> Descriptor:
    entry = _object(value, "a descriptor")
    digest, size, media_type = entry.get("digest"), entry.get("size"), entry.get("mediaType") or ""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageError(f"a descriptor has no sha256 digest, but {str(digest)[:40]!r}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_BLOB:
        raise ImageError(f"{digest[:19]} has a size of {str(size)[:40]}")
    if not isinstance(media_type, str):
        raise ImageError(f"{digest[:19]} has a type that is no text")
    return Descriptor(digest, size, media_type)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageError(f"{what} is no object")
    return value


def write(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """Docker's manifest of an image, or OCI's if only that has such layers; the same for the same blobs."""
    oci = any(layer.media_type != DOCKER_LAYER for layer in layers)
    kinds = {DOCKER_CONFIG: OCI_CONFIG, DOCKER_LAYER: OCI_LAYER} if oci else {}

    def described(one: Descriptor) -> dict[str, Any]:
        return {"mediaType": kinds.get(one.media_type, one.media_type), "size": one.size, "digest": one.digest}

    document = {
        "schemaVersion": 2,
        "mediaType": OCI if oci else DOCKER,
        "config": described(config),
        "layers": [described(layer) for layer in layers],
    }
    return json.dumps(document, indent=3).encode()  # as Docker's own
