"""A root of many layers: more than the options of one mount(2) have room for by their paths."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.image.build import docker, entry, layer, tree


def test_more_layers_than_paths_fit(lab: Any, tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("not installed: busybox-static")
    program = (entry("busybox", mode=0o755), Path(busybox).read_bytes())
    layers = [layer(program), *(tree({f"layers/{number:03}": b"x"}) for number in range(120))]
    (tmp_path / "many.tar").write_bytes(docker(layers, ["many:1"]))
    lab.images.load(tmp_path / "many.tar")
    c = lab.containers.run("many:1", ["/busybox", "ls", "/layers"])
    assert c.logs().split() == [f"{number:03}" for number in range(120)]
    assert c.diff() == []
