"""The images of a user, as one lab sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nbcontainer.errors import Conflict, ImageError, InvalidArgument, InvalidReference, NotFound
from nbcontainer.image import bootstrap, commit, diff, host, importing, layout
from nbcontainer.image import save as saving
from nbcontainer.image.archive import Archive, Described, Member
from nbcontainer.image.config import checked, diff_ids_of
from nbcontainer.image.fsck import Report, fsck
from nbcontainer.image.image import Image as Image
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.remote import Remote
from nbcontainer.image.store import NewImage, StoredLayer, digest


class Images(Remote):
    """The store, and what of it this lab has unpacked: everything that changes what there is."""

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
            gone = [name, *_left_behind(name, others)]
            self._store.untag(gone)
            return [f"Untagged: {one}" for one in gone]
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

    # -- clean up

    def unused(self, every: bool = False) -> Sequence[Image]:
        """The images without a name that no container of this lab was made from and no other kernel has in use; with
        `every`, those with a name too."""
        return [
            image
            for image in self.list()
            if image is not self._host
            and (every or not self.names_of(image))
            and not self.users(image.id)
            and not (image.diff_ids and self._layers.others_hold(image.diff_ids[-1]))
        ]

    def prune(self, images: Sequence[Image] | None = None) -> tuple[Sequence[str], int]:
        """Remove these images, or those that `unused` gives, and what is left of killed processes and of downloads;
        what was done, a line each, and how many bytes of disk that gave back."""
        before = self._store.usage()
        lines: list[str] = []
        for image in self.unused() if images is None else images:
            lines += [f"Untagged: {name}" for name in self.names_of(image)]
            lines += self._delete(image)
        self._store.collect()
        self._store.forget_partials()
        self._layers.sweep()
        return lines, max(0, before - self._store.usage())

    def fsck(self, repair: bool = False) -> Report:
        """Whether the store is whole; with `repair`, what is wrong is put right as far as that goes."""

        def in_use(diff_id: str) -> bool:
            ours = (image for image in self.list() if diff_id in image.diff_ids)
            return any(self.users(image.id) for image in ours) or self._layers.others_hold(diff_id)

        report = fsck(self._store, self._layers, repair, in_use)
        if repair:
            self._known.clear()
            self._overlays.clear()
            self._counts.clear()
        return report

    # -- bring in

    def load(
        self,
        archive: Path | BinaryIO,
        say: Callable[[str], object] = lambda line: None,
        *,
        progress: Progress = nobody,
    ) -> Sequence[Image]:
        """Load a `docker save` archive, or an OCI layout in a tar file or a directory; its images. Raises `ImageError`.

        All of them, once every layer is checked and unpacked, or none. `say` is given a line for each name, and
        `progress` is told how far each layer is.
        """
        if not isinstance(archive, Path):
            return self._load(archive, say, progress)
        if archive.is_dir():
            with layout.opened(archive) as stream:
                return self._load(stream, say, progress)
        try:
            file = archive.open("rb")
        except OSError as error:
            raise ImageError(f"open {archive}: {str(error.strerror).lower()}") from None
        with file:
            return self._load(file, say, progress)

    def _load(self, file: BinaryIO, say: Callable[[str], object], progress: Progress) -> Sequence[Image]:
        with self._store.workspace() as workspace, self._layers.attempt() as attempt:
            layers: dict[str, StoredLayer] = {}
            files: dict[str, Path] = {}
            described = Archive(file.read, workspace, attempt.unpack, progress).images()
            images = [one.image for one in described]
            for one in described:
                _refuse_host(one.image.names)
                self._bring(one, layers, files, progress)
            self._store.add(images, layers.values(), files)
            attempt.keep({diff_id for image in images for diff_id in image.diff_ids})
        for image in images:
            for name in image.names:
                say(f"Loaded image: {name}")
            if not image.names:
                say(f"Loaded image ID: {image.id}")
        return [self._image(image_id) for image_id in dict.fromkeys(image.id for image in images)]

    def _bring(
        self, described: Described, layers: dict[str, StoredLayer], files: dict[str, Path], progress: Progress
    ) -> None:
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
            elif diff_id not in layers:
                progress(Event("Already exists", member.name))
                continue
            progress(Event("Load complete", member.name))

    def import_root(
        self,
        archive: BinaryIO,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        *,
        message: str = "",
        origin: str = "-",
    ) -> Image:
        """An image of one layer from a tar archive of a whole root, plain or compressed.

        `origin` is what the history says that it came from. Raises `ImageError`, `InvalidReference`, `Conflict`.
        """
        names = [commit.name(name)] if name else []
        _refuse_host(names)
        step = {"created_by": "", "comment": message or f"Imported from {origin}"}
        with self._store.workspace() as workspace:
            file = workspace / "layer"
            layer = importing.import_layer(self._layers, archive, file)
            document = commit.document(None, layer.diff_id, step, config or {}, commit.epoch())
            image = NewImage(document, (layer.diff_id,), tuple(names))
            self._store.add([image], [layer], {layer.diff_id: file})
        return self._image(image.id)

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
                    # Brought again where it is there already: another process could be removing it now.
                    if known is None or known.blob == diff_id or not self._store.blob(known.blob).exists():
                        layers[diff_id], files[diff_id] = layer, file
            document = commit.document(parent, diff_id, step, config, epoch)
            image = NewImage(document, tuple(diff_ids_of(json.loads(document))), tuple(references))
            self._store.add([image], layers.values(), files)
        if take and diff_id and overlays and len(overlays) == 1 and driver == "overlay" and epoch is None:
            self._layers.take(diff_id, Path(overlays[0]["upper"]))
        return self._image(image.id)

    def add(self, document: dict[str, Any], names: Sequence[str] = ()) -> Image:
        """Record an image of layers that the store has; `document` is its whole config, `names` become its own.

        Raises `ImageError`, `InvalidReference`, `Conflict`.
        """
        references = [commit.name(name) for name in names]
        _refuse_host(references)
        config = json.dumps(checked(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        image = NewImage(config, tuple(diff_ids_of(document)), tuple(references))
        self._store.add([image], (), {})
        return self._image(image.id)

    def _write_layer(
        self, overlays: Sequence[dict[str, Any]], driver: str, latest: int | None, file: Path
    ) -> StoredLayer:
        with file.open("wb") as target:
            done = self._lab.call(diff.write, list(overlays), driver, latest, fds=[target.fileno()])
        return StoredLayer(done["diff_id"], done["diff_id"], done["size"])

    # -- take out

    def save(self, references: Sequence[str], target: Path, form: str = "docker-archive") -> None:
        """Write images to `target`, compressed when its name ends in .gz, .tgz or .zst.

        `form` is "docker-archive", which is an OCI layout too, "oci-archive" or "oci-dir". A name without a tag
        means all tags of that repository. Raises what `get` and `nbcontainer.image.save.save` raise.
        """
        names: dict[str, dict[str, None]] = {}
        for reference in references:
            for image, tag in self._meant(reference):
                if self.lies_on_host(image):
                    raise InvalidArgument(
                        f"{reference} cannot be saved: it lies on this machine's root, which is no layer"
                    )
                names.setdefault(image.id, {}).update({tag: None} if tag else {})
        images = []
        for image_id, tags in names.items():
            config = self._store.config(image_id)
            if config is None:
                raise NotFound(f"No such image: {image_id}")
            images.append(saving.Saved(image_id, config.encode(), tuple(self._image(image_id).diff_ids), tuple(tags)))
        saving.save(self._store, images, target, form)

    def _meant(self, reference: str) -> Sequence[tuple[Image, str | None]]:
        """The images that `save` is asked for, each with the name it is to have."""
        if "@" not in reference and ":" not in reference.rpartition("/")[2]:
            try:
                repository = Reference.parse(reference).repository
            except InvalidReference:
                repository = None
            found = [
                (image, tag)
                for image in self.list()
                for tag in image.tags
                if Reference.parse(tag).repository == repository
            ]
            if found:
                return found
        image_id, name = (self._host.id, None) if reference == host.TAG else self._resolve(reference)
        return [(self._image(image_id), name if name and "@" not in name else None)]


def _unpacked(member: Member, diff_id: str) -> int | None:
    """Bytes of the files of a layer that was unpacked on its way; None when it was not, or is another."""
    try:
        found, size = member.layer.result() if member.layer is not None else ("", 0)
    except ImageError:
        return None  # whoever unpacks it again says what is wrong with it
    return size if found == diff_id else None


def _left_behind(name: str, others: Sequence[str]) -> Sequence[str]:
    """The names by digest that go with the last tag of their repository (moby, image_delete.go)."""
    repository = Reference.parse(name).repository
    alike = [other for other in others if Reference.parse(other).repository == repository]
    return alike if "@" not in name and all("@" in other for other in alike) else []


def _refuse_host(names: Sequence[str]) -> None:
    if host.TAG in names:
        raise Conflict(f"the name {host.NAME} is taken: it is always this machine's own root")
