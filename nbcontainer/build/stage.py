"""One stage of a build: its instructions in order, each step from the cache or done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbcontainer.build import copying, receive, root
from nbcontainer.build.events import BuildStep
from nbcontainer.build.options import PROXIES, platform
from nbcontainer.build.run_mounts import Mounts
from nbcontainer.build.running import Running, command
from nbcontainer.build.sources import FromStage, Sources, target_of, transfer
from nbcontainer.build.state import State
from nbcontainer.errors import CommandFailed, DockerfileError, InvalidArgument, NbcontainerError
from nbcontainer.image import host
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.parse import mounts, parse
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.stages import Stage
from nbcontainer.image.dockerfile.statements import read
from nbcontainer.image.dockerfile.words import ExpansionError, Words
from nbcontainer.image.dockerfile.wrong import Wrong
from nbcontainer.image.image import architecture
from nbcontainer.image.steps import Step

if TYPE_CHECKING:
    from nbcontainer.build.build import Build

#: Part of every key: to be changed when the same step would come out differently.
VERSION = 1
#: What makes a step of its own; the other instructions only describe the image.
_STEPS = (i.Copy, i.Run, i.Workdir)


class StageBuild:
    """The build of one stage of `build`. Call `run` once."""

    def __init__(self, build: Build, stage: Stage) -> None:
        self.build = build
        self.stage = stage
        self.escape = build.file.escape
        self.options = build.options
        self.state: State
        self.position = 0
        self.total = 0

    def run(self) -> State:
        """What the stage has become. Raises `DockerfileError`."""
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
                self.state = self.build.states[base.number].copied()
            else:
                wanted = self.stage.platform or self.options.platform
                self.state = self.build.image(self.stage.base, platform(wanted) if wanted else None)
            config = self.state.description.config
            triggers = [
                trigger for text in config.pop("OnBuild", None) or [] for trigger in self._trigger(text, opening)
            ]
        self.total = 1 + sum(isinstance(one, _STEPS) for one in (*triggers, *self.stage.instructions))
        step = self._step(f"FROM {self.stage.base}" + (f" AS {self.stage.name}" if self.stage.name else ""), opening)
        self.build.tell("done", step)
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
            self.build.used.add(name)
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
        tell, known = self.build.tell, self.build.builder.done
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
            self.build.tell("failed", step, _said(error))
            raise
        except KeyboardInterrupt:
            self.build.tell("failed", step, "interrupted")
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
                return running.make(key, lambda line: self.build.tell("output", step, line), self.options.epoch)

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
