"""A blob, downloaded into a file that keeps what it has: an interrupted download goes on where it stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

from nbcontainer.errors import RegistryError
from nbcontainer.image.arriving import Arriving
from nbcontainer.image.registry.client import Client
from nbcontainer.image.registry.manifest import Descriptor
from nbcontainer.image.registry.transport import Lost, told
from nbcontainer.image.tar import CHUNK

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
#: Seconds between two reports of how far it is.
_EVERY = 0.1


class Mismatch(RegistryError):
    """All has come, and it is something else."""


def download(
    client: Client,
    path: str,
    blob: Descriptor,
    file: Arriving,
    report: Callable[[int], object] = lambda size: None,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Download what `file` lacks of `blob`, whose digest it then has. `report` is told the bytes there are.

    Cut or stalled connections are taken up again, as often as the settings say without a byte between. `check` may
    raise to end it. Raises `RegistryError`, `Mismatch`, `Cancelled`.
    """
    host, attempt, reported = client.endpoint.host, 1, 0.0
    while file.size < blob.size:
        before = file.size
        try:
            for data in _answer(client, path, blob, file.size):
                check()
                if file.size + len(data) > blob.size:
                    raise Mismatch(f"{host} sent more than the {blob.size} bytes of {blob.digest[:19]}")
                file.write(data)
                if (now := time.monotonic()) > reported + _EVERY:
                    report(file.size)
                    reported = now
            if file.size < blob.size:
                raise Lost(f"the connection to {host} was cut after {file.size} of {blob.size} bytes")
        except Lost:
            check()
            attempt = 1 if file.size > before else attempt + 1
            if attempt > client.transport.settings.attempts:
                raise
            client.transport.pause(attempt)
    if file.digest != blob.digest:
        raise Mismatch(f"{host} sent {file.digest[:19]} instead of {blob.digest[:19]}: it is damaged, or not the one")


def _answer(client: Client, path: str, blob: Descriptor, start: int) -> Iterator[bytes]:
    """The bytes from `start` on, as they come."""
    response = client.blob(path, blob, start)
    try:
        skip = _skip(response.status, response.headers.get("Content-Range"), start, client.endpoint.host)
        while True:
            with told(client.endpoint.url, client.transport.cancel):
                # As much as is there, not as much as fits: a slow line is heard from all the same.
                data = response.read1(CHUNK)
            if not data:
                response.release_conn()
                return
            data, skip = data[skip:], max(0, skip - len(data))
            if data:
                yield data
    finally:
        response.close()


def _skip(status: int, said: str | None, start: int, host: str) -> int:
    """How many bytes of the answer we have already."""
    if not start or status == 200:
        return start
    match = _RANGE.fullmatch((said or "").strip())
    if match is None or int(match[1]) != start:
        raise RegistryError(f"{host} answered with {(said or 'no range')[:60]!r} when asked for bytes from {start} on")
    return 0
