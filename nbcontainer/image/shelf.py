"""The images that there are: found by name or id, and what of them this lab has unpacked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from nbcontainer.errors import Conflict, ImageError, NotFound
from nbcontainer.image import contents, host
from nbcontainer.image.image import Image
from nbcontainer.image.layers import Layers
from nbcontainer.image.overlay import Overlay
from nbcontainer.image.reference import Reference
from nbcontainer.image.stack import Entry, Layer, Stack
from nbcontainer.image.steps import Steps
from nbcontainer.image.store import Store, digest
from nbcontainer.lab.handle import Handle

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")


class Shelf:
    """The store as one lab sees it."""

    def __init__(self, lab: Handle) -> None:
        self._lab = lab
        self._store = Store(lab.home.images)
        self._layers = Layers(lab, self._store)
        self._known: dict[str, Image] = {}
        self._overlays: dict[str, tuple[Overlay, ...]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._lock = threading.RLock()
        #: What the steps of builds have made.
        self.steps = Steps(lab, self._store, self._layers)
        #: Given an image's id, the short ids of the containers made from it. The containers' room sets it.
        self.users: Callable[[str], Sequence[str]] = lambda image_id: ()
        if self._store.strays():
            self._store.collect()
            self._layers.sweep()

    # -- find

    def get(self, reference: str) -> Image:
        """By name, digest, id or unique beginning of an id. Raises `NotFound`, `InvalidReference`, `Conflict`."""
        if reference in (host.NAME, host.TAG):
            return self._host
        return self._image(self._resolve(reference)[0])

    def list(self) -> list[Image]:
        """Every image, newest first; those of the same time, and those of no known time, by name."""
        images = [self._host]
        for image_id in self._store.ids():
            try:
                images.append(self._image(image_id))
            except NotFound:
                continue  # removed meanwhile
        images.sort(key=lambda image: image.tags or [image.id])
        images.sort(key=lambda image: image.created, reverse=True)
        return images

    def names_of(self, image: Image) -> Sequence[str]:
        """All its names, those by digest too."""
        return [host.TAG] if image is self._host else self._store.names_of(image.id)

    def stack(self, image: Image) -> Stack:
        """The layers of `image`."""
        made_by = [step.get("created_by") or "" for step in image.history if not step.get("empty_layer")]
        # A history may be missing, or begin with the first step that was taken here.
        made_by = [""] * (len(image.diff_ids) - len(made_by)) + made_by
        layers = [self._layer(diff_id, by) for diff_id, by in zip(image.diff_ids, made_by, strict=False)]
        if self.lies_on_host(image):
            layers.insert(0, Layer("", 0, host.WHAT, "host"))
        return Stack(str(next(iter(image.tags), image.short_id)), layers, lambda path: self.where(image, path))

    def _layer(self, diff_id: str, created_by: str) -> Layer:
        stored = self._store.layer(diff_id)
        return Layer(
            diff_id,
            stored.size if stored else 0,
            created_by,
            count=lambda: self._count(diff_id),
            list=lambda: self._listing(diff_id),
        )

    def _count(self, diff_id: str) -> dict[str, int]:
        if diff_id not in self._counts:
            self._unpack(diff_id)
            self._counts[diff_id] = self._lab.call(contents.count, [str(self._layers.path(diff_id))])
        return self._counts[diff_id]

    def _listing(self, diff_id: str) -> Sequence[Entry]:
        self._unpack(diff_id)
        return [Entry(*one) for one in self._lab.call(contents.listing, [str(self._layers.path(diff_id))])]

    def where(self, image: Image, path: str, above: Sequence[tuple[str, str]] = ()) -> Sequence[str]:
        """What the layers of `image`, lowest first, have to do with `path`: `Stack.where`.

        `above` are directories, topmost first, that lie on top of them, each with the path in it; theirs come last.
        """
        self.overlays(image)
        # A layer that comes twice is seen where it comes last.
        unique = list(dict.fromkeys(reversed(image.diff_ids)))
        places = [*above, *((str(self._layers.path(diff_id)), path) for diff_id in unique)]
        on_host = self.lies_on_host(image)
        below = host.places(host.overlays(self._lab), path) if on_host else []
        said: list[str] = self._lab.call(contents.where, [*places, *below])
        by_layer = dict(zip(unique, said[len(above) : len(places)], strict=True))
        found = [by_layer.pop(diff_id, "") for diff_id in reversed(image.diff_ids)][::-1]
        base = [next(filter(None, said[len(places) :]), "")] if on_host else []
        return [*base, *found, *reversed(said[: len(above)])]

    def directories(self, image: Image) -> Sequence[str]:
        """Where its layers are unpacked, or would be, topmost first."""
        return [str(self._layers.path(diff_id)) for diff_id in dict.fromkeys(reversed(image.diff_ids))]

    def lies_on_host(self, image: Image) -> bool:
        """Whether what is lowest is this machine's root."""
        return image is self._host or host.is_base_of(image.document)

    @cached_property
    def _host(self) -> Image:
        document = host.document()
        return Image(self, host.image_id(document), document)

    def _image(self, image_id: str) -> Image:
        if image_id == self._host.id:
            return self._host
        if image_id not in self._known:
            config = self._store.config(image_id)
            if config is None:
                raise NotFound(f"No such image: {image_id}")
            self._known[image_id] = Image(self, image_id, json.loads(config))
        return self._known[image_id]

    def _resolve(self, reference: str) -> tuple[str, str | None]:
        """The id of the image meant, and the name it was meant by, if it was: Docker looks for a name first."""
        name = None
        if not re.fullmatch(r"sha256:.*|[0-9a-f]{64}", reference):
            name = Reference.parse(reference).familiar
            found = self._store.image_of(name)
            if found is not None:
                return found, name
        if _ID.fullmatch(reference):
            start = f"sha256:{reference.removeprefix('sha256:')}"
            ids = [*self._store.ids(start), *([self._host.id] if self._host.id.startswith(start) else [])]
            if len(ids) > 1:
                raise Conflict(f"multiple IDs found with provided prefix: {reference}")
            if ids:
                return ids[0], None
        raise NotFound(f"No such image: {reference}")

    # -- use

    def overlays(self, image: Image) -> tuple[Overlay, ...]:
        """The lower directories of `image`, unpacked for this lab's ids. Raises `ImageError`, `NotFound`."""
        with self._lock:
            found = self._overlays.get(image.id)
            if found is None:
                found = self._overlays[image.id] = self.stacked(image)
            return found

    def stacked(self, image: Image) -> tuple[Overlay, ...]:
        """The same, looked for anew."""
        if image is self._host:
            return host.overlays(self._lab)
        if self.lies_on_host(image):
            return host.below(self._lab, self._stack(image))
        return (self._stack(image),)

    def unfinished(self, document: dict[str, Any]) -> Image:
        """What a build has so far, as an image that is in no store: containers can be made of it."""
        return _Unfinished(self, digest(json.dumps(document, sort_keys=True).encode()), document)

    def _stack(self, image: Image) -> Overlay:
        # A layer that comes twice is the same both times: the lower one could never be seen, and overlayfs
        # refuses to have one directory twice.
        diff_ids = list(dict.fromkeys(reversed(image.diff_ids)))
        for diff_id in diff_ids:
            self._layers.hold(diff_id)
        if not isinstance(image, _Unfinished) and self._store.config(image.id) is None:
            self._layers.release(diff_ids)
            raise NotFound(f"No such image: {image.id}")
        for diff_id in diff_ids:
            self._unpack(diff_id)
        return Overlay("/", tuple(str(self._layers.path(diff_id)) for diff_id in diff_ids))

    def _unpack(self, diff_id: str) -> None:
        """See to it that a layer is unpacked, and stays so."""
        self._layers.hold(diff_id)
        if not self._layers.path(diff_id).is_dir():
            layer = self._store.layer(diff_id)
            if layer is None:
                raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again")
            self._layers.unpack(diff_id, self._store.blob(layer.blob))


class _Unfinished(Image):
    """Its layers are there for as long as steps speak of them."""

    def overlays(self) -> tuple[Overlay, ...]:
        return self.owner.stacked(self)
