"""Images written out: as an archive that `docker load` takes, or as an OCI layout, in a tar file or a directory.

The archive is both: Docker's manifest.json beside the files of an OCI layout, as Docker has written it since 25.0.
What describes the images comes first, so that a reader may unpack the layers as they come; nothing in it depends on
when or where it was written. moby, image/spec/spec.md; OCI image-spec, image-layout.md, image-index.md, manifest.md.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbcontainer.errors import Conflict, ImageError, InvalidArgument
from nbcontainer.image import compress, locks
from nbcontainer.image.reference import Reference
from nbcontainer.image.store import Store, digest
from nbcontainer.image.tar import CHUNK, Entry
from nbcontainer.image.tar_writer import TarWriter, write_sparse

#: Podman's names for what can be written.
FORMATS = ("docker-archive", "oci-archive", "oci-dir")
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_COMPRESSED = ((b"\x1f\x8b", "+gzip"), (b"\x28\xb5\x2f\xfd", "+zstd"))
_UNFINISHED = ".nbcontainer.tmp"


@dataclass(frozen=True)
class Saved:
    """An image to write, with the names it is to have there."""

    image_id: str
    config: bytes
    diff_ids: tuple[str, ...]
    names: tuple[str, ...]


def save(store: Store, images: Sequence[Saved], target: Path, form: str) -> None:
    """Write `images` to `target`, which appears whole or not at all.

    Raises `InvalidArgument`, `Conflict` when a directory has something in it already, and `ImageError` when the
    store has lost a layer, or the disk is full.
    """
    if form not in FORMATS:
        raise InvalidArgument(f"unknown format {form}: there are {', '.join(FORMATS)}")
    layout = _Layout(store, images)
    documents = layout.documents(docker=form == "docker-archive")
    if form == "oci-dir":
        with _appearing_directory(target) as beside:
            _write_directory(layout, documents, beside)
        return
    compressor = compress.for_name(target)
    with _appearing_file(target) as file:
        tar = TarWriter(lambda data: write_sparse(file, compressor.compress(data)))
        for name, data in documents.items():
            tar.add_bytes(name, data)
        for directory in ("blobs", "blobs/sha256"):
            # skopeo makes those that are missing root's own, which an ordinary user may not.
            tar.add(Entry(directory, "directory", 0o755, 0, 0, 0))
        for name, data in layout.small.items():
            tar.add_bytes(name, data)
        for blob, path in layout.layers.items():
            with _verified(blob, path) as (fd, watch):
                size = os.fstat(fd).st_size
                tar.add(Entry(_blob_name(blob), "file", 0o644, 0, 0, 0, size), fd, watch)
        tar.finish()
        write_sparse(file, compressor.flush())


class _Layout:
    """The blobs of some images, and what describes them."""

    def __init__(self, store: Store, images: Sequence[Saved]) -> None:
        self.images = images
        #: Configs and manifests, by their names in the layout.
        self.small: dict[str, bytes] = {}
        #: The files of the layers by digest, each once, those of the first image first.
        self.layers: dict[str, Path] = {}
        self._manifests: list[tuple[Saved, bytes]] = []
        self._blobs: dict[str, str] = {}
        for image in images:
            descriptors = [self._layer(store, diff_id) for diff_id in image.diff_ids]
            made = {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _descriptor(CONFIG_TYPE, image.image_id, len(image.config)),
                "layers": descriptors,
            }
            manifest = _as_in_a_registry(store, image, made) or _json(made)
            self._manifests.append((image, manifest))
            self.small[_blob_name(image.image_id)] = image.config
            self.small[_blob_name(digest(manifest))] = manifest

    def _layer(self, store: Store, diff_id: str) -> dict[str, Any]:
        layer = store.layer(diff_id)
        path = store.blob(layer.blob) if layer is not None else None
        if layer is None or path is None or not path.exists():
            raise ImageError(
                f"layer {diff_id[:19]} is missing from the store: `%image fsck` tells which images need it"
            )
        self.layers[layer.blob] = path
        self._blobs[diff_id] = layer.blob
        with path.open("rb") as file:
            start = file.read(4)
        suffix = next((suffix for magic, suffix in _COMPRESSED if start.startswith(magic)), "")
        return _descriptor(LAYER_TYPE + suffix, layer.blob, path.stat().st_size)

    def documents(self, docker: bool) -> dict[str, bytes]:
        """The files at the top of the layout by name; with `docker`, manifest.json among them."""
        made = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": self._index()}
        if docker:
            made["manifest.json"] = _json(
                [
                    {
                        "Config": _blob_name(image.image_id),
                        "RepoTags": list(image.names) or None,
                        "Layers": [_blob_name(self._blobs[diff_id]) for diff_id in image.diff_ids],
                    }
                    for image in self.images
                ]
            )
        return made

    def _index(self) -> bytes:
        references = [Reference.parse(name) for image in self.images for name in image.names]
        often = Counter(reference.tag for reference in references)
        entries = []
        for image, manifest in self._manifests:
            config = json.loads(image.config)
            platform = {
                key: config[key] for key in ("architecture", "os", "variant") if config.get(key)
            }  # image-index.md, platform
            entry = {**_descriptor(MANIFEST_TYPE, digest(manifest), len(manifest)), "platform": platform}
            for name in image.names:
                reference = Reference.parse(name)
                annotations = {
                    "io.containerd.image.name": f"{reference.domain}/{reference.path}:{reference.tag}",
                    # Docker's way, the bare tag, unless two images would then have the same name.
                    "org.opencontainers.image.ref.name": reference.tag if often[reference.tag] == 1 else name,
                }
                entries.append({**entry, "annotations": annotations})
            if not image.names:
                entries.append(entry)
        return _json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})


def _as_in_a_registry(store: Store, image: Saved, made: dict[str, Any]) -> bytes | None:
    """The very manifest that a registry has of the image, which keeps its digest, if we have the blobs it names."""
    wanted = [one["digest"] for one in (made["config"], *made["layers"])]
    for known in store.manifests(image.image_id):
        document = json.loads(known.content)
        found = [one["digest"] for one in (document["config"], *document["layers"])]
        if known.media_type == MANIFEST_TYPE and found == wanted:
            return known.content
    return None


def _descriptor(media_type: str, blob: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob, "size": size}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _blob_name(blob: str) -> str:
    return "blobs/" + blob.replace(":", "/")


@contextmanager
def _verified(blob: str, path: Path) -> Iterator[tuple[int, Callable[[bytes], object]]]:
    """A blob's descriptor, and what must be given its bytes: they are found to be the blob's at the end."""
    found = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd, found.update
    finally:
        os.close(fd)
    if f"sha256:{found.hexdigest()}" != blob:
        raise ImageError(f"blob {blob[:19]} in the store is damaged: load or pull its image again")


# -- files that appear whole


def _write_directory(layout: _Layout, documents: dict[str, bytes], beside: Path) -> None:
    (beside / "blobs" / "sha256").mkdir(parents=True)
    for name, data in {**documents, **layout.small}.items():
        (beside / name).write_bytes(data)
    for blob, path in layout.layers.items():
        with _verified(blob, path) as (fd, watch), (beside / _blob_name(blob)).open("wb", buffering=0) as file:
            while piece := os.read(fd, CHUNK):
                watch(piece)
                write_sparse(file.fileno(), piece)


@contextmanager
def _appearing_file(target: Path) -> Iterator[int]:
    """A file that takes `target`'s place at the end. Until then it has no name, where the file system can do that
    (open(2), O_TMPFILE), so that a kill leaves nothing behind."""
    beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}{_UNFINISHED}")
    with _told(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        fd = _unnamed(target.parent)
        has_name = fd < 0
        if has_name:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            yield fd
            os.fsync(fd)
            if has_name or (not _name(fd, target) and _name(fd, beside)):
                os.rename(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)


def _unnamed(directory: Path) -> int:
    """A file without a name; -1 where the file system has none."""
    try:
        return os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        return -1


def _name(fd: int, path: Path) -> bool:
    """Give the file a name, unless something has it already."""
    try:
        # With a directory's descriptor, which means nothing here, Python calls linkat(2), which follows.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


@contextmanager
def _appearing_directory(target: Path) -> Iterator[Path]:
    """A directory that takes `target`'s place at the end; there may be an empty one. What a kill has left of an
    earlier one goes."""
    with _told(target):
        if target.exists() and any(target.iterdir()):
            raise Conflict(f"{target} is not empty: a layout needs a directory of its own")
        for left in target.parent.glob(f".{target.name}.*{_UNFINISHED}"):
            try:
                os.close(locks.hold(str(left), fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                continue  # at work
            shutil.rmtree(left, ignore_errors=True)
        beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}{_UNFINISHED}")
        held = locks.hold(str(beside))
        try:
            yield beside
            beside.chmod(0o755)
            os.rename(beside, target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            os.close(held)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(f"write {target}: no space left on device; nothing half-done was kept") from None
        raise InvalidArgument(f"cannot write {target}: {str(error.strerror).lower()}") from None
