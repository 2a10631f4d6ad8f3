"""One build: its stages one after the other, then the image."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.build import root
from nbcontainer.build.context import Context
from nbcontainer.build.events import Action, BuildEvent, BuildStep
from nbcontainer.build.options import PROXIES, BuildOptions, automatic
from nbcontainer.build.stage import VERSION, StageBuild
from nbcontainer.build.state import State
from nbcontainer.container.containers import Containers
from nbcontainer.errors import NotFound
from nbcontainer.image import commit
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.stages import Dockerfile, Stage, dockerfile
from nbcontainer.image.dockerfile.words import Words
from nbcontainer.image.image import Image
from nbcontainer.image.steps import Step

if TYPE_CHECKING:
    from nbcontainer.build.builder import Builder

#: The base of an image of nothing.
SCRATCH = "scratch"
#: The frontends whose Dockerfiles are read here.
_OURS = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@].*)?")


class Build:
    """A build of `source`. Call `run` once."""

    def __init__(
        self,
        builder: Builder,
        options: BuildOptions,
        source: Source,
        context: Context | None,
        workspace: Path,
        tell: Callable[[BuildEvent], object],
        replay: bool,
    ) -> None:
        self.builder = builder
        self.containers: Containers = builder.containers
        self.images = builder.containers.images
        self.options = options
        self.context = context
        self.workspace = workspace
        self._told = tell
        self.replay = replay
        self.automatic = automatic(options.platform)
        self.file: Dockerfile = dockerfile(source, options.build_args, self.automatic)
        #: What the stages that are done have become, by their number.
        self.states: dict[int, State] = {}
        self._images: dict[str, State] = {}
        self._number = 0
        #: The names of build arguments that some ARG has asked for.
        self.used: set[str] = set()

    def run(self) -> Image:
        """Build the target; the image. Raises `DockerfileError`, and whatever the image store raises."""
        for warning in self.file.warnings:
            self.tell("warning", None, warning)
        frontend = self.file.directives.get("syntax", "")
        if frontend and not _OURS.fullmatch(frontend):
            self.tell(
                "warning", None, f"# syntax={frontend} is not used: Dockerfiles are read as docker/dockerfile:1 does"
            )
        target = self.file.target(self.options.target)
        for stage in self.file.needed(target, self._origin):
            self.states[stage.number] = StageBuild(self, stage).run()
        unused = sorted(set(self.options.build_args) - self.used - {*PROXIES, *self.automatic, "SOURCE_DATE_EPOCH"})
        if unused:
            self.tell("warning", None, f"one or more build-args {unused} were not consumed")
        return self._export(self.states[target.number])

    def _origin(self, instruction: i.Instruction, word: str) -> str:
        """What variables can say of a stage's name before the stage is built: those that need no ENV."""
        given = {**self.automatic, **{k: v for k, v in self.file.arguments.items() if v is not None}}
        return Words(self.file.escape, keep_unset=True).expand(word, {**given, **self.options.build_args})

    def _export(self, state: State) -> Image:
        step = self.new_step("exporting to image")
        if self.options.labels:
            labels = {**(state.description.config.get("Labels") or {}), **self.options.labels}
            state.description.config["Labels"] = labels
        image = self.images.add(state.finished(self._moment(state)), self.options.tags)
        for tag in self.options.tags:
            self.tell("output", step, f"naming to {tag}")
        self.tell("done", step)
        return image

    def _moment(self, state: State) -> str:
        """When the image was made: the same image, made again from the cache, has the same time, and so the same id."""
        whole = json.dumps([VERSION, state.document(), self.options.epoch], sort_keys=True)
        key = hashlib.sha256(whole.encode()).hexdigest()
        found = None if self.options.no_cache else self.images.steps.find(key)
        if found is None:
            found = self.images.steps.note(Step(key, "", "", commit.moment(self.options.epoch)))
        return found.created

    # -- progress

    def new_step(self, what: str, stage: str = "", position: int = 0, total: int = 0, line: int = 0) -> BuildStep:
        """The next step, which starts."""
        self._number += 1
        step = BuildStep(self._number, stage, position, total, what, line)
        self.tell("start", step)
        return step

    def tell(self, action: Action, step: BuildStep | None, text: str = "", replayed: bool = False) -> None:
        """Something happened: see `BuildEvent`."""
        self._told(BuildEvent(action, step, text, replayed))

    # -- from other stages, and images

    def state_of(self, name: str, stage: Stage) -> State:
        """What a stage, or an image, that `stage` takes something from has become. Raises `NotFound`."""
        other = self.file.stage(name, stage.number)
        return self.states[other.number] if other is not None else self.image(name, None)

    def image(self, name: str, wanted: str | None) -> State:
        """An image as a stage begins with it. Raises `NotFound`, `InvalidReference`."""
        if name.lower() == SCRATCH:
            state = State.of(self.images.unfinished(root.scratch()))
            if wanted is not None:
                system, kind, *variant = wanted.split("/")
                state.base = {"os": system, "architecture": kind, **({"variant": variant[0]} if variant else {})}
            return state
        known = self._images.get(name)
        if known is None:
            known = self._images[name] = State.of(self._find(name, wanted))
        state = known.copied()
        found = "/".join(filter(None, (state.base.get("os"), state.base.get("architecture"))))
        if wanted is not None and not wanted.startswith(found):
            raise NotFound(
                f"image with reference {name} was found but its platform ({found}) does not match the specified "
                f"platform ({wanted})"
            )
        return state

    def _find(self, name: str, wanted: str | None) -> Image:
        return self.images.provide(name, "always" if self.options.pull else "missing", platform=wanted)
