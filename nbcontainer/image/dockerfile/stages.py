"""A Dockerfile as stages: what each is built from, its instructions, and which other stages it needs.

Dockerfile reference, "FROM", "Understand how ARG and FROM interact"; BuildKit's rules for what is left open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from nbcontainer.errors import DockerfileError, NotFound
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.parse import mounts, parse
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.statements import Statement, read
from nbcontainer.image.dockerfile.words import ExpansionError, Words
from nbcontainer.image.dockerfile.wrong import Wrong, nearest

T = TypeVar("T")


@dataclass
class Stage:
    """FROM and all that follows it. `base` has its variables replaced."""

    number: int
    name: str
    opening: i.From
    base: str
    platform: str
    instructions: list[i.Instruction] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its name, or `stage-N`, as BuildKit's progress has it."""
        return self.name or f"stage-{self.number}"


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile, read. `arguments` are those declared before the first FROM, with their values."""

    source: Source
    escape: str
    directives: dict[str, str]
    stages: tuple[Stage, ...]
    arguments: dict[str, str | None]
    warnings: tuple[str, ...]

    def stage(self, name: str, before: int | None = None) -> Stage | None:
        """The stage of this name or number, looked for among those before number `before`."""
        known = self.stages if before is None else self.stages[:before]
        for stage in reversed(known):
            if stage.name and stage.name == name.lower():
                return stage
        return known[int(name)] if name.isdigit() and int(name) < len(known) else None

    def target(self, name: str | None) -> Stage:
        """The stage that `--target` means; without it the last one. Raises `NotFound`."""
        if name is None:
            return self.stages[-1]
        found = self.stage(name)
        if found is None:
            names = [stage.name for stage in self.stages if stage.name]
            raise NotFound(f"target stage {name} could not be found in {self.source.name}{nearest(name, names)}")
        return found

    def needed(self, target: Stage, resolve: Callable[[i.Instruction, str], str]) -> list[Stage]:
        """`target` and every stage it is made from or copies from, in the order of the file.

        `resolve(instruction, word)` replaces what variables it can in what a stage is named by.
        """
        wanted = {target.number}
        for stage in reversed(self.stages[: target.number + 1]):
            if stage.number in wanted:
                wanted |= {other.number for other in self._origins(stage, resolve)}
        return [stage for stage in self.stages if stage.number in wanted]

    def _origins(self, stage: Stage, resolve: Callable[[i.Instruction, str], str]) -> list[Stage]:
        names = [stage.base]
        for instruction in stage.instructions:
            if isinstance(instruction, i.Copy) and instruction.origin:
                names.append(resolve(instruction, instruction.origin))
            elif isinstance(instruction, i.Run):
                names += [mount.origin for mount in self._mounts(instruction, resolve) if mount.origin]
        return [found for name in names if (found := self.stage(name, stage.number)) is not None]

    @staticmethod
    def _mounts(run: i.Run, resolve: Callable[[i.Instruction, str], str]) -> tuple[i.Mount, ...]:
        return at(run, lambda: mounts(run, lambda word: resolve(run, word)))


def at(instruction: i.Instruction, act: Callable[[], T]) -> T:
    """What `act()` gives; what is wrong with a value is said with the instruction's place. Raises `DockerfileError`."""
    try:
        return act()
    except (Wrong, ExpansionError) as error:
        statement = instruction.statement
        raise statement.source.error(str(error), statement.start, statement.end) from None


def dockerfile(source: Source, build_args: Mapping[str, str], automatic: Mapping[str, str]) -> Dockerfile:
    """Read a Dockerfile. `build_args` are `--build-arg`, `automatic` those that every build has (TARGETPLATFORM, …).

    Raises `DockerfileError`.
    """
    statements = read(source)
    words = Words(statements.escape)
    stages: list[Stage] = []
    arguments: dict[str, str | None] = {}
    for statement in statements.statements:
        instruction = parse(statement, statements.escape)
        env = {**automatic, **{key: value for key, value in arguments.items() if value is not None}}
        if isinstance(instruction, i.From):
            found = _expanded(instruction, words, env)
            if not found.base:
                raise _error(statement, f"base name ({instruction.base}) should not be blank")
            stages.append(Stage(len(stages), found.name, instruction, found.base, found.platform))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif isinstance(instruction, i.Arg):
            # One by one: a later one may use an earlier one.
            for name, value in instruction.names:
                one = _word(instruction, words, name, env)
                arguments[one] = build_args.get(one, None if value is None else _word(instruction, words, value, env))
                if (made := arguments[one]) is not None:
                    env[one] = made
        else:
            raise _error(statement, f"no build stage in current context: {statement.name} comes before the first FROM")
    if not stages:
        last = statements.statements[-1]
        raise _error(last, "no build stage in current context: there is no FROM")
    return Dockerfile(source, statements.escape, statements.directives, tuple(stages), arguments, statements.warnings)


def _error(statement: Statement, message: str) -> DockerfileError:
    return statement.source.error(f"dockerfile parse error on line {statement.start}: {message}", statement.start)


def _expanded(instruction: i.From, words: Words, env: Mapping[str, str]) -> i.From:
    try:
        return instruction.expanded(lambda word: words.expand(word, env))
    except ExpansionError as error:
        raise _error(instruction.statement, str(error)) from None


def _word(instruction: i.Arg, words: Words, text: str, env: Mapping[str, str]) -> str:
    try:
        return words.expand(text, env)
    except ExpansionError as error:
        raise _error(instruction.statement, str(error)) from None
