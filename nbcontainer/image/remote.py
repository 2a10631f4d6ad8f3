"""Images that come from registries and go there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbcontainer.errors import InvalidArgument, InvalidReference, NotFound
from nbcontainer.image.image import Image
from nbcontainer.image.reference import Reference
from nbcontainer.image.registry.manifest import Platform
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.shelf import Shelf
from nbcontainer.lab.handle import Handle

if TYPE_CHECKING:
    from nbcontainer.image.registry.search import Found

#: What can only be an id: no registry has images by it.
_BY_ID = re.compile(r"sha256:.*|[0-9a-f]{64}")


class Remote(Shelf):
    """The store, and the registries that its images are pulled from and pushed to."""

    def __init__(self, lab: Handle) -> None:
        super().__init__(lab)
        self._watchers: list[Progress] = []

    def pull(
        self, reference: str, *, all_tags: bool = False, platform: str | None = None, progress: Progress = nobody
    ) -> Image | Sequence[Image]:
        """Pull an image from its registry, or, with `all_tags`, all images of the repository.

        `platform` is `os/architecture[/variant]`, this machine's without it. `progress` and the watchers are told
        what happens. Ctrl-C ends it; the next pull goes on where it stopped. Raises `RegistryError`, `NotFound`,
        `ImageError`, `InvalidReference`, `InvalidArgument`.
        """
        from nbcontainer.image.registry import exchange  # only now: HTTP takes long to load

        wanted, home = [Reference.parse(reference)], self._lab.home.path
        tell = self._telling(progress)
        if all_tags:
            if ":" in reference.rpartition("/")[2] or "@" in reference:
                raise InvalidReference("tag can't be used with --all-tags/-a")
            wanted = exchange.tags(home, wanted[0], tell)
        pulled = exchange.pull(home, self._store, self._layers, wanted, platform, tell)
        images = [self._image(one.image_id) for one in pulled]
        return images if all_tags else images[0]

    def push(self, reference: str, *, progress: Progress = nobody) -> str:
        """Push an image to the registry that its name says; the digest it has there.

        Raises `RegistryError`, `NotFound`, `ImageError`, `InvalidReference`.
        """
        from nbcontainer.image.registry import exchange

        wanted = Reference.parse(reference)
        try:
            image = self.get(wanted.familiar)
        except NotFound:
            raise NotFound(f"An image does not exist locally with the tag: {wanted.repository}") from None
        if self.lies_on_host(image):
            raise InvalidArgument(f"{reference} cannot be pushed: it lies on this machine's root, which is no layer")
        home, tell = self._lab.home.path, self._telling(progress)
        made = exchange.push(home, self._store, image.id, image.diff_ids, wanted, tell)
        self._store.keep_manifest(image.id, made, f"{wanted.repository}@{made.digest}")
        return made.digest

    def provide(
        self, reference: str, pull: str = "missing", *, platform: str | None = None, progress: Progress = nobody
    ) -> Image:
        """The image to make a container from: pulled `always`, when it is `missing`, or `never`.

        Raises what `get` and `pull` raise.
        """
        try:
            here = self.get(reference)
        except NotFound:
            if pull == "never" or _BY_ID.fullmatch(reference):
                raise
            self._telling(progress)(Event(f"Unable to find image '{Reference.parse(reference)}' locally"))
        else:
            by_name = here is not self._host and here.id.removeprefix("sha256:").find(reference) != 0
            if not by_name or _BY_ID.fullmatch(reference):
                return here
            if pull != "always" and (platform is None or _fits(here, platform)):
                return here
            if pull == "never":
                raise NotFound(f"image with reference {reference} was found but does not match {platform}")
        pulled = self.pull(reference, platform=platform, progress=progress)
        assert isinstance(pulled, Image)
        return pulled

    def search(self, term: str, *, limit: int = 25) -> Sequence[Found]:
        """Repositories that Docker Hub, or with `HOST/TERM` that registry, lists. Raises `RegistryError`."""
        from nbcontainer.image.registry import exchange

        return exchange.search(self._lab.home.path, term, limit)

    def watch(self, callback: Progress) -> Callable[[], None]:
        """Call `callback(event)` for every step of a pull or push from now on; the function returned ends that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _telling(self, progress: Progress) -> Progress:
        def tell(event: Event) -> None:
            for one in (progress, *self._watchers):
                one(event)

        return tell


def _fits(image: Image, platform: str) -> bool:
    theirs = Platform(image.os, image.architecture, str(image.document.get("variant") or ""))
    return Platform.parse(platform).score(theirs) is not None
