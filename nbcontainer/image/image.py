"""One image: what it is made of and what it says of itself."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbcontainer.image.overlay import Overlay

if TYPE_CHECKING:
    from nbcontainer.image.images import Images

#: Go's names for architectures, which image configs use.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's, in an image config's words."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Layer:
    """One layer: its uncompressed digest, its size in the store in bytes, the command that made it."""

    diff_id: str
    size: int
    created_by: str


class Image:
    """An image of the store, or `host`. `document` is its whole OCI image config."""

    def __init__(self, owner: Images, image_id: str, document: dict[str, Any], tags: list[str]) -> None:
        self.owner = owner
        self.id = image_id
        self.document = document
        self.tags = tags

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id.removeprefix("sha256:")[:12]

    @property
    def config(self) -> dict[str, Any]:
        """What containers are started with: Env, Cmd, Entrypoint, WorkingDir, User, Volumes, …."""
        return self.document.get("config") or {}

    @property
    def created(self) -> str:
        """When it was made, as its config says."""
        return self.document.get("created") or "0001-01-01T00:00:00Z"

    @property
    def architecture(self) -> str:
        """amd64, arm64, …."""
        return str(self.document.get("architecture") or "")

    @property
    def history(self) -> list[dict[str, Any]]:
        """The steps that made it, oldest first."""
        return list(self.document.get("history") or [])

    @property
    def diff_ids(self) -> list[str]:
        """The digests of its layers, lowest first."""
        return list((self.document.get("rootfs") or {}).get("diff_ids") or [])

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Its layers, lowest first."""
        made_by = [h.get("created_by", "") for h in self.history if not h.get("empty_layer")]
        made_by += [""] * (len(self.diff_ids) - len(made_by))
        sizes = (self.owner.layer_size(diff_id) for diff_id in self.diff_ids)
        return tuple(Layer(d, size, by) for d, size, by in zip(self.diff_ids, sizes, made_by, strict=False))

    @property
    def size(self) -> int:
        """Bytes of all its layers."""
        return sum(layer.size for layer in self.layers)

    def overlays(self) -> tuple[Overlay, ...]:
        """What to mount for a container of it; layers this lab has not unpacked yet are unpacked now."""
        return self.owner.overlays(self)

    def inspect(self) -> dict[str, Any]:
        """Docker's JSON."""
        return {
            "Id": self.id,
            "RepoTags": list(self.tags),
            "RepoDigests": [],
            "Parent": "",
            "Comment": self.history[-1].get("comment", "") if self.history else "",
            "Created": self.created,
            "Author": self.document.get("author", ""),
            "Config": self.config,
            "Architecture": self.architecture,
            "Os": self.document.get("os", "linux"),
            "Size": self.size,
            "RootFS": {"Type": "layers", "Layers": self.diff_ids},
        }

    def __repr__(self) -> str:
        return f"<Image {self.tags[0] if self.tags else '<none>'} {self.short_id}>"
