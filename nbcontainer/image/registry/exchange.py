"""Pull and push as a whole, for the images of a store: away from the caller's thread, with events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nbcontainer.errors import Conflict, InvalidReference
from nbcontainer.image import host
from nbcontainer.image.layers import Layers
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry import search as find
from nbcontainer.image.registry.access import Access, explained
from nbcontainer.image.registry.manifest import Platform
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.registry.pull import Pull, Pulled
from nbcontainer.image.registry.push import Push
from nbcontainer.image.registry.search import Found
from nbcontainer.image.registry.transport import Patience
from nbcontainer.image.registry.work import Cancel, away
from nbcontainer.image.store import Manifest, Store

#: For tests and scripts in a hurry: seconds to wait for servers.
patience = Patience()


def pull(
    home: Path, store: Store, layers: Layers, references: Sequence[Reference], platform: str | None, progress: Progress
) -> list[Pulled]:
    """Pull these, one after the other. Raises `RegistryError`, `NotFound`, `ImageError`, `InvalidArgument`."""
    wanted = Platform.parse(platform) if platform else None
    for reference in references:
        if reference.repository == host.NAME:
            raise Conflict(f"the name {host.NAME} is taken: it is always this machine's own root")

    def work(tell: Progress, cancel: Cancel) -> list[Pulled]:
        access = Access(home, cancel, lambda text: tell(Event(text)), patience)
        return [Pull(store, layers, access, cancel, tell, wanted).run(reference) for reference in references]

    return away(work, progress)


def tags(home: Path, reference: Reference, progress: Progress) -> list[Reference]:
    """Every tag that the repository has at its registry. Raises `RegistryError`."""

    def work(tell: Progress, cancel: Cancel) -> list[str]:
        access = Access(home, cancel, lambda text: tell(Event(text)), patience)
        try:
            return access.first(reference.domain, lambda client: client.tags(reference.path))
        except Exception as error:
            raise explained(error, reference) from None

    found = away(work, progress)
    return [Reference(reference.domain, reference.path, tag) for tag in found]


def push(
    home: Path,
    store: Store,
    image_id: str,
    diff_ids: Sequence[str],
    reference: Reference,
    progress: Progress,
) -> Manifest:
    """Push an image under this name. Raises `RegistryError`, `NotFound`, `ImageError`."""
    if reference.digest:
        raise InvalidReference("cannot push a digest reference")
    origins = [Reference.parse(name) for name in store.names_of(image_id)]

    def work(tell: Progress, cancel: Cancel) -> Manifest:
        access = Access(home, cancel, lambda text: tell(Event(text)), patience)
        with store.workspace() as workspace:
            return Push(store, access, cancel, tell, workspace).run(image_id, diff_ids, reference, origins)

    return away(work, progress)


def search(home: Path, term: str, limit: int) -> list[Found]:
    """Repositories. Raises `RegistryError`, `InvalidArgument`."""

    def work(tell: Progress, cancel: Cancel) -> list[Found]:
        return find.search(Access(home, cancel, patience=patience), term, limit)

    return away(work, nobody)
