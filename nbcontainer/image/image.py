"""One image: what it is made of and what it says of itself."""

from __future__ import annotations

import hashlib
import platform
from typing import TYPE_CHECKING, Any

from nbcontainer.image.config import diff_ids_of
from nbcontainer.image.overlay import Overlay
from nbcontainer.image.stack import Stack

if TYPE_CHECKING:
    from nbcontainer.image.shelf import Shelf

#: Go's names for architectures, which image configs use.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: Docker's word for a time that nobody has said.
NEVER = "0001-01-01T00:00:00Z"


def architecture() -> str:
    """This machine's, in an image config's words."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


class Image:
    """An image of the store, or `host`. `document` is its whole OCI image config."""

    def __init__(self, owner: Shelf, image_id: str, document: dict[str, Any]) -> None:
        self.owner = owner
        self.id = image_id
        self.document = document

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id.removeprefix("sha256:")[:12]

    @property
    def tags(self) -> list[str]:
        """Its names now, as Docker shows them: `busybox:latest`."""
        return [name for name in self.owner.names_of(self) if "@" not in name]

    @property
    def digests(self) -> list[str]:
        """Its names by digest: `busybox@sha256:…`, which only a registry gives."""
        return [name for name in self.owner.names_of(self) if "@" in name]

    @property
    def config(self) -> dict[str, Any]:
        """What containers are started with: Env, Cmd, Entrypoint, WorkingDir, User, Volumes, …."""
        return self.document.get("config") or {}

    @property
    def created(self) -> str:
        """When it was made, as its config says; "" when it does not."""
        return self.document.get("created") or ""

    @property
    def architecture(self) -> str:
        """amd64, arm64, …."""
        return self.document.get("architecture") or ""

    @property
    def os(self) -> str:
        """linux."""
        return self.document.get("os") or "linux"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The steps that made it, oldest first."""
        return list(self.document.get("history") or [])

    @property
    def diff_ids(self) -> list[str]:
        """The digests of its layers, lowest first."""
        return diff_ids_of(self.document)

    @property
    def chain_ids(self) -> list[str]:
        """For each layer, the digest of it and all below it (OCI image-spec, config.md, "Layer ChainID")."""
        chain: list[str] = []
        for diff_id in self.diff_ids:
            text = f"{chain[-1]} {diff_id}" if chain else ""
            chain.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chain else diff_id)
        return chain

    @property
    def layers(self) -> Stack:
        """Its layers, lowest first."""
        return self.owner.stack(self)

    @property
    def size(self) -> int:
        """Bytes of the files of all its layers."""
        return sum(layer.size for layer in self.layers)

    def overlays(self) -> tuple[Overlay, ...]:
        """What to mount for a container of it; layers this lab has not unpacked yet are unpacked now.

        Raises `ImageError`, and `NotFound` when it was removed meanwhile.
        """
        return self.owner.overlays(self)

    def inspect(self) -> dict[str, Any]:
        """Docker's JSON."""
        names, directories = self.owner.names_of(self), self.owner.directories(self)
        return {
            "Id": self.id,
            "RepoTags": [name for name in names if "@" not in name],
            "RepoDigests": [name for name in names if "@" in name],
            "Parent": "",
            "Comment": (self.history[-1].get("comment") or "") if self.history else "",
            "Created": self.created or NEVER,
            "DockerVersion": self.document.get("docker_version") or "",
            "Author": self.document.get("author") or "",
            "Config": self.config,
            "Architecture": self.architecture,
            "Variant": self.document.get("variant") or "",
            "Os": self.os,
            "Size": self.size,
            "VirtualSize": self.size,
            "GraphDriver": {
                "Name": "overlay",
                "Data": {"LowerDir": ":".join(directories[1:]), "UpperDir": "".join(directories[:1])},
            },
            "RootFS": {"Type": "layers", "Layers": self.diff_ids},
            "Metadata": {"LastTagTime": NEVER},
        }

    def __repr__(self) -> str:
        tags = self.tags
        return f"<Image {tags[0] if tags else '<none>'} {self.short_id}>"
