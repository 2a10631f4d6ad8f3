"""daemon.json: which servers are asked, in which order, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument
from nbcontainer.image.registry.settings import Settings


def asked(settings: Settings, domain: str) -> list[str]:
    return [str(endpoint) for endpoint in settings.endpoints(domain)]


def test_without_a_file(tmp_path: Path) -> None:
    settings = Settings.read(tmp_path)
    assert asked(settings, "docker.io") == ["https://registry-1.docker.io"]
    assert asked(settings, "quay.io") == ["https://quay.io"]
    for here in ("localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"):
        assert asked(settings, here) == [f"https://{here}", f"http://{here}"]


def test_mirrors_are_for_the_hub_alone() -> None:
    settings = Settings.parse('{"registry-mirrors": ["https://one.example/", "http://two.example:5000"]}')
    assert asked(settings, "docker.io") == [
        "https://one.example", "http://two.example:5000", "https://registry-1.docker.io",
    ]  # fmt: skip
    assert asked(settings, "quay.io") == ["https://quay.io"]


def test_insecure_registries() -> None:
    settings = Settings.parse('{"insecure-registries": ["10.1.0.0/16", "there.example:5000", "http://bare.example/"]}')
    for host, insecure in (
        ("10.1.2.3:5000", True), ("10.2.0.1", False), ("there.example:5000", True), ("there.example", False),
        ("bare.example", True), ("bare.example:80", True), ("127.0.0.1", True),
    ):  # fmt: skip
        assert settings.is_insecure(host) == insecure, host


def test_the_first_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config/docker").mkdir(parents=True)
    (tmp_path / "config/docker/daemon.json").write_text('{"registry-mirrors": ["https://users.example"]}')
    assert Settings.read(tmp_path).mirrors == ("https://users.example",)
    (tmp_path / "daemon.json").write_text('{"max-concurrent-downloads": 7, "storage-driver": "overlay2"}')
    assert Settings.read(tmp_path).mirrors == ()
    assert Settings.read(tmp_path).downloads == 7


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"registry-mirrors": "https://x"}', "registry-mirrors must be a list of strings"),
        ('{"registry-mirrors": ["x.example"]}', r"registry-mirrors has 'x.example': write it as https://host\[:port\]"),
        ('{"registry-mirrors": ["https://x:port"]}', "registry-mirrors has 'https://x:port': Port could not be"),
        ('{"registry-mirrors": ["https://me:secret@x"]}', "write it as"),
        ('{"max-concurrent-downloads": 0}', "max-concurrent-downloads must be a number from 1 to 100"),
        ('{"proxies": []}', None),
        ('{"proxies": ["x"]}', "proxies must be an object of strings"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, why: str | None) -> None:
    (tmp_path / "daemon.json").write_text(text)
    if why is None:
        assert Settings.read(tmp_path).proxies == {}
        return
    with pytest.raises(InvalidArgument, match=why) as raised:
        Settings.read(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}/daemon.json")
    assert "\n" not in str(raised.value)


VALUES = st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=20) | st.integers(), max_size=3)
KEYS = st.sampled_from(["registry-mirrors", "insecure-registries", "proxies", "max-concurrent-downloads",
                        "max-concurrent-uploads", "max-download-attempts", "other"])  # fmt: skip


@given(st.dictionaries(KEYS, VALUES) | VALUES, st.text(max_size=20))
def test_any_file_is_read_or_one_error(document: Any, host: str) -> None:
    try:
        settings = Settings.parse(json.dumps(document))
    except InvalidArgument:
        return
    # No names are looked up: an insecure one that is no network is compared as it stands.
    assert all(str(one).startswith(("http://", "https://")) for one in settings.endpoints("docker.io"))


@given(st.text())
def test_any_text(text: str) -> None:
    try:
        Settings.parse(text)
    except InvalidArgument:
        pass
