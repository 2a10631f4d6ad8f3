"""Stages, and the variables of FROM."""

from __future__ import annotations

import pytest

from nbcontainer.errors import DockerfileError, NotFound
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.stages import Dockerfile, dockerfile


def read(text: str, **build_args: str) -> Dockerfile:
    return dockerfile(Source("Dockerfile", text), build_args, {"TARGETPLATFORM": "linux/amd64"})


def needed(text: str, target: str | None = None) -> list[int]:
    found = read(text)
    return [stage.number for stage in found.needed(found.target(target), lambda _, word: word)]


def test_arguments_before_from() -> None:
    text = "ARG V=1\nARG B=a:$V\nARG C\nFROM --platform=$TARGETPLATFORM $B AS x\nFROM b:${V}${C}"
    assert [stage.base for stage in read(text).stages] == ["a:1", "b:1"]
    assert [stage.base for stage in read(text, V="2", C="c").stages] == ["a:2", "b:2c"]
    assert read(text).stages[0].platform == "linux/amd64"
    assert read(text, V="2").arguments == {"V": "2", "B": "a:2", "C": None}


def test_arguments_of_a_stage_are_not_those_of_from() -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:3: .*base name \(\$A\) should not be blank"):
        read("FROM x\nARG A=1\nFROM $A")


@pytest.mark.parametrize("text", ["RUN a\nFROM x", "ENV a=b\nFROM x", "ARG a"])
def test_before_the_first_from(text: str) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:1: .*no build stage in current context"):
        read(text)


TEXT = """FROM a AS base
FROM base AS unused
RUN x
FROM base AS tools
FROM b AS build
RUN --mount=type=bind,from=tools,target=/t make
FROM c
COPY --from=build /a /b
COPY --from=1 /a /b
FROM d AS last
COPY --from=4 /x /y
"""


def test_only_what_is_needed_is_built() -> None:
    assert needed(TEXT) == [0, 1, 2, 3, 4, 5]
    assert needed(TEXT, "build") == [0, 2, 3]
    assert needed(TEXT, "2") == [0, 2]
    assert needed(TEXT, "BASE") == [0]


def test_a_stage_that_is_not_there() -> None:
    with pytest.raises(NotFound, match=r"target stage buidl could not be found in Dockerfile \(did you mean build\?\)"):
        needed(TEXT, "buidl")


def test_a_later_stage_is_no_origin() -> None:
    assert needed("FROM a\nCOPY --from=later x y\nFROM b AS later", "0") == [0]
