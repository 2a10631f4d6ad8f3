"""The images of a user, as one lab sees them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from nbcontainer.errors import Conflict, ImageError, InvalidReference, NotFound
from nbcontainer.image import bootstrap, host
from nbcontainer.image.archive import Archive, Described
from nbcontainer.image.image import Image as Image
from nbcontainer.image.overlay import Overlay
from nbcontainer.image.reference import Reference
from nbcontainer.image.store import Store
from nbcontainer.image.unpack import unpack
from nbcontainer.lab import files
from nbcontainer.lab.handle import Handle

#: Digits of a layer's digest in its directory's name: overlayfs takes one page of options, so names are short.
DIGITS = 24


class Images:
    """The store, and what of it this lab has unpacked."""

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self.store = Store(lab.home.images)
        self._directory = self.store.path / "layers" / lab.idmap.key
        self._overlays: dict[str, tuple[Overlay, ...]] = {}
        #: Given an image's id, the containers that use it.
        self.users: Callable[[str], Sequence[str]] = lambda image_id: ()

    # -- find

    def get(self, reference: str) -> Image:
        """By name, digest, id or unique beginning of an id. Raises `NotFound`, `InvalidReference`, `Conflict`."""
        if reference in (host.NAME, f"{host.NAME}:latest"):
            return self._host()
        images = {image.id: image for image in self.list()}
        bare = reference.removeprefix("sha256:")
        if re.fullmatch(r"[0-9a-f]{2,64}", bare):
            found = [image for image_id, image in images.items() if image_id.removeprefix("sha256:").startswith(bare)]
            if len(found) == 1:
                return found[0]
            if len(found) > 1:
                raise Conflict(f"image id {reference} is ambiguous: {len(found)} images begin with it")
        if reference.startswith("sha256:"):
            raise NotFound(f"No such image: {reference}")
        image_id = self.store.tags().get(Reference.parse(reference).familiar)
        if image_id is None or image_id not in images:
            raise NotFound(f"No such image: {reference}")
        return images[image_id]

    def list(self) -> list[Image]:
        """Every image, newest first, and `host` last."""
        names: dict[str, list[str]] = {}
        for name, image_id in self.store.tags().items():
            names.setdefault(image_id, []).append(name)
        stored = self.store.images().items()
        return [*(Image(self, i, document, names.get(i, [])) for i, document in stored), self._host()]

    def _host(self) -> Image:
        document = host.document()
        return Image(self, host.image_id(document), document, [f"{host.NAME}:latest"])

    def layer_size(self, diff_id: str) -> int:
        """Bytes of a layer in the store."""
        return self.store.layer(diff_id)[1]

    # -- names

    def tag(self, source: str, target: str) -> None:
        """Give the image `source` the name `target` too."""
        image = self.get(source)
        if image.id == self._host().id:
            raise Conflict("the image host cannot be given other names: it is this machine's root, not in the store")
        reference = Reference.parse(target)
        if reference.digest:
            raise InvalidReference("refusing to create a tag with a digest reference")
        if reference.familiar == f"{host.NAME}:latest":
            raise Conflict("the name host is taken by this machine's root")
        self.store.tag(reference.familiar, image.id)

    def remove(self, reference: str, force: bool = False) -> Sequence[str]:
        """`docker rmi`: take the name away, and the image with its last one; what was done, a line each.

        Raises `NotFound`, and `Conflict` when a container uses it (not with `force`) or it has other names.
        """
        image = self.get(reference)
        if image.id == self._host().id:
            raise Conflict("the image host cannot be removed: it is this machine's root, not in the store")
        by_id = image.id.removeprefix("sha256:").startswith(reference.removeprefix("sha256:"))
        name = None if by_id else Reference.parse(reference).familiar
        if name is not None and len(image.tags) > 1:
            self.store.untag(name)
            return [f"Untagged: {name}"]
        if by_id and len(image.tags) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (must be forced) - "
                "image is referenced in multiple repositories"
            )
        users = self.users(image.id)
        if users and not force:
            what = f'remove repository reference "{name}"' if name else f"delete {image.short_id}"
            raise Conflict(
                f"conflict: unable to {what} (must force) - "
                f"container {users[0]} is using its referenced image {image.short_id}"
            )
        lines = [f"Untagged: {tag}" for tag in image.tags]
        if users:
            for tag in image.tags:
                self.store.untag(tag)
            return lines
        gone = self.store.delete(image.id)
        self._overlays.pop(image.id, None)
        for diff_id in gone:
            self._forget_layer(diff_id)
        return [*lines, f"Deleted: {image.id}", *(f"Deleted: {diff_id}" for diff_id in reversed(gone))]

    def _forget_layer(self, diff_id: str) -> None:
        path = self._directory / _short(diff_id)
        if path.is_dir():
            self.lab.call(files.remove_tree, str(path))
            shutil.rmtree(path, ignore_errors=True)

    # -- bring in

    def load(self, path: Path) -> Sequence[Image]:
        """Load a `docker save` archive or an OCI layout in a tar file; its images. Raises `ImageError`.

        An image is there once all its layers are, checked and unpacked.
        """
        try:
            with self.store.workspace() as workspace, Archive(Path(path), workspace) as archive:
                return [self._load(archive, described, workspace) for described in archive.images()]
        except OSError as error:
            raise ImageError(
                f"loading {path} failed: {str(error.strerror).lower()}; nothing half-done is kept"
            ) from None

    def _load(self, archive: Archive, described: Described, workspace: Path) -> Image:
        image = Image(self, described.id, _document(described), list(described.names))
        layers = []
        for name, diff_id in zip(described.layers, image.diff_ids, strict=True):
            expected = f"sha256:{name.rpartition('/')[2]}" if name.startswith("blobs/sha256/") else None
            with archive.member(name) as source:
                blob, size = self.store.add_blob(source, workspace, expected)
            try:
                self._unpack(diff_id, blob)
            except ImageError:
                if blob not in {self._blob_of(d) for d in self._known()}:
                    self.store.blob(blob).unlink(missing_ok=True)
                raise
            layers.append((diff_id, blob, size))
        self.store.add_blob(BytesIO(described.config), workspace, described.id)
        self.store.put_image(described.id, described.config, layers, list(described.names))
        return self.get(described.id)

    def _known(self) -> set[str]:
        return {d for image in self.list() for d in image.diff_ids}

    def _blob_of(self, diff_id: str) -> str:
        return self.store.layer(diff_id)[0]

    def bootstrap_busybox(self, binary: Path | None = None) -> Image:
        """Make `busybox:latest` from the machine's own static busybox. Raises `Unavailable`."""
        with self.store.workspace() as workspace:
            layer, config = bootstrap.busybox(binary)
            diff_id = bootstrap.digest(layer)
            blob, size = self.store.add_blob(BytesIO(layer), workspace)
            self._unpack(diff_id, blob)
            image_id, _ = self.store.add_blob(BytesIO(config), workspace)
            self.store.put_image(image_id, config, [(diff_id, blob, size)], ["busybox:latest"])
        return self.get(image_id)

    # -- use

    def overlays(self, image: Image) -> tuple[Overlay, ...]:
        """The lower directories of `image`, unpacked for this lab's ids. Raises `ImageError`."""
        found = self._overlays.get(image.id)
        if found is None:
            if image.tags == [f"{host.NAME}:latest"]:
                made = self.lab.call(host.prepare)
                found = tuple(Overlay(prefix, tuple(lowers)) for prefix, lowers in made)
            else:
                lowers = [self._unpack(d, self._blob_of(d)) for d in image.diff_ids]
                found = (Overlay("/", tuple(reversed(lowers))),)
            self._overlays[image.id] = found
        return found

    def _unpack(self, diff_id: str, blob: str) -> str:
        target = self._directory / _short(diff_id)
        if target.is_dir():
            return str(target)
        self._make_directory()
        try:
            fd = os.open(self.store.blob(blob), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again") from None
        try:
            self.lab.call(unpack, diff_id, str(target), fds=[fd])
        finally:
            os.close(fd)
        return str(target)

    def _make_directory(self) -> None:
        if self._directory.is_dir():
            return
        try:
            self._directory.mkdir(mode=0o711)
        except FileExistsError:
            return
        if os.geteuid() == 0:
            os.chown(self._directory, self.lab.idmap.uid_outside(0) or 0, self.lab.idmap.gid_outside(0) or 0)


def _short(diff_id: str) -> str:
    return diff_id.removeprefix("sha256:")[:DIGITS]


def _document(described: Described) -> dict[str, object]:
    import json

    document = json.loads(described.config)
    assert isinstance(document, dict)
    return document
