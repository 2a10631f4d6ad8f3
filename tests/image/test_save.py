"""Images written out and read again: archives, layouts, names; nothing half-done; import of a root."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files
from nbcontainer.errors import Conflict, ImageError, InvalidArgument, NotFound
from nbcontainer.image import save as saving
from nbcontainer.image.store import Manifest
from tests.image.build import entry, layer, sha256, tree


@pytest.fixture
def images(home: Path, lab: Any, busybox: Any) -> Any:
    """busybox, and an image on it with two names and a layer of its own."""
    lab.images.tag("busybox", "mowang/httpd:v0.1.1")
    c = lab.containers.run("busybox", ["sh", "-c", "echo page >/index.html"], network="none")
    lab.images.commit_layer(
        busybox, files.written(c), {"created_by": "page"}, driver=lab.containers.driver, names=["mowang/httpd:v0.2"]
    )
    c.remove()
    return lab.images


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("images.tar", "docker-archive"),
        ("images.gz", "docker-archive"),
        ("images.tgz", "oci-archive"),
        ("images.tar.zst", "docker-archive"),
        ("layout", "oci-dir"),
    ],
)
def test_what_was_saved_is_what_is_loaded(images: Any, name: str, form: str, tmp_path: Path) -> None:
    ids = {tag: images.get(tag).id for tag in ("busybox", "mowang/httpd:v0.1.1", "mowang/httpd:v0.2")}
    if name.endswith("zst"):
        pytest.importorskip("zstandard", reason="not installed: zstandard")
    images.save(["mowang/httpd", "busybox"], tmp_path / name, form)
    for tag in ids:
        images.remove(tag)
    said: list[str] = []
    images.load(tmp_path / name, said.append)
    assert sorted(said) == [
        "Loaded image: busybox:latest",
        "Loaded image: mowang/httpd:v0.1.1",
        "Loaded image: mowang/httpd:v0.2",
    ]
    assert {tag: images.get(tag).id for tag in ids} == ids
    assert images.fsck().problems == ()


def test_an_archive_is_a_layout_too(images: Any, tmp_path: Path) -> None:
    images.save(["mowang/httpd:v0.2"], tmp_path / "a.tar")
    found = contents(tmp_path / "a.tar")
    manifest = json.loads(found["manifest.json"])
    assert manifest[0]["RepoTags"] == ["mowang/httpd:v0.2"]
    index = json.loads(found["index.json"])
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": "docker.io/mowang/httpd:v0.2",
        "org.opencontainers.image.ref.name": "v0.2",
    }
    for name, data in found.items():
        if name.startswith("blobs/"):
            assert sha256(data) == name.replace("blobs/sha256/", "sha256:")
    # What describes comes first, and nothing depends on the time.
    assert list(found)[:3] == ["oci-layout", "index.json", "manifest.json"]
    images.save(["mowang/httpd:v0.2"], tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_what_a_registry_has_keeps_its_digest(images: Any, tmp_path: Path) -> None:
    images.save(["mowang/httpd:v0.2"], tmp_path / "a.tar")
    found = contents(tmp_path / "a.tar")
    image = images.get("mowang/httpd:v0.2")
    own = json.loads(found["index.json"])["manifests"][0]["digest"]
    content = found[own.replace("sha256:", "blobs/sha256/")].replace(b"{", b"{ ", 1)
    theirs = Manifest(sha256(content), "application/vnd.oci.image.manifest.v1+json", content)
    images._store.keep_manifest(image.id, theirs, f"mowang/httpd@{theirs.digest}")
    images.save(["mowang/httpd:v0.2"], tmp_path / "b.tar")
    found = contents(tmp_path / "b.tar")
    assert json.loads(found["index.json"])["manifests"][0]["digest"] == theirs.digest
    assert found[theirs.digest.replace("sha256:", "blobs/sha256/")] == content


def test_names(images: Any, tmp_path: Path) -> None:
    images.save([images.get("busybox").short_id], tmp_path / "id.tar")
    assert json.loads(contents(tmp_path / "id.tar")["manifest.json"])[0]["RepoTags"] is None
    images.tag("busybox", "other:latest")
    images.tag("mowang/httpd:v0.2", "third:latest")
    images.save(["busybox", "other", "third"], tmp_path / "names.tar")
    found = contents(tmp_path / "names.tar")
    assert [one["RepoTags"] for one in json.loads(found["manifest.json"])] == [
        ["busybox:latest", "other:latest"],
        ["third:latest"],
    ]
    # The bare tag would mean two images.
    refs = [
        one["annotations"]["org.opencontainers.image.ref.name"] for one in json.loads(found["index.json"])["manifests"]
    ]
    assert refs == ["busybox:latest", "other:latest", "third:latest"]


def test_what_cannot_be_saved(images: Any, lab: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="it lies on this machine's root"):
        images.save(["host"], tmp_path / "a.tar")
    with pytest.raises(NotFound, match="No such image: nowhere"):
        images.save(["busybox", "nowhere"], tmp_path / "a.tar")
    with pytest.raises(InvalidArgument, match=r"cannot write .*/none/a\.tar: no such file or directory"):
        images.save(["busybox"], tmp_path / "none" / "a.tar")
    with pytest.raises(InvalidArgument, match="is a directory"):
        images.save(["busybox"], tmp_path)
    with pytest.raises(InvalidArgument, match="unknown format zip"):
        images.save(["busybox"], tmp_path / "a.tar", "zip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(Conflict, match="is not empty"):
        images.save(["busybox"], tmp_path / "full", "oci-dir")
    assert sorted(os.listdir(tmp_path)) == ["full"]


def test_damage_is_seen_and_nothing_is_left(images: Any, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"what was there before")
    blob = home / "images" / "blobs" / "sha256" / images.get("busybox").diff_ids[0].removeprefix("sha256:")
    data = bytearray(blob.read_bytes())
    data[2000] ^= 1
    blob.write_bytes(data)
    for name, form in (("a.tar", "docker-archive"), ("layout", "oci-dir")):
        with pytest.raises(ImageError, match="is damaged"):
            images.save(["busybox"], tmp_path / name, form)
    assert os.listdir(tmp_path) == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == b"what was there before"


def test_a_full_disk_leaves_nothing(images: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_sparse", full)
    with pytest.raises(ImageError, match="no space left on device; nothing half-done was kept"):
        images.save(["busybox"], tmp_path / "a.tar")
    assert os.listdir(tmp_path) == []


def test_layouts_that_are_none(images: Any, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="must be an OCI layout"):
        images.load(tmp_path)
    images.save(["busybox"], tmp_path / "layout", "oci-dir")
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    largest = max(blobs.iterdir(), key=lambda blob: blob.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(ImageError, match="what it calls"):
        images.load(tmp_path / "layout")
    largest.unlink()
    largest.symlink_to("/etc/passwd")
    with pytest.raises(ImageError):
        images.load(tmp_path / "layout")


# -- import


def test_import(lab: Any, tmp_path: Path) -> None:
    data = layer(entry("bin", tarfile.DIRTYPE), (entry("bin/tool", mode=0o755), b"#!"))
    for packed in (data, gzip.compress(data)):
        image = lab.images.import_root(io.BytesIO(packed), "made/root", {"Cmd": ["/bin/tool"]}, origin="root.tar")
        assert image.diff_ids == [sha256(data)]
        assert image.tags == ["made/root:latest"]
        assert image.history[0]["comment"] == "Imported from root.tar"
        assert [one.files for one in image.layers] == [1]
        lab.images.remove("made/root")
    with pytest.raises(ImageError):
        lab.images.import_root(io.BytesIO(b"no archive" * 100), "made/root")
    with pytest.raises(Conflict, match="the name host is taken"):
        lab.images.import_root(io.BytesIO(tree({"a": b""})), "host")


def test_an_exported_root_comes_back(lab: Any, busybox: Any, tmp_path: Path) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "echo kept >/file; rm /bin/vi"], network="none")
    c.export(tmp_path / "root.tar")
    with (tmp_path / "root.tar").open("rb") as file:
        image = lab.images.import_root(file, config={"Cmd": ["sh"]})
    again = lab.containers.run(image, ["sh", "-c", "cat /file; test ! -e /bin/vi"], network="none")
    assert again.logs() == "kept\n"


FULL = """
import sys
from pathlib import Path
from nbcontainer.errors import NbcontainerError
from nbcontainer.runtime import Lab
with Lab() as lab:
    lab.images.bootstrap_busybox()
    c = lab.containers.run("busybox", ["sh", "-c", "head -c 3000000 /dev/urandom >/large"], network="none")
    place = Path(sys.argv[1])
    for act in (lambda: c.commit("large"), lambda: lab.images.save(["busybox"], place / "a.tar")):
        try:
            act()
        except NbcontainerError as error:
            print(error)
    print([image.tags for image in lab.images.list()])
    print([p for part in ("images/ingest/*", "*.tar") for p in lab.home.path.glob(part)])
    lab.containers.run("busybox", ["true"], network="none")
    c.remove()
    c = lab.containers.run("busybox", ["sh", "-c", "echo x >/small"], network="none")
    print(c.commit("small").tags)
    print(lab.images.fsck().problems)
"""


def test_a_full_disk(home: Path, tmp_path: Path) -> None:
    """Room for what a container wrote, but not for the layer too; and none for an archive."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system of its own")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(9 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", disk], check=True)
    script = 'mount -o loop "$1" "$2" && chmod 711 "$2" && exec "$3" -c "$4" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", disk, home, sys.executable, FULL],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 6, done.stdout
    assert "no space left on device; nothing half-done was kept" in lines[0]
    assert "no space left on device; nothing half-done was kept" in lines[1]
    assert lines[2:] == ["[['busybox:latest'], ['host:latest']]", "[]", "['small:latest']", "()"]
