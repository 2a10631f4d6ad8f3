"""The root of a stage while a step works on it, or takes from it: a container's, which is made and may never run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nbcontainer.container import files
from nbcontainer.container.container import Container
from nbcontainer.container.containers import Containers
from nbcontainer.image.image import architecture
from nbcontainer.image.steps import Step


@contextmanager
def step_container(
    containers: Containers, document: dict[str, Any], command: tuple[str, ...] = ("-",), **raw: Any
) -> Iterator[Container]:
    """A container of the image that `document` describes, which goes at the end whatever happens."""
    container = containers.create(containers.images.unfinished(document), command, counted=False, **raw)
    try:
        yield container
    finally:
        container.remove(force=True)


def request(container: Container) -> dict[str, Any]:
    """What a function inside the lab needs to enter its root: `container.changes.enter_root`."""
    return {"overlays": container.overlays, "driver": container.owner.driver}


def keep(container: Container, key: str, log: str = "", epoch: int | None = None) -> Step:
    """Keep what was written in it as what the step `key` has made."""
    images, driver = container.owner.images, container.owner.driver
    return images.steps.keep(key, files.written(container), driver, log, epoch)


def scratch() -> dict[str, Any]:
    """The config of an image of nothing."""
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }
