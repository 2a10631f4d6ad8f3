"""The root of a stage while a step works on it, or takes from it: a container's, which is made and may never run."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterator
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
    image = containers.images.unfinished(document)
    made: list[Container] = []
    try:
        uninterrupted(lambda: made.append(containers.create(image, command, counted=False, **raw)))
        yield made[0]
    finally:
        uninterrupted(lambda: _remove(made))


def _remove(made: list[Container]) -> None:
    for container in made:
        container.remove(force=True)


def uninterrupted(act: Callable[[], object]) -> None:
    """Do it to its end, in another thread: Ctrl-C meanwhile is raised after that. Raises what `act` raises."""
    failed: list[BaseException] = []
    claimed, done = threading.Lock(), threading.Event()

    def run() -> None:
        if not claimed.acquire(blocking=False):
            return  # Ctrl-C came just after the start: it was started once more
        try:
            act()
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    started = pressed = False
    while not done.is_set():
        try:
            if not started:
                # Not Thread.start, which Ctrl-C can leave half-done.
                _thread.start_new_thread(run, ())
                started = True
            done.wait()
        except KeyboardInterrupt:
            pressed = True
    if failed:
        raise failed[0]
    if pressed:
        raise KeyboardInterrupt


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
