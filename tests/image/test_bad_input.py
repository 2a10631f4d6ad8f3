"""Archives and layouts that lie, clash, claim too much; instructions that are none. One clear line, nothing left."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import ImageError, InvalidArgument, InvalidReference
from nbcontainer.image import commit, host
from nbcontainer.image.config import checked
from nbcontainer.image.dockerfile.describe import CHANGES, changed
from tests.image.build import config, docker, entry, layer, oci, sha256, tree

LAYER = tree({"a": b"first", "d": None, "d/b": b"second"})


def refused(lab: Any, archive: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why) as raised:
        lab.images.load(io.BytesIO(archive))
    assert "\n" not in str(raised.value)
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]
    home = Path(lab.home.images)
    for place in ("ingest", "blobs/sha256"):
        assert list((home / place).iterdir()) == []
    assert list((home / "layers").glob("*/*")) == []


def test_names_that_differ_in_case_alone_are_two(home: Path, lab: Any) -> None:
    data = layer((entry("File"), b"1"), (entry("file"), b"2"), (entry("FILE"), b"3"), (entry("file"), b"4"))
    [image] = lab.images.load(io.BytesIO(docker([data])))
    lower = Path(image.overlays()[0].lowers[0])
    assert {path.name: path.read_bytes() for path in lower.iterdir()} == {"File": b"1", "file": b"4", "FILE": b"3"}


def test_an_archive_that_has_a_file_twice(home: Path, lab: Any) -> None:
    other = json.dumps([]).encode()
    one = docker([LAYER])
    # The later one counts, as for whoever unpacks it: nothing is in it.
    refused(lab, one[:-10240] + tree({"manifest.json": other}), "holds no image")
    [image] = lab.images.load(io.BytesIO(tree({"manifest.json": other})[:1024] + one))
    assert image.tags == ["made:1"]


def test_a_file_that_claims_to_be_huge(home: Path, lab: Any) -> None:
    # A header that says that nine exabytes follow.
    claim = bytearray(layer((entry("f"), b"x")))
    claim[124:136] = b"\x80" + (1 << 62).to_bytes(11, "big")
    claim[148:156] = b" " * 8
    claim[148:156] = b"%06o\0 " % sum(claim[:512])
    refused(lab, docker([bytes(claim)]), "cut off")


def test_a_hole_of_exabytes(home: Path, lab: Any) -> None:
    header = entry("f")
    header.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "huge",
        "GNU.sparse.realsize": str(1 << 62),
    }  # fmt: skip
    text = f"1\n{1 << 62}\n0\n".encode()
    refused(lab, docker([layer((header, text + bytes(512 - len(text))))]), "File too large|too large|sparse")


@pytest.mark.parametrize("outside", [True, False])
def test_a_bomb(home: Path, lab: Any, outside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcontainer.image.content.BOMB_SIZE", 1 << 20)
    data = layer((entry("zeros"), bytes(8 << 20)))
    archive = gzip.compress(docker([data])) if outside else docker([data], compress=True)
    refused(lab, archive, "decompression bomb")


def broken(place: Path, lab: Any, which: str, change: Any) -> None:
    """A layout in a directory in which one blob is another."""
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(oci([LAYER]))) as tar:
        tar.extractall(place)
    index = json.loads((place / "index.json").read_bytes())
    manifest_path = place / "blobs/sha256" / index["manifests"][0]["digest"][7:]
    manifest = json.loads(manifest_path.read_bytes())
    if which == "index":
        change(index)
        (place / "index.json").write_text(json.dumps(index))
    elif which == "manifest":
        manifest_path.write_bytes(change(manifest_path.read_bytes()))
    else:
        descriptor = manifest["config"] if which == "config" else manifest["layers"][0]
        blob = place / "blobs/sha256" / descriptor["digest"][7:]
        blob.write_bytes(change(blob.read_bytes()))


@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
@pytest.mark.parametrize("how", ["other", "shorter", "longer", "empty"])
def test_a_layout_whose_blob_is_another(home: Path, lab: Any, tmp_path: Path, which: str, how: str) -> None:
    ways = {
        "other": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        "shorter": lambda data: data[:-1],
        "longer": lambda data: data + b" ",
        "empty": lambda data: b"",
    }
    broken(tmp_path / "layout", lab, which, ways[how])
    with pytest.raises(ImageError, match="the archive is wrong: what it calls") as raised:
        lab.images.load(tmp_path / "layout")
    assert "\n" not in str(raised.value)
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]


def test_an_index_that_lies(home: Path, lab: Any, tmp_path: Path) -> None:
    def no_size(index: Any) -> None:
        index["manifests"][0]["size"] = "many"

    def other_digest(index: Any) -> None:
        index["manifests"][0]["digest"] = sha256(b"something else")

    def other_algorithm(index: Any) -> None:
        index["manifests"][0]["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e"

    def elsewhere(index: Any) -> None:
        index["manifests"][0]["platform"] = {"os": "linux", "architecture": "s390x"}

    for change, why in (
        (no_size, "bytes, not many"),
        (other_digest, "incomplete"),
        (other_algorithm, "no sha256 digest"),
        (elsewhere, "no image for this machine"),
    ):
        broken(tmp_path / "layout", lab, "index", change)
        with pytest.raises(ImageError, match=why):
            lab.images.load(tmp_path / "layout")


def test_a_layer_of_another_content_than_the_config_says(home: Path, lab: Any) -> None:
    refused(lab, docker([LAYER], document=config([tree({"other": b""})])), "not what its image says")


# -- what is typed


WORDS = st.text(st.sampled_from("ab\"'\\$ {}[],=:/-\t#<0189éü\n"), max_size=30)


def said(error: Exception, typed: str) -> str:
    """The error in one line, but for what was typed."""
    text = str(error).replace(typed, "")
    assert "\n" not in text or "\n" in typed, text
    return text


@given(st.sampled_from([*CHANGES, "RUN", "cmd", ""]), WORDS)
def test_any_change_is_a_config_or_one_error(name: str, rest: str) -> None:
    change = f"{name} {rest}"
    try:
        made = changed({"Env": ["A=1"], "Cmd": ["sh"]}, [change])
    except InvalidArgument as error:
        said(error, change)
        return
    # Whatever it says, it is the config of an image.
    with suppress(ImageError):
        checked({"config": made})
    json.dumps(made)


@given(st.text(max_size=40))
def test_any_name_is_one_or_one_error(text: str) -> None:
    try:
        name = commit.name(text)
    except InvalidReference as error:
        said(error, text)
        return
    assert ":" in name


def test_times_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("yesterday", "-1", "1.5", "9" * 12, "²"):
        monkeypatch.setenv(commit.SOURCE_DATE_EPOCH, text)
        with pytest.raises(InvalidArgument, match="SOURCE_DATE_EPOCH is"):
            commit.epoch()
    monkeypatch.setenv(commit.SOURCE_DATE_EPOCH, "")
    assert commit.epoch() is None


def test_an_image_that_says_it_lies_on_the_machine(home: Path, lab: Any, tmp_path: Path) -> None:
    """A layer may make a link of a directory that the machine's own is mounted on: nothing behind it is seen."""
    document = json.loads(
        config([data := layer(entry("usr", tarfile.SYMTYPE, linkname=str(tmp_path)), (entry("f"), b""))])
    )
    document[host.BASE] = host.NAME
    (tmp_path / "secret").write_text("secret")
    [image] = lab.images.load(io.BytesIO(docker([data], document=json.dumps(document).encode())))
    overlays = image.overlays()
    assert not any(str(tmp_path) in lower for overlay in overlays for lower in overlay.lowers)
    assert sum("layers" in lower for overlay in overlays for lower in overlay.lowers) == 1
