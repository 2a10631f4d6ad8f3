"""Pull: the manifest, then its layers, each downloaded, verified, decompressed and unpacked as one stream.

OCI distribution-spec, "Pull"; the words are Docker's (moby, distribution/pull_v2.go).
"""

from __future__ import annotations

import errno
import json
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from nbcontainer.errors import ImageError, NotFound, RegistryError
from nbcontainer.image.arriving import Arriving
from nbcontainer.image.config import checked, diff_ids_of
from nbcontainer.image.layers import Attempt, Layers
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry.access import Access, explained
from nbcontainer.image.registry.client import Client
from nbcontainer.image.registry.download import Mismatch, download
from nbcontainer.image.registry.manifest import Descriptor, Fetched, Platform
from nbcontainer.image.registry.progress import Event, Progress
from nbcontainer.image.registry.work import Cancel, Cancelled, in_thread
from nbcontainer.image.store import Manifest, NewImage, Store, StoredLayer

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LARGEST_CONFIG = 16 << 20
#: Indexes below each other.
_DEEPEST = 3


@dataclass(frozen=True)
class Pulled:
    """The id of the image, and whether it is new."""

    image_id: str
    digest: str
    new: bool


class Pull:
    """One pull of `reference` into `store`."""

    def __init__(
        self,
        store: Store,
        layers: Layers,
        access: Access,
        cancel: Cancel,
        progress: Progress,
        platform: Platform | None,
    ) -> None:
        self._store = store
        self._layers = layers
        self._access = access
        self._cancel = cancel
        self._progress = progress
        self._platform = platform

    def run(self, reference: Reference) -> Pulled:
        """Raises `RegistryError`, `NotFound`, `ImageError`, `Cancelled`."""
        self._progress(Event(f"{reference.tag or reference.digest}: Pulling from {_shown(reference)}"))
        try:
            done = self._access.first(reference.domain, lambda client: self._from(client, reference))
        except RegistryError as error:
            raise explained(error, reference) from None
        self._progress(Event(f"Digest: {done.digest}"))
        what = "Downloaded newer image for" if done.new else "Image is up to date for"
        self._progress(Event(f"Status: {what} {reference}"))
        return done

    def _from(self, client: Client, reference: Reference) -> Pulled:
        top = client.manifest(reference.path, reference.digest or reference.tag or "")
        found = self._of_platform(client, reference, top)
        assert found.config is not None
        names = [f"{reference.repository}@{top.digest}"]
        if reference.tag:
            names.insert(0, replace(reference, digest=None).familiar)
        config = self._config(client, reference.path, found.config)
        document = _parsed(config)
        diff_ids = diff_ids_of(document)
        if len(diff_ids) != len(found.layers):
            raise ImageError(f"the manifest has {len(found.layers)} layers, its config {len(diff_ids)}")
        self._check_platform(document, reference)
        image = NewImage(config, tuple(diff_ids), tuple(names))
        new = any(self._store.image_of(name) != image.id for name in names)
        kept = Manifest(found.digest, found.media_type, found.content)
        layers = list(zip(diff_ids, found.layers, strict=True))
        if self._store.config(image.id) is not None and all(self._have(diff_id) for diff_id in diff_ids):
            for diff_id in diff_ids:
                self._layers.hold(diff_id)
            self._store.add([image], [], {}, {image.id: kept})
        else:
            self._bring(client, reference.path, image, layers, kept)
        return Pulled(image.id, top.digest, new)

    # -- the manifest

    def _of_platform(self, client: Client, reference: Reference, top: Fetched) -> Fetched:
        found, wanted = top, self._platform or Platform.here()
        for _ in range(_DEEPEST):
            if found.config is not None:
                return found
            chosen = found.choose(wanted)
            if chosen is None:
                raise NotFound(f"no matching manifest for {wanted} in the manifest list entries of {reference}")
            found = client.manifest(reference.path, chosen.digest)
        raise RegistryError(f"{client.endpoint.host} has indexes within indexes for {reference}")

    def _check_platform(self, document: dict[str, object], reference: Reference) -> None:
        if self._platform is None:
            return
        os, arch, variant = (str(document.get(key) or "") for key in ("os", "architecture", "variant"))
        actual = Platform(os, arch, variant)
        if self._platform.score(actual) is None:
            raise NotFound(
                f"image with reference {reference} was found but does not match the specified platform: "
                f"wanted {self._platform}, actual: {actual}"
            )

    def _config(self, client: Client, path: str, blob: Descriptor) -> bytes:
        known = self._store.config(blob.digest)
        if known is not None:
            return known.encode()
        if blob.size > _LARGEST_CONFIG:
            raise ImageError(f"the config of the image is larger than {_LARGEST_CONFIG >> 20} MiB")
        with self._store.workspace() as workspace:
            file = Arriving(workspace / "config")
            try:
                download(client, path, blob, file)
                return file.path.read_bytes()
            finally:
                file.close()

    def _have(self, diff_id: str) -> bool:
        known = self._store.layer(diff_id)
        return known is not None and self._store.blob(known.blob).exists()

    # -- layers

    def _bring(
        self, client: Client, path: str, image: NewImage, layers: list[tuple[str, Descriptor]], manifest: Manifest
    ) -> None:
        downloads = threading.BoundedSemaphore(self._access.settings.downloads)
        #: What one of the layers fails with ends the others.
        ours = Cancel()
        with self._layers.attempt() as attempt, ExitStack() as kept:
            for digest in sorted({blob.digest for diff_id, blob in layers if not self._have(diff_id)}):
                # Another kernel may be downloading the very same: then we wait, and find it whole. All in one order,
                # so that no two wait for each other.
                kept.enter_context(self._store.partial(digest, self._cancel.check))
            todo: dict[str, Descriptor] = {}
            for diff_id, blob in layers:
                self._layers.hold(diff_id)
                if self._have(diff_id):
                    self._progress(Event("Already exists", blob.short))
                elif diff_id not in todo:
                    todo[diff_id] = blob
                    self._progress(Event("Pulling fs layer", blob.short))
            futures: dict[str, Future[tuple[Path, StoredLayer]]] = {}
            for diff_id, blob in todo.items():
                one = _Layer(self, client, path, attempt, diff_id, blob, downloads, ours)
                futures[diff_id] = in_thread(one.bring)
            try:
                done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
                failed = [future for future in done if future.exception() is not None]
                for future in failed:
                    future.result()
                brought = {diff_id: future.result() for diff_id, future in futures.items()}
            except BaseException as error:
                ours.cancel()
                self._cancel.shut()
                attempt.fail(error if isinstance(error, ImageError | RegistryError) else Cancelled())
                wait(futures.values())
                raise
            files = {stored.blob: file for file, stored in brought.values()}
            self._store.add([image], [stored for _, stored in brought.values()], files, {image.id: manifest})
            attempt.keep(set(image.diff_ids))


class _Layer:
    """One layer on its way."""

    def __init__(
        self,
        pull: Pull,
        client: Client,
        path: str,
        attempt: Attempt,
        diff_id: str,
        blob: Descriptor,
        downloads: threading.BoundedSemaphore,
        ours: Cancel,
    ) -> None:
        self._pull, self._client, self._path, self._attempt = pull, client, path, attempt
        self._diff_id, self._blob, self._downloads, self._ours = diff_id, blob, downloads, ours

    def _check(self) -> None:
        self._pull._cancel.check()
        self._ours.check()

    def _tell(self, status: str, current: int = 0) -> None:
        self._check()
        self._pull._progress(Event(status, self._blob.short, current, self._blob.size if current else 0))

    def _report(self, size: int) -> None:
        self._tell("Downloading", size)

    def bring(self) -> tuple[Path, StoredLayer]:
        """Download and unpack it; its file, and what to record of it."""
        with self._downloads:
            self._check()
            self._tell("Downloading")
            file = Arriving(self._pull._store.partial_blob(self._blob.digest))
            unpacked = self._attempt.unpack(file, self._diff_id)
            try:
                file.take_over(self._blob.size, self._check)
                download(self._client, self._path, self._blob, file, self._report, self._check)
                file.finish()
            except BaseException as error:
                file.fail(error)
                if isinstance(error, Mismatch) or (isinstance(error, OSError) and error.errno in _FULL):
                    file.path.unlink()
                raise
            finally:
                file.close()
        self._tell("Download complete")
        self._tell("Extracting")
        try:
            _, size = unpacked.result()
        except ImageError:
            # What it has brought is the blob that was asked for, and no layer: it would fail the same way again.
            file.path.unlink(missing_ok=True)
            raise
        self._tell("Pull complete")
        return file.path, StoredLayer(self._diff_id, self._blob.digest, size)


def _parsed(config: bytes) -> dict[str, object]:
    try:
        return checked(json.loads(config))
    except (ValueError, RecursionError):
        raise ImageError("the config of the image is no JSON") from None


def _shown(reference: Reference) -> str:
    """As Docker names a repository here: without the domain, which for its own hub goes without saying."""
    return reference.path
