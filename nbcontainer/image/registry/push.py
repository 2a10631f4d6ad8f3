"""Push: what a registry lacks of an image's layers, then its config, then its manifest.

OCI distribution-spec, "Push", with "Mounting a blob from another repository" and "Pushing a blob in chunks"; the words
are Docker's (moby, distribution/push_v2.go).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urljoin

from nbcontainer.errors import ImageError, NotFound, RegistryError
from nbcontainer.image.content import GZIP, ZSTD
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry import manifest
from nbcontainer.image.registry.access import Access
from nbcontainer.image.registry.client import Client, Refused
from nbcontainer.image.registry.manifest import DOCKER_CONFIG, DOCKER_LAYER, Descriptor
from nbcontainer.image.registry.packing import pack
from nbcontainer.image.registry.progress import MOUNTED, Event, Progress
from nbcontainer.image.registry.transport import Lost
from nbcontainer.image.registry.work import Cancel, in_thread
from nbcontainer.image.store import Manifest, Store, digest

#: Bytes of a blob that one request carries.
PIECE = 16 << 20


@dataclass(frozen=True)
class Blob:
    """A layer: how a manifest describes it, its file, and the digits by which progress calls it, its diff_id's."""

    descriptor: Descriptor
    file: Path
    shown: str


class Push:
    """One push of the image `image_id` to `reference`. `origins` are repositories that may have its layers already."""

    def __init__(self, store: Store, access: Access, cancel: Cancel, progress: Progress, workspace: Path) -> None:
        self._store = store
        self._access = access
        self._cancel = cancel
        self._progress = progress
        self._workspace = workspace

    def run(
        self, image_id: str, diff_ids: Sequence[str], reference: Reference, origins: Sequence[Reference]
    ) -> Manifest:
        """The manifest that is there then. Raises `RegistryError`, `ImageError`, `Cancelled`."""
        self._progress(Event(f"The push refers to repository [{reference.domain}/{reference.path}]"))
        try:
            found = self._access.first(
                reference.domain,
                lambda client: self._to(client, image_id, diff_ids, reference, origins),
                mirrors=False,
            )
        except Refused as error:
            if error.status not in (401, 403):
                raise
            raise RegistryError(
                f"push access denied for {reference.repository}, repository does not exist or may require "
                f"'%image login': {error.said}"
            ) from None
        self._progress(Event(f"{reference.tag}: digest: {found.digest} size: {len(found.content)}"))
        return found

    def _to(
        self,
        client: Client,
        image_id: str,
        diff_ids: Sequence[str],
        reference: Reference,
        origins: Sequence[Reference],
    ) -> Manifest:
        client.ping()
        config = self._store.config(image_id)
        if config is None:
            raise NotFound(f"No such image: {image_id}")
        for diff_id in dict.fromkeys(diff_ids):
            self._progress(Event("Preparing", _shown(diff_id)))
        known = self._known(image_id, diff_ids)
        names = [origin.path for origin in origins if origin.domain == reference.domain and origin != reference]
        layers = known.layers if known is not None else self._packed(diff_ids)
        self._each(client, reference.path, layers, list(dict.fromkeys(names)))
        content = config.encode()
        described = Descriptor(image_id, len(content), DOCKER_CONFIG)
        self._upload_bytes(client, reference.path, described, content)
        if known is not None:
            made = known.manifest
        else:
            text = manifest.write(described, [layer.descriptor for layer in layers])
            made = Manifest(digest(text), json.loads(text)["mediaType"], text)
        client.put_manifest(reference.path, reference.tag or made.digest, made.content, made.media_type)
        return made

    # -- what is pushed

    def _known(self, image_id: str, diff_ids: Sequence[str]) -> _Known | None:
        """The manifest that a registry has of the image already, if we have, or can make, all that it names."""
        stored = {one: self._store.layer(one) for one in diff_ids}
        for kept in self._store.manifests(image_id):
            found = manifest.read(kept.content, kept.digest, kept.media_type, "the store")
            if len(found.layers) != len(diff_ids):
                continue
            layers = []
            for diff_id, descriptor in zip(diff_ids, found.layers, strict=True):
                layer = stored[diff_id]
                if layer is None:
                    break
                if layer.blob == descriptor.digest:
                    layers.append(Blob(descriptor, self._store.blob(layer.blob), _shown(diff_id)))
                    continue
                if layer.blob != diff_id:
                    break
                again = self._pack(diff_id)
                if again.descriptor.digest != descriptor.digest:
                    break  # packed by another tool
                layers.append(again)
            else:
                return _Known(kept, layers)
        return None

    def _packed(self, diff_ids: Sequence[str]) -> list[Blob]:
        # A layer for each processor: compressing is what takes the time.
        processors = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))

        def one(diff_id: str) -> Blob:
            with processors:
                self._cancel.check()
                return self._pack(diff_id)

        futures = {diff_id: in_thread(lambda diff_id=diff_id: one(diff_id)) for diff_id in diff_ids}  # type: ignore[misc]
        wait(futures.values())
        return [futures[diff_id].result() for diff_id in diff_ids]

    def _pack(self, diff_id: str) -> Blob:
        """A layer as it is pushed: compressed as it came, or with gzip."""
        layer = self._store.layer(diff_id)
        path = self._store.blob(layer.blob) if layer is not None else None
        if layer is None or path is None or not path.exists():
            raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again")
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(GZIP):
            return Blob(Descriptor(layer.blob, path.stat().st_size, DOCKER_LAYER), path, _shown(diff_id))
        if start.startswith(ZSTD):
            kind = "application/vnd.oci.image.layer.v1.tar+zstd"
            return Blob(Descriptor(layer.blob, path.stat().st_size, kind), path, _shown(diff_id))
        packed = self._workspace / diff_id.removeprefix("sha256:")
        found, size = pack(path, packed, self._cancel.check)
        return Blob(Descriptor(found, size, DOCKER_LAYER), packed, _shown(diff_id))

    # -- blobs

    def _each(self, client: Client, path: str, layers: Sequence[Blob], origins: Sequence[str]) -> None:
        uploads = threading.BoundedSemaphore(self._access.settings.uploads)
        failed = Cancel()

        def one(blob: Blob) -> None:
            with uploads:
                failed.check()
                self._cancel.check()
                self._progress(Event(self._blob(client, path, blob, origins), blob.shown))

        distinct = {layer.descriptor.digest: layer for layer in layers}
        futures = [in_thread(lambda blob=blob: one(blob)) for blob in distinct.values()]  # type: ignore[misc]
        done, others = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            failed.cancel()
            wait(others)
        for future in done:
            future.result()

    def _blob(self, client: Client, path: str, blob: Blob, origins: Sequence[str]) -> str:
        found = blob.descriptor
        if client.has_blob(path, found.digest):
            return "Layer already exists"
        for origin in origins:
            if self._mount(client, path, found.digest, origin):
                return f"{MOUNTED}{origin}"
        with blob.file.open("rb") as file:
            self._upload(client, path, found, file.fileno(), blob.shown)
        return "Pushed"

    def _mount(self, client: Client, path: str, digest: str, origin: str) -> bool:
        """Have the server take a blob over from another repository of its own."""
        scope = f"repository:{path}:pull,push repository:{origin}:pull"
        query = urlencode({"mount": digest, "from": origin})
        try:
            response = client.call(
                "POST", f"v2/{path}/blobs/uploads/?{query}", scope, (201, 202), {"Content-Length": "0"}
            )
        except Refused:
            return False
        client.text(response)
        if response.status == 202:
            # It began an upload instead, which nobody will go on with.
            location = response.headers.get("Location")
            if location:
                self._give_up(client, path, location)
        return response.status == 201

    def _give_up(self, client: Client, path: str, location: str) -> None:
        try:
            client.text(client.call("DELETE", location, f"repository:{path}:pull,push", (204, 404)))
        except RegistryError:
            pass  # it ends by itself some time

    def _upload_bytes(self, client: Client, path: str, found: Descriptor, content: bytes) -> None:
        if not client.has_blob(path, found.digest):
            fd = os.memfd_create("config", os.MFD_CLOEXEC)
            try:
                os.write(fd, content)
                self._upload(client, path, found, fd, "")
            finally:
                os.close(fd)

    def _upload(self, client: Client, path: str, found: Descriptor, fd: int, shown: str) -> None:
        """In pieces; what a cut connection has lost is sent again from where the server says that it is."""
        scope = f"repository:{path}:pull,push"
        attempt = 1
        location, at = self._begin(client, path, scope), 0
        while at < found.size:
            piece = os.pread(fd, min(PIECE, found.size - at), at)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{at}-{at + len(piece) - 1}",
                "Content-Length": str(len(piece)),
            }
            try:
                response = client.call("PATCH", location, scope, (202,), headers, piece)
                client.text(response)
                at += len(piece)
                attempt = 1
                location = _location(client, response.headers.get("Location"), location)
            except (Lost, Refused) as error:
                if isinstance(error, Refused) and error.status != 416 and error.status < 500:
                    raise
                attempt += 1
                if attempt > client.transport.settings.attempts:
                    raise
                client.transport.pause(attempt)
                location, at = self._where(client, path, scope, location)
            if shown:
                self._progress(Event("Pushing", shown, at, found.size))
        joined = "&" if "?" in location else "?"
        nothing = {"Content-Length": "0"}
        try:
            response = client.call("PUT", f"{location}{joined}digest={found.digest}", scope, (201, 204), nothing)
        except (Lost, Refused):
            # The answer to an earlier attempt may have got lost, and then there is no such upload any more.
            if not client.has_blob(path, found.digest):
                raise
        else:
            client.text(response)

    @staticmethod
    def _begin(client: Client, path: str, scope: str) -> str:
        response = client.call("POST", f"v2/{path}/blobs/uploads/", scope, (202,), {"Content-Length": "0"})
        client.text(response)
        return _location(client, response.headers.get("Location"), None)

    def _where(self, client: Client, path: str, scope: str, location: str) -> tuple[str, int]:
        """How far an upload has come; a new one when the server knows nothing of it."""
        try:
            response = client.call("GET", location, scope, (204,))
        except Refused:
            return self._begin(client, path, scope), 0
        client.text(response)
        _, dash, last = (response.headers.get("Range") or "").rpartition("-")
        at = int(last) + 1 if dash and last.isdecimal() and int(last) else 0
        return _location(client, response.headers.get("Location"), location), at


@dataclass(frozen=True)
class _Known:
    manifest: Manifest
    layers: list[Blob]


def _shown(diff_id: str) -> str:
    return diff_id.removeprefix("sha256:")[:12]


def _location(client: Client, said: str | None, before: str | None) -> str:
    if said:
        return urljoin(f"{client.endpoint.url}/", said)
    if before is None:
        raise RegistryError(f"{client.endpoint.host} began an upload without saying where")
    return before
