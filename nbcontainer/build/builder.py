"""The builder of a lab: `lab.builder.build("path", tag="name")`."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbcontainer.build import run_mounts
from nbcontainer.build.build import Build
from nbcontainer.build.context import Context, find_dockerfile
from nbcontainer.build.events import BuildEvent
from nbcontainer.build.options import BuildOptions
from nbcontainer.container.containers import Containers
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.image import Image

Watcher = Callable[[BuildEvent], object]


class Builder:
    """Builds images with the containers of a lab, from what the cache has."""

    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        #: The steps that this lab has done, by their keys: done again, they are shown as cached.
        self.done: set[str] = set()
        self._watchers: list[Watcher] = []
        self._number = 0
        self._lock = threading.Lock()

    def build(
        self,
        context: str | Path | None = ".",
        *,
        dockerfile: str | None = None,
        file: str | Path | None = None,
        progress: Watcher | None = None,
        replay: bool = True,
        **raw: Any,
    ) -> Image:
        """Build the Dockerfile of the directory `context`, or `file`, or the text `dockerfile`; the image.

        Without a context there is nothing to COPY but from other stages. Options are those of `docker build`, dashes
        as underscores: `tag`, `build_arg`, `target`, `no_cache`, `pull`, `label`, `network`, `platform`, `secret`,
        `memory`, …. `progress` is called with each `BuildEvent`. What an earlier process has done is told as if it were
        done now, with what it printed then, so that a notebook's output repeats; without `replay` it is told as cached.

        Raises `DockerfileError`, whose message names the line; `NotFound`, `InvalidArgument`, `InvalidReference`.
        """
        options = BuildOptions.parse(**raw)
        path = Path(os.path.abspath(Path(context).expanduser())) if context is not None else None
        chosen = Path(file).expanduser() if file is not None else None
        if chosen is not None and path is not None and not chosen.is_file() and (path / chosen).is_file():
            chosen = path / chosen
        found = Context(path, chosen) if path is not None else None
        with self._lock:
            self._number += 1
            number = self._number

        def tell(event: BuildEvent) -> None:
            event = dataclasses.replace(event, build=number)
            for watcher in (*self._watchers, *([progress] if progress is not None else [])):
                watcher(event)

        try:
            if dockerfile is not None:
                source = Source("Dockerfile", dockerfile)
            else:
                source, _ = find_dockerfile(path or Path.cwd(), chosen)
            with tempfile.TemporaryDirectory(prefix="build-", dir=self.containers.lab.directory) as workspace:
                return Build(self, options, source, found, Path(workspace), tell, replay).run()
        finally:
            if found is not None:
                found.close()

    def watch(self, callback: Watcher) -> Callable[[], None]:
        """Call `callback(event)` for every event of every build from now on; the function returned ends that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def prune(self) -> tuple[int, int]:
        """Forget the cache, and what RUN's cache mounts hold: how many steps there were, and the bytes that this
        gives back."""
        self.done.clear()
        steps, size = self.containers.images.steps.prune()
        return steps, size + run_mounts.prune(self.containers.lab)
