"""config.json and credential helpers, as Docker's client has them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument, RegistryError, Unavailable
from nbcontainer.image.registry.credentials import Credential, Credentials, decode

HELPER = """#!/bin/sh
# Keeps one credential in a file, as docker-credential-helpers says.
file="$(dirname "$0")/kept"
case "$1" in
store) cat > "$file";;
get)
    read server
    grep -q "\\"$server\\"" "$file" 2>/dev/null && exec cat "$file"
    echo "credentials not found in native keychain"
    exit 1;;
erase) rm -f "$file";;
esac
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "docker/config.json"


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program docker-credential-test on PATH; the directory it keeps its file in."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "docker-credential-test").write_text(HELPER)
    (directory / "docker-credential-test").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def test_stored_as_docker_does(tmp_path: Path, config: Path) -> None:
    config.write_text('{"detachKeys": "ctrl-x"}')
    credentials = Credentials(tmp_path)
    assert credentials.find("quay.io") is None
    assert credentials.store("quay.io", Credential("ada", "secret:with:colons")) == str(config)
    credentials.store("docker.io", Credential("bob", token="refresh"))
    written = json.loads(config.read_text())
    assert written == {
        "detachKeys": "ctrl-x",
        "auths": {
            "quay.io": {"auth": "YWRhOnNlY3JldDp3aXRoOmNvbG9ucw=="},
            "https://index.docker.io/v1/": {"auth": "Ym9iOg==", "identitytoken": "refresh"},
        },
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert credentials.find("quay.io") == Credential("ada", "secret:with:colons")
    assert credentials.find("docker.io") == Credential("bob", "", "refresh")
    assert credentials.find("other.io") is None
    assert "secret" not in repr(credentials.find("quay.io"))
    assert credentials.erase("quay.io")
    assert not credentials.erase("quay.io")
    assert list(json.loads(config.read_text())["auths"]) == ["https://index.docker.io/v1/"]


def test_other_spellings_of_a_host(tmp_path: Path, config: Path) -> None:
    config.write_text(json.dumps({"auths": {"https://quay.io/v1/": {"username": "ada", "password": "x"}}}))
    assert Credentials(tmp_path).find("quay.io") == Credential("ada", "x")


def test_our_own_file_goes_first(tmp_path: Path, config: Path) -> None:
    config.write_text(json.dumps({"auths": {"quay.io": {"auth": "YTpi"}, "two.io": {"auth": "YTpi"}}}))
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"quay.io": {"auth": "YzpkCg=="}}}))
    credentials = Credentials(tmp_path)
    assert credentials.find("quay.io") == Credential("c", "d\n")
    assert credentials.find("two.io") == Credential("a", "b")
    assert credentials.store("three.io", Credential("e", "f")) == str(tmp_path / "config.json")


@pytest.mark.parametrize("where", [{"credsStore": "test"}, {"credHelpers": {"quay.io": "test"}}])
def test_helpers(tmp_path: Path, config: Path, helper: Path, where: dict[str, object]) -> None:
    config.write_text(json.dumps(where))
    credentials = Credentials(tmp_path)
    assert credentials.find("quay.io") is None
    assert credentials.store("quay.io", Credential("ada", "secret")) is None
    assert "secret" not in config.read_text()
    assert json.loads((helper / "kept").read_text()) == {"ServerURL": "quay.io", "Username": "ada", "Secret": "secret"}
    assert credentials.find("quay.io") == Credential("ada", "secret")
    credentials.store("quay.io", Credential("ada", token="refresh"))
    assert credentials.find("quay.io") == Credential(token="refresh")
    assert credentials.erase("quay.io")
    assert not (helper / "kept").exists()


def test_helpers_that_do_not_work(tmp_path: Path, config: Path, helper: Path) -> None:
    config.write_text('{"credsStore": "absent"}')
    assert Credentials(tmp_path).find("quay.io") is None, "a pull needs no login"
    with pytest.raises(Unavailable, match=r"docker-credential-absent, which config.json names .* is not installed"):
        Credentials(tmp_path).store("quay.io", Credential("a", "b"))
    config.write_text('{"credsStore": "../../bin/sh"}')
    with pytest.raises(InvalidArgument, match="no name of a credential helper"):
        Credentials(tmp_path).find("quay.io")
    config.write_text('{"credsStore": "test"}')
    for script, why in (
        ("echo no json", "did not answer with a credential"),
        ("echo locked >&2; exit 1", "get: locked"),
    ):
        (helper / "docker-credential-test").write_text(f"#!/bin/sh\n{script}\n")
        with pytest.raises(RegistryError, match=why):
            Credentials(tmp_path).find("quay.io")


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', "\xff"])
def test_damaged_files_are_named_and_kept(tmp_path: Path, config: Path, text: str) -> None:
    config.write_bytes(text.encode("latin-1"))
    if text == '{"auths": []}':
        return
    with pytest.raises(InvalidArgument, match=str(config)):
        Credentials(tmp_path).store("quay.io", Credential("a", "b"))
    assert config.read_bytes() == text.encode("latin-1")


def test_a_link_to_the_file_stays_one(tmp_path: Path, config: Path) -> None:
    (tmp_path / "dotfiles").write_text("{}")
    config.symlink_to(tmp_path / "dotfiles")
    Credentials(tmp_path).store("quay.io", Credential("a", "b"))
    assert config.is_symlink()
    assert "quay.io" in (tmp_path / "dotfiles").read_text()


@given(st.text())
def test_any_auth_field(text: str) -> None:
    found = decode(text)
    assert found is None or ":" not in found[0]
