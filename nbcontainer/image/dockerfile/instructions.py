"""The instructions of a Dockerfile, one class each. What may hold variables has `expanded`.

Dockerfile reference. `nbcontainer.image.dockerfile.parse` makes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from nbcontainer.image.dockerfile.statements import Heredoc, Statement

#: What replaces the variables in a word.
Expand = Callable[[str], str]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Instruction:
    """Any of them, with the statement it was written as."""

    statement: Statement

    def expanded(self, expand: Expand) -> Self:
        """With its variables replaced. Raises `ExpansionError`."""
        return self


def _pairs(pairs: Pairs, expand: Expand) -> Pairs:
    return tuple((expand(key), expand(value)) for key, value in pairs)


@dataclass(frozen=True)
class From(Instruction):
    """FROM [--platform=PLATFORM] BASE [AS NAME]; its variables are those declared before the first FROM."""

    base: str
    name: str
    platform: str

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, base=expand(self.base), platform=expand(self.platform))


@dataclass(frozen=True)
class Arg(Instruction):
    """ARG NAME[=DEFAULT]…"""

    names: tuple[tuple[str, str | None], ...]

    def expanded(self, expand: Expand) -> Self:
        names = tuple((expand(name), None if value is None else expand(value)) for name, value in self.names)
        return dataclasses.replace(self, names=names)


@dataclass(frozen=True)
class Env(Instruction):
    """ENV NAME=VALUE… or ENV NAME VALUE."""

    pairs: Pairs

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, pairs=_pairs(self.pairs, expand))


@dataclass(frozen=True)
class Label(Instruction):
    """LABEL KEY=VALUE…"""

    pairs: Pairs

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, pairs=_pairs(self.pairs, expand))


@dataclass(frozen=True)
class Copy(Instruction):
    """COPY SOURCE… TARGET; here-documents are sources too, in the order they are written."""

    sources: tuple[str | Heredoc, ...]
    target: str
    origin: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(
            self,
            sources=tuple(source if isinstance(source, Heredoc) else expand(source) for source in self.sources),
            target=expand(self.target),
            origin=expand(self.origin),
            chown=expand(self.chown),
            chmod=expand(self.chmod),
            exclude=tuple(map(expand, self.exclude)),
        )


@dataclass(frozen=True)
class Add(Copy):
    """ADD: as COPY, and archives are unpacked, and a source may be a URL. `unpack` None means by kind of source."""

    checksum: str = ""
    unpack: bool | None = None

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(super().expanded(expand), checksum=expand(self.checksum))


@dataclass(frozen=True)
class Mount:
    """One RUN --mount."""

    kind: str = "bind"
    target: str = ""
    source: str = ""
    origin: str = ""
    id: str = ""
    sharing: str = "shared"
    read_only: bool = True
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""


@dataclass(frozen=True)
class Run(Instruction):
    """RUN: `words` are one text for the shell, or with `shell` false the program and its arguments."""

    words: tuple[str, ...]
    shell: bool
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"


@dataclass(frozen=True)
class Cmd(Instruction):
    """CMD: words as RUN's."""

    words: tuple[str, ...]
    shell: bool


@dataclass(frozen=True)
class Entrypoint(Instruction):
    """ENTRYPOINT: words as RUN's."""

    words: tuple[str, ...]
    shell: bool


@dataclass(frozen=True)
class Healthcheck(Instruction):
    """HEALTHCHECK: the image config's Healthcheck."""

    check: dict[str, Any]


@dataclass(frozen=True)
class Expose(Instruction):
    """EXPOSE PORT[-PORT][/PROTOCOL]…: a variable may hold several."""

    text: str


@dataclass(frozen=True)
class Volume(Instruction):
    """VOLUME PATH…"""

    paths: tuple[str, ...]

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, paths=tuple(map(expand, self.paths)))


@dataclass(frozen=True)
class User(Instruction):
    """USER USER[:GROUP]"""

    user: str

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, user=expand(self.user))


@dataclass(frozen=True)
class Workdir(Instruction):
    """WORKDIR PATH"""

    path: str

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, path=expand(self.path))


@dataclass(frozen=True)
class Shell(Instruction):
    """SHELL [PROGRAM, ARGUMENT…]"""

    words: tuple[str, ...]


@dataclass(frozen=True)
class StopSignal(Instruction):
    """STOPSIGNAL SIGNAL"""

    signal: str

    def expanded(self, expand: Expand) -> Self:
        return dataclasses.replace(self, signal=expand(self.signal))


@dataclass(frozen=True)
class OnBuild(Instruction):
    """ONBUILD INSTRUCTION: kept as text, and read when another image is built on this one."""

    text: str


@dataclass(frozen=True)
class Maintainer(Instruction):
    """MAINTAINER NAME"""

    name: str
