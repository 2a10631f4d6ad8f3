"""A registry for a module's tests, images to push there, and nothing of whoever runs the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.image.registry import exchange
from nbcontainer.image.registry.transport import Patience
from tests.image.build import docker, tree
from tests.registries import PROGRAM, Registry

LAYERS = [
    tree({"etc": None, "etc/a": b"lower", "gone": b"lower"}),
    tree({"etc": None, "etc/a": b"upper" * 50_000, ".wh.gone": b""}),
]


@pytest.fixture(autouse=True)
def nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login, no settings, no proxy of the user's; and servers get little time, so that tests end."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    monkeypatch.setattr(exchange, "patience", Patience(between=0.01, most=2.0))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


def load(lab: Any, tmp_path: Path, name: str, layers: list[bytes] | None = None) -> Any:
    """An image of this name in the lab's store."""
    (tmp_path / "archive").write_bytes(docker(layers or LAYERS, [name]))
    (image,) = lab.images.load(tmp_path / "archive")
    return image


def left(lab: Any) -> list[str]:
    """All that the store has on disk, but the database and the files that say who uses it."""
    top = lab.home.images
    parts = ("blobs/sha256/*", "ingest/*", "layers/*/*", "partial/*")
    return sorted(str(path.relative_to(top)) for part in parts for path in top.glob(part))
