"""The images of a user, as one lab sees them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from nbcontainer.errors import Conflict, ImageError, InvalidArgument, InvalidReference, NotFound
from nbcontainer.image import bootstrap, commit, diff, host
from nbcontainer.image.archive import Archive, Described, Member
from nbcontainer.image.config import diff_ids_of
from nbcontainer.image.image import Image as Image
from nbcontainer.image.layers import Layers
from nbcontainer.image.overlay import Overlay
from nbcontainer.image.reference import Reference
from nbcontainer.image.store import NewImage, Store, StoredLayer, digest
from nbcontainer.lab.handle import Handle

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")


class Images:
    """The store, and what of it this lab has unpacked."""

    def __init__(self, lab: Handle) -> None:
        self._lab = lab
        self._store = Store(lab.home.images)
        self._layers = Layers(lab, self._store)
        self._known: dict[str, Image] = {}
        self._overlays: dict[str, tuple[Overlay, ...]] = {}
        self._lock = threading.RLock()
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

    def layer_size(self, diff_id: str) -> int:
        """Bytes of a layer's files."""
        layer = self._store.layer(diff_id)
        return layer.size if layer is not None else 0

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

    # -- names

    def tag(self, source: str, target: str) -> None:
        """Give the image `source` the name `target` too."""
        image = self.get(source)
        if image is self._host:
            raise InvalidArgument("the image host cannot be given other names: it is this machine's root")
        reference = Reference.parse(target)
        if reference.digest:
            raise InvalidReference("refusing to create a tag with a digest reference")
        _refuse_host([reference.familiar])
        if not self._store.tag(reference.familiar, image.id):
            raise NotFound(f"No such image: {source}")

    def remove(self, reference: str, force: bool = False) -> Sequence[str]:
        """`docker rmi`: take the name away, and the image with its last one; what was done, a line each.

        Raises `NotFound`, and `Conflict` when a container of this lab uses it or it has other names. With `force`
        names go all the same; an image in use only loses its names. Layers that another kernel is using stay on
        disk until it ends.
        """
        image_id, name = (self._host.id, None) if reference in (host.NAME, host.TAG) else self._resolve(reference)
        image = self._image(image_id)
        if image is self._host:
            raise Conflict("the image host cannot be removed: it is this machine's root, not in the store")
        names = list(self.names_of(image))
        others = [other for other in names if other != name]
        users = self.users(image.id)
        if name is not None and [other for other in others if "@" not in other]:
            self._store.untag([name])
            return [f"Untagged: {name}"]
        if name is None and len({Reference.parse(other).repository for other in names}) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (must be forced) - "
                "image is referenced in multiple repositories"
            )
        if users and not (name is not None and force):
            if name is not None:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{reference}" (must force) - '
                    f"container {users[0]} is using its referenced image {image.short_id}"
                )
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (cannot be forced) - "
                f"image is being used by container {users[0]}"
            )
        lines = [f"Untagged: {other}" for other in names]
        if users:
            self._store.untag(names)
            return lines
        return [*lines, *self._delete(image)]

    def _delete(self, image: Image) -> Sequence[str]:
        with self._lock:
            self._known.pop(image.id, None)
            self._overlays.pop(image.id, None)
            needed = {diff_id for other in self.list() if other.id != image.id for diff_id in other.diff_ids}
            kept = {chain_id for other in self.list() if other.id != image.id for chain_id in other.chain_ids}
            self._layers.release([diff_id for diff_id in image.diff_ids if diff_id not in needed])
        self._store.delete(image.id)
        self._layers.sweep()
        gone = [chain_id for chain_id in reversed(image.chain_ids) if chain_id not in kept]
        return [f"Deleted: {image.id}", *(f"Deleted: {chain_id}" for chain_id in gone)]

    # -- bring in

    def load(self, archive: Path | BinaryIO) -> Sequence[Image]:
        """Load a `docker save` archive or an OCI layout in a tar file; its images. Raises `ImageError`.

        All of them, once every layer is checked and unpacked, or none.
        """
        if not isinstance(archive, Path):
            return self._load(archive)
        try:
            file = archive.open("rb")
        except OSError as error:
            raise ImageError(f"open {archive}: {str(error.strerror).lower()}") from None
        with file:
            return self._load(file)

    def _load(self, file: BinaryIO) -> Sequence[Image]:
        with self._store.workspace() as workspace, self._layers.attempt() as attempt:
            layers: dict[str, StoredLayer] = {}
            files: dict[str, Path] = {}
            described = Archive(file.read, workspace, attempt.unpack).images()
            images = [one.image for one in described]
            for one in described:
                _refuse_host(one.image.names)
                self._bring(one, layers, files)
            self._store.add(images, layers.values(), files)
            attempt.keep({diff_id for image in images for diff_id in image.diff_ids})
        return [self._image(image_id) for image_id in dict.fromkeys(image.id for image in images)]

    def _bring(self, described: Described, layers: dict[str, StoredLayer], files: dict[str, Path]) -> None:
        """See to it that the layers are unpacked, and say what of them is to be recorded."""
        for diff_id, member in zip(described.image.diff_ids, described.layers, strict=True):
            self._layers.hold(diff_id)
            known = layers.get(diff_id) or self._store.layer(diff_id)
            if known is None or not (known.blob in files or self._store.blob(known.blob).exists()):
                size = _unpacked(member, diff_id)
                if size is None:
                    size = self._layers.unpack(diff_id, member.path)
                layers[diff_id] = StoredLayer(diff_id, member.digest, size)
                files[member.digest] = member.path

    def bootstrap_busybox(self, binary: Path | None = None) -> Image:
        """Make `busybox:latest` from the machine's own static busybox. Raises `Unavailable`."""
        layer, config = bootstrap.busybox(binary)
        diff_id = digest(layer)
        image = NewImage(config, (diff_id,), (bootstrap.TAG,))
        with self._store.workspace() as workspace:
            file = workspace / "layer"
            file.write_bytes(layer)
            size = self._layers.unpack(diff_id, file)
            self._store.add([image], [StoredLayer(diff_id, diff_id, size)], {diff_id: file})
        return self._image(image.id)

    def commit_layer(
        self,
        parent: Image | None,
        overlays: Sequence[dict[str, Any]] | None,
        step: dict[str, Any],
        config: dict[str, Any] | None = None,
        *,
        driver: str = "overlay",
        names: Sequence[str] = (),
        take: bool = False,
    ) -> Image:
        """A new image: `parent`, None for scratch, with what was written on top of it as one more layer.

        `overlays` and `driver` say where that is: as `diff.write` has them, which for a container is what
        `container.files.written` gives; None for a step that writes nothing. Nothing written gives no layer. `step`
        is the history's new entry, such as `{"created_by": "RUN make"}`; without `created`, the time is now, or the
        environment's SOURCE_DATE_EPOCH, and no file of the layer is younger than that. `config` takes the place of
        the parent's (OCI image-spec, config.md, "config"). `names` become the image's.

        With `take`, the container has ended and its files are not needed any more: they become the layer's unpacked
        directory where they are, which saves unpacking it. Raises `ImageError`, `InvalidReference`, `Conflict`.
        """
        references = [commit.name(name) for name in names]
        _refuse_host(references)
        epoch = commit.epoch()
        with self._store.workspace() as workspace:
            layers: dict[str, StoredLayer] = {}
            files: dict[str, Path] = {}
            diff_id = None
            if overlays is not None:
                file = workspace / "layer"
                layer = self._write_layer(overlays, driver, None if epoch is None else epoch * 10**9, file)
                if layer.diff_id != commit.EMPTY:
                    diff_id = layer.diff_id
                    self._layers.hold(diff_id)
                    known = self._store.layer(diff_id)
                    if known is None or not self._store.blob(known.blob).exists():
                        layers[diff_id], files[diff_id] = layer, file
            document = commit.document(parent, diff_id, step, config, epoch)
            image = NewImage(document, tuple(diff_ids_of(json.loads(document))), tuple(references))
            self._store.add([image], layers.values(), files)
        if take and diff_id and overlays and len(overlays) == 1 and driver == "overlay" and epoch is None:
            self._layers.take(diff_id, Path(overlays[0]["upper"]))
        return self._image(image.id)

    def _write_layer(
        self, overlays: Sequence[dict[str, Any]], driver: str, latest: int | None, file: Path
    ) -> StoredLayer:
        with file.open("wb") as target:
            done = self._lab.call(diff.write, list(overlays), driver, latest, fds=[target.fileno()])
        return StoredLayer(done["diff_id"], done["diff_id"], done["size"])

    # -- use

    def overlays(self, image: Image) -> tuple[Overlay, ...]:
        """The lower directories of `image`, unpacked for this lab's ids. Raises `ImageError`, `NotFound`."""
        with self._lock:
            found = self._overlays.get(image.id)
            if found is None:
                if image is self._host:
                    found = host.overlays(self._lab)
                elif host.is_base_of(image.document):
                    found = host.below(self._lab, self._stack(image))
                else:
                    found = (self._stack(image),)
                self._overlays[image.id] = found
            return found

    def _stack(self, image: Image) -> Overlay:
        # A layer that comes twice is the same both times: the lower one could never be seen, and overlayfs
        # refuses to have one directory twice.
        diff_ids = list(dict.fromkeys(reversed(image.diff_ids)))
        for diff_id in diff_ids:
            self._layers.hold(diff_id)
        if self._store.config(image.id) is None:
            self._layers.release(diff_ids)
            raise NotFound(f"No such image: {image.id}")
        for diff_id in diff_ids:
            if not self._layers.path(diff_id).is_dir():
                layer = self._store.layer(diff_id)
                if layer is None:
                    raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again")
                self._layers.unpack(diff_id, self._store.blob(layer.blob))
        return Overlay("/", tuple(str(self._layers.path(diff_id)) for diff_id in diff_ids))


def _unpacked(member: Member, diff_id: str) -> int | None:
    """Bytes of the files of a layer that was unpacked on its way; None when it was not, or is another."""
    try:
        found, size = member.layer.result() if member.layer is not None else ("", 0)
    except ImageError:
        return None  # whoever unpacks it again says what is wrong with it
    return size if found == diff_id else None


def _refuse_host(names: Sequence[str]) -> None:
    if host.TAG in names:
        raise Conflict(f"the name {host.NAME} is taken: it is always this machine's own root")
