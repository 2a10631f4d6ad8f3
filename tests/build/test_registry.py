"""What a build takes from a registry: a real one, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import DockerfileError
from tests.registries import PROGRAM, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    if PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    with Registry(tmp_path) as registry:
        yield registry


def test_bases_are_pulled(build: Any, registry: Registry) -> None:
    name = f"{registry.host}/base:v1"
    images = build.lab.images
    pushed = build("FROM busybox\nRUN echo pushed > /pushed\nONBUILD ENV FROM_BASE=1\n", tag=name)
    images.push(name)
    images.remove(name)
    image = build(f"FROM busybox AS one\nCOPY --from={name} /pushed /x\nFROM {name}\nCOPY --from=one /x /y\n")
    assert build.said(image, "cat /y /pushed; echo $FROM_BASE") == "pushed\npushed\n1\n"
    assert images.get(name).id == pushed.id
    build("FROM busybox\nRUN echo newer > /pushed\n", tag=name)
    images.push(name)
    images.tag(pushed.id, name)
    build(f"FROM {name}\nRUN cat /pushed\n")
    assert "#2 pushed" in build.text
    build(f"FROM {name}\nRUN cat /pushed\n", pull=True)
    assert "#2 newer" in build.text
    with pytest.raises(DockerfileError, match=r"^Dockerfile:2: .*not found"):
        build(f"\nFROM {registry.host}/base:v9\n")
