"""Whether the store is whole: every digest recomputed, every unpacked layer compared with its archive.

What is wrong can be put right as far as what is left allows: an unpacked layer is unpacked anew; a damaged blob goes,
so that the next load or pull brings it again, unless it can be made once more from the unpacked layer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import ImageError
from nbcontainer.image.config import diff_ids_of
from nbcontainer.image.content import Content
from nbcontainer.image.layers import Layers
from nbcontainer.image.store import Store, StoredLayer, digest
from nbcontainer.image.tar import CHUNK


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be, the names or ids of the images it is in, and what was done about it."""

    what: str
    wrong: str
    images: tuple[str, ...] = ()
    remedy: str = ""
    repaired: bool = False

    def __str__(self) -> str:
        used = f" (in {', '.join(self.images)})" if self.images else ""
        return f"{self.what}: {self.wrong}{used}{f'; {self.remedy}' if self.remedy else ''}"


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found."""

    images: int
    layers: int
    size: int
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(problem.repaired for problem in self.problems)


def fsck(store: Store, layers: Layers, repair: bool, in_use: Callable[[str], bool]) -> Report:
    """Look at all of it; `in_use` says whether containers have a layer mounted, which then stays as it is."""
    return _Check(store, layers, repair, in_use).run()


class _Check:
    def __init__(self, store: Store, layers: Layers, repair: bool, in_use: Callable[[str], bool]) -> None:
        self._store = store
        self._layers = layers
        self._repair = repair
        self._in_use = in_use
        self._problems: list[Problem] = []
        #: The layers of every image, lowest first, by the image's name or id.
        self._images: dict[str, list[str]] = {}

    def run(self) -> Report:
        size = 0
        ids = self._store.ids()
        for image_id in ids:
            self._image(image_id)
        layers = self._store.stored_layers()
        for layer in layers:
            size += self._layer(layer)
        strays = self._store.unused()
        if strays:
            if self._repair:
                self._store.collect()
                self._layers.sweep()
            for name in strays:
                self._found(name, "no image needs it", remedy="removed" if self._repair else "", repaired=self._repair)
        return Report(len(ids), len(layers), size, tuple(self._problems))

    def _found(self, what: str, wrong: str, diff_id: str = "", remedy: str = "", repaired: bool = False) -> None:
        images = tuple(sorted(name for name, diff_ids in self._images.items() if diff_id and diff_id in diff_ids))
        self._problems.append(Problem(what, wrong, images, remedy, repaired))

    def _image(self, image_id: str) -> None:
        config = self._store.config(image_id)
        if config is None:
            return  # removed meanwhile
        name = next(iter(self._store.names_of(image_id)), image_id[7:19])
        if digest(config.encode()) != image_id:
            if self._repair:
                self._store.delete(image_id)
            self._found(f"image {name}", "its config is damaged", remedy=_again(self._repair), repaired=self._repair)
            return
        self._images[name] = diff_ids_of(json.loads(config))
        for diff_id in self._images[name]:
            if self._store.layer(diff_id) is None:
                self._found(f"layer {diff_id[7:19]}", "nothing is known of it", diff_id, "load or pull the image again")

    def _layer(self, layer: StoredLayer) -> int:
        """Look at a layer; bytes read."""
        blob = self._store.blob(layer.blob)
        wrong = _wrong(layer, blob)
        if wrong:
            made = self._repair and self._made_again(layer)
            if self._repair and not made:
                blob.unlink(missing_ok=True)
            remedy = "made again from the unpacked layer" if made else "load or pull the image again"
            self._found(f"blob {layer.blob[7:19]}", wrong, layer.diff_id, remedy, bool(made))
            return 0
        if self._layers.path(layer.diff_id).is_dir():
            busy = self._in_use(layer.diff_id)
            for different in self._layers.verify(layer.diff_id, blob, self._repair and not busy):
                remedy = "unpacked again" if self._repair and not busy else "a container uses it" if busy else ""
                self._found(f"layer {layer.diff_id[7:19]}", different, layer.diff_id, remedy, self._repair and not busy)
        return blob.stat().st_size

    def _made_again(self, layer: StoredLayer) -> bool:
        """Whether the unpacked layer gives the very archive that was lost, as one that was committed here does."""
        if layer.blob != layer.diff_id:
            return False
        for diff_ids in self._images.values():
            if layer.diff_id not in diff_ids:
                continue
            below = diff_ids[: diff_ids.index(layer.diff_id)]
            with self._store.workspace() as workspace:
                file = workspace / "layer"
                if self._layers.pack(layer.diff_id, below, file) == layer.diff_id:
                    self._store.add([], [layer], {layer.blob: file})
                    return True
        return False


def _again(repaired: bool) -> str:
    return "removed: load or pull it again" if repaired else "load or pull it again"


def _wrong(layer: StoredLayer, blob: Path) -> str:
    """What is wrong with a blob; "" when it is whole."""
    try:
        with blob.open("rb", buffering=0) as file:
            found = hashlib.sha256()
            while piece := file.read(CHUNK):
                found.update(piece)
            if f"sha256:{found.hexdigest()}" != layer.blob:
                return "its content is not what its name says"
            if layer.blob != layer.diff_id:
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                if Content(file.read).finish() != layer.diff_id:
                    return f"it is not the layer {layer.diff_id[7:19]}"
    except FileNotFoundError:
        return "it is missing"
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""
