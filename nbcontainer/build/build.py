"""One build: its stages one after the other, each step from the cache or done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcontainer.build import copying, receive, root
from nbcontainer.build.context import Context
from nbcontainer.build.events import Action, BuildEvent, BuildStep
from nbcontainer.build.options import PROXIES, BuildOptions, automatic, platform
from nbcontainer.build.run_mounts import Mounts
from nbcontainer.build.running import Running, command
from nbcontainer.build.sources import FromStage, Sources, target_of, transfer
from nbcontainer.build.state import State
from nbcontainer.container.containers import Containers
from nbcontainer.errors import CommandFailed, DockerfileError, InvalidArgument, NbcontainerError, NotFound
from nbcontainer.image import commit, host
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.parse import mounts, parse
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.stages import Dockerfile, Stage, dockerfile
from nbcontainer.image.dockerfile.statements import read
from nbcontainer.image.dockerfile.words import ExpansionError, Words
from nbcontainer.image.dockerfile.wrong import Wrong
from nbcontainer.image.image import Image, architecture
from nbcontainer.image.steps import Step

if TYPE_CHECKING:
    from nbcontainer.build.builder import Builder

#: Part of every key: to be changed when the same step would come out differently.
VERSION = 1
#: The base of an image of nothing.
SCRATCH = "scratch"
#: The frontends whose Dockerfiles are read here.
_OURS = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@].*)?")
#: What makes a step of its own; the other instructions only describe the image.
_STEPS = (i.Copy, i.Run, i.Workdir)


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
        self._states: dict[int, State] = {}
        self._images: dict[str, State] = {}
        self._number = 0
        self._used: set[str] = set()

    def run(self) -> Image:
        """Build the target; the image. Raises `DockerfileError`, and whatever the image store raises."""
        for warning in self.file.warnings:
            self._tell("warning", None, warning)
        frontend = self.file.directives.get("syntax", "")
        if frontend and not _OURS.fullmatch(frontend):
            self._tell(
                "warning", None, f"# syntax={frontend} is not used: Dockerfiles are read as docker/dockerfile:1 does"
            )
        target = self.file.target(self.options.target)
        for stage in self.file.needed(target, self._origin):
            self._states[stage.number] = _StageBuild(self, stage).run()
        unused = sorted(set(self.options.build_args) - self._used - {*PROXIES, *self.automatic, "SOURCE_DATE_EPOCH"})
        if unused:
            self._tell("warning", None, f"one or more build-args {unused} were not consumed")
        return self._export(self._states[target.number])

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
            self._tell("output", step, f"naming to {tag}")
        self._tell("done", step)
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
        self._tell("start", step)
        return step

    def _tell(self, action: Action, step: BuildStep | None, text: str = "", replayed: bool = False) -> None:
        self._told(BuildEvent(action, step, text, replayed))

    # -- from other stages, and images

    def state_of(self, name: str, stage: Stage) -> State:
        """What a stage, or an image, that `stage` takes something from has become. Raises `NotFound`."""
        other = self.file.stage(name, stage.number)
        return self._states[other.number] if other is not None else self.image(name, None)

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


class _StageBuild:
    """The build of one stage."""

    def __init__(self, build: Build, stage: Stage) -> None:
        self.build = build
        self.stage = stage
        self.escape = build.file.escape
        self.options = build.options
        self.state: State
        self.position = 0
        self.total = 0

    def run(self) -> State:
        triggers = self._begin()
        instructions = [*triggers, *self.stage.instructions]
        for instruction in instructions:
            with _placed(instruction):
                self._do(instruction)
        return self.state

    # -- FROM

    def _begin(self) -> list[i.Instruction]:
        """Begin with the base; the instructions that it has left for those who build on it."""
        opening = self.stage.opening
        with _placed(opening):
            base = self.build.file.stage(self.stage.base, self.stage.number)
            if base is not None:
                self.state = self.build._states[base.number].copied()
            else:
                wanted = self.stage.platform or self.options.platform
                self.state = self.build.image(self.stage.base, platform(wanted) if wanted else None)
            config = self.state.description.config
            triggers = [
                trigger for text in config.pop("OnBuild", None) or [] for trigger in self._trigger(text, opening)
            ]
        self.total = 1 + sum(isinstance(one, _STEPS) for one in (*triggers, *self.stage.instructions))
        step = self._step(f"FROM {self.stage.base}" + (f" AS {self.stage.name}" if self.stage.name else ""), opening)
        self.build._tell("done", step)
        return triggers

    def _trigger(self, text: str, opening: i.From) -> list[i.Instruction]:
        """ONBUILD's instruction. It has no line of its own: what is wrong with it is said of FROM."""
        place = opening.statement
        try:
            found = read(Source("ONBUILD", text))
            moved = [
                dataclasses.replace(one, source=place.source, start=place.start, end=place.end)
                for one in found.statements
            ]
            return [parse(one, found.escape) for one in moved]
        except DockerfileError as error:
            raise Wrong(f"ONBUILD {text}: {str(error).partition(': ')[2]}") from None

    def _step(self, what: str, instruction: i.Instruction) -> BuildStep:
        self.position += 1
        name = self.stage.title if len(self.build.file.stages) > 1 else ""
        return self.build.new_step(what, name, self.position, self.total, instruction.statement.start)

    # -- one by one

    def _do(self, instruction: i.Instruction) -> None:
        if isinstance(instruction, i.Arg):
            self._arg(instruction)
        elif isinstance(instruction, i.Run):
            self._run(instruction)
        elif isinstance(instruction, i.Copy):
            self._copy(instruction)
        elif isinstance(instruction, i.Maintainer):
            self.state.base["author"] = instruction.name
            self._describe(f"MAINTAINER {instruction.name}")
        else:
            said = self.state.description.apply(instruction, self.state.env, self.escape)
            if isinstance(instruction, i.Workdir):
                self._workdir(instruction, said)
            else:
                self._describe(said)

    def _describe(self, said: str) -> None:
        self.state.record(said)

    def _expand(self, word: str) -> str:
        return Words(self.escape).expand(word, self.state.env)

    def _arg(self, arg: i.Arg) -> None:
        said = []
        for name, default in arg.names:
            name = self._expand(name)
            value = None if default is None else self._expand(default)
            self.build._used.add(name)
            if name in self.options.build_args:
                value = self.options.build_args[name]
            elif value is None:
                value = self.build.file.arguments.get(name)
                value = self.build.automatic.get(name) if value is None else value
            self.state.arguments.pop(name, None)
            self.state.arguments[name] = value
            said.append(name if value is None else f"{name}={value}")
        self._describe("ARG " + " ".join(said))

    # -- steps

    def _cached_or(self, step: BuildStep, parts: list[Any], make: Callable[[str], Step], kind: str) -> Step:
        """What the cache has for the step, or what `make` gives for its key."""
        tell, known = self.build._tell, self.build.builder.done
        key = self._key(kind, parts)
        found = None if self.options.no_cache else self.build.images.steps.find(key)
        if found is None:
            found = make(key)
            tell("done", step)
        elif key in known or not self.build.replay:
            tell("cached", step)
        else:
            # Done by an earlier process: the output is as it was then, so that a notebook's repeats.
            for line in found.log.split("\n") if found.log else ():
                tell("output", step, line, replayed=True)
            tell("done", step, replayed=True)
        known.add(key)
        return found

    def _key(self, kind: str, parts: list[Any]) -> str:
        single = self.build.containers.lab.idmap.single
        on_host = self.state.base.get(host.BASE)
        whole = [VERSION, single, on_host, architecture(), self.state.diff_ids, self.options.epoch, kind, parts]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()

    @contextmanager
    def _telling(self, step: BuildStep) -> Iterator[None]:
        try:
            yield
        except (NbcontainerError, Wrong, ExpansionError, OSError) as error:
            self.build._tell("failed", step, _said(error))
            raise
        except KeyboardInterrupt:
            self.build._tell("failed", step, "interrupted")
            raise

    def _workdir(self, instruction: i.Workdir, said: str) -> None:
        step = self._step(instruction.statement.text, instruction)
        path, user = self.state.workdir, self.state.description.config.get("User") or ""

        def make(key: str) -> Step:
            with root.step_container(self.build.containers, self.state.document()) as container:
                container.lab.call(receive.make_directory, root.request(container), path, user)
                return root.keep(container, key, "", self.options.epoch)

        with self._telling(step):
            found = self._cached_or(step, [path, user], make, "WORKDIR")
        self.state.record(said, found)

    def _copy(self, instruction: i.Copy) -> None:
        step = self._step(_titled(instruction), instruction)
        with self._telling(step):
            copy = instruction.expanded(self._expand)
            copying.check(copy)
            target = target_of(self.state.workdir, copy.target)
            with self._sources(copy) as sources, self._on_host():

                def make(key: str) -> Step:
                    with root.step_container(self.build.containers, self.state.document()) as container:
                        transfer(container.lab, sources, container, target, copy.chown, copy.chmod)
                        return root.keep(container, key, "", self.options.epoch)

                parts = [target, copy.chown, copy.chmod, sources.digest()]
                found = self._cached_or(step, parts, make, "COPY")
        self.state.record(instruction.statement.text, found)

    @contextmanager
    def _on_host(self) -> Iterator[None]:
        """What cannot be written because it is the machine's own. Raises `InvalidArgument`."""
        try:
            yield
        except PermissionError as error:
            if not self.state.base.get(host.BASE):
                raise
            raise InvalidArgument(
                f"{error.filename}: permission denied: what is in the image host is this machine's own; take another "
                "directory, such as /srv"
            ) from None

    @contextmanager
    def _sources(self, copy: i.Copy) -> Iterator[Sources]:
        if not copy.origin:
            env = self.state.env
            home, workspace = self.build.containers.lab.home.path, self.build.workspace
            with copying.from_context(copy, self.build.context, env, self.escape, home, workspace) as sources:
                yield sources
            return
        words = [source for source in copy.sources if isinstance(source, str)]
        if len(words) != len(copy.sources):
            raise Wrong("COPY --from cannot take a here-document")
        document = self.build.state_of(copy.origin, self.stage).document()
        yield FromStage(self.build.containers, document, words, copy.parents, copy.exclude)

    def _run(self, instruction: i.Run) -> None:
        step = self._step(_titled(instruction), instruction)
        with self._telling(step):
            if instruction.security == "insecure":
                raise Wrong("RUN --security=insecure is not allowed: a build gives nobody more than a container has")
            words, scripts = command(instruction, self.state.description.shell, self.escape)
            running = Running(
                self.build.containers,
                self.state,
                words,
                self.state.env,
                {name: value for name, value in self.options.build_args.items() if name in PROXIES},
                Mounts(
                    self.build.containers,
                    self.build.context,
                    lambda name: self.build.state_of(name, self.stage).document(),
                    self.options.secrets,
                    self.state.workdir,
                    mounts(instruction, self._expand),
                    scripts,
                ),
                {**self.options.for_run, "network": self._network(instruction)},
            )

            def make(key: str) -> Step:
                return running.make(key, lambda line: self.build._tell("output", step, line), self.options.epoch)

            scripted = sorted((path, text.decode()) for path, text in scripts.items())
            found = self._cached_or(step, [*running.key(), scripted], make, "RUN")
        self.state.record(self._created_by(words), found)

    def _network(self, instruction: i.Run) -> str:
        asked = self.options.network if instruction.network == "default" else instruction.network
        return "bridge" if asked == "default" else asked

    def _created_by(self, words: list[str]) -> str:
        """As BuildKit's histories have it: the arguments that were in scope, then the command."""
        given = [f"{name}={value}" for name, value in self.state.arguments.items() if value is not None]
        return " ".join(["RUN", *([f"|{len(given)}", *given] if given else []), *words])


def _titled(instruction: i.Instruction) -> str:
    """The instruction as it is written; of here-documents the first line."""
    statement = instruction.statement
    lines = [line.strip() for one in statement.heredocs for line in one.text.splitlines() if line.strip()]
    return statement.text + (f" ({lines[0]}{'…' if len(lines) > 1 else ''})" if lines else "")


@contextmanager
def _placed(instruction: i.Instruction) -> Iterator[None]:
    """What goes wrong is said with the place of the instruction. Raises `DockerfileError`."""
    try:
        yield
    except DockerfileError:
        raise
    except (NbcontainerError, Wrong, ExpansionError, OSError) as error:
        statement = instruction.statement
        code = error.exit_code if isinstance(error, CommandFailed) else 1
        raise statement.source.error(_said(error), statement.start, statement.end, code) from None


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    return str(error)
