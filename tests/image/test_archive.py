"""Archives: real ones load, and crafted ones write nothing outside and leave nothing half-done."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcontainer.errors import ImageError
from nbcontainer.image.archive import Archive

Entry = tuple[str, dict[str, Any]]


def tar_of(entries: list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields in entries:
            data = fields.pop("data", b"")
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            for key, value in fields.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def saved(layers: list[bytes], path: Path, names: list[str] | None = None, diff_ids: list[str] | None = None) -> Path:
    """A `docker save` archive."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(layer) for layer in layers]},
        }
    ).encode()
    manifest = [
        {
            "Config": "config.json",
            "RepoTags": names or ["crafted:1"],
            "Layers": [f"{number}/layer.tar" for number in range(len(layers))],
        }
    ]
    files = [("config.json", {"data": config}), ("manifest.json", {"data": json.dumps(manifest).encode()})]
    files += [(f"{number}/layer.tar", {"data": layer}) for number, layer in enumerate(layers)]
    path.write_bytes(tar_of(files))
    return path


def unpacked(lab: Any) -> dict[str, list[str]]:
    """What the store has, to see that nothing half-done stays."""
    store = lab.home.images
    return {
        "ingest": os.listdir(store / "ingest"),
        "layers": sorted(os.listdir(store / "layers" / lab.idmap.key))
        if (store / "layers" / lab.idmap.key).is_dir()
        else [],
        "blobs": sorted(os.listdir(store / "blobs" / "sha256")),
    }


DIRECTORY = {"type": tarfile.DIRTYPE, "mode": 0o755}


def test_a_layer_is_as_its_archive_says(home: Path, lab: Any, tmp_path: Path) -> None:
    lower = tar_of(
        [
            ("dir", dict(DIRECTORY)),
            ("dir/hidden", {"data": b"1"}),
            ("dir/kept", {"data": b"2"}),
            ("whole", dict(DIRECTORY)),
            ("whole/gone", {"data": b"3"}),
            ("hard", {"data": b"h", "mode": 0o4755}),
            ("link", {"type": tarfile.LNKTYPE, "linkname": "hard"}),
            ("soft", {"type": tarfile.SYMTYPE, "linkname": "/dir/kept"}),
        ]
    )
    upper = tar_of(
        [
            ("dir", dict(DIRECTORY)),
            ("dir/.wh.hidden", {}),
            ("whole", dict(DIRECTORY)),
            ("whole/.wh..wh..opq", {}),
            ("whole/new", {"data": b"n"}),
            ("attributes", {"data": b"x", "pax_headers": {"SCHILY.xattr.user.note": "kept"}}),
        ]
    )
    plain = saved([lower, upper], tmp_path / "plain.tar")
    (tmp_path / "image.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    image = lab.images.load(tmp_path / "image.tar.gz")[0]
    assert image.tags == ["crafted:1"]
    top, bottom = (Path(path) for path in image.overlays()[0].lowers)
    assert stat.S_ISCHR(os.lstat(top / "dir" / "hidden").st_mode)
    assert os.lstat(top / "dir" / "hidden").st_rdev == 0
    assert os.getxattr(top / "whole", "user.overlay.opaque") == b"y"
    assert os.getxattr(top / "attributes", "user.note") == b"kept"
    assert (bottom / "hard").stat().st_ino == (bottom / "link").stat().st_ino
    assert (bottom / "hard").stat().st_mode & 0o7777 == 0o4755
    assert os.readlink(bottom / "soft") == "/dir/kept"
    c = lab.containers.create(image, ["/nothing"])
    assert c.diff() == []
    c.export(tmp_path / "root.tar")
    with tarfile.open(tmp_path / "root.tar") as tar:
        names = set(tar.getnames())
    assert {"dir/kept", "whole/new", "hard", "link", "soft"} <= names
    assert not {"dir/hidden", "whole/gone"} & names


@pytest.mark.parametrize(
    "entries",
    [
        [("../outside", {"data": b"x"})],
        [("a/../../outside", {"data": b"x"})],
        [("link", {"type": tarfile.SYMTYPE, "linkname": "/nosuch"}), ("link/file", {"data": b"x"})],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"})],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "../../../../etc/passwd"})],
        [(".wh...", {})],
    ],
)
def test_escapes_are_refused_and_nothing_stays(home: Path, lab: Any, tmp_path: Path, entries: list[Entry]) -> None:
    before = unpacked(lab) if lab.images else {}
    with pytest.raises(ImageError):
        lab.images.load(saved([tar_of(entries)], tmp_path / "evil.tar"))
    assert unpacked(lab)["layers"] == before["layers"]
    assert unpacked(lab)["ingest"] == []
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]


def test_an_absolute_name_or_a_link_to_the_root_stays_inside(home: Path, lab: Any, tmp_path: Path) -> None:
    place = tmp_path / "target"
    place.mkdir(mode=0o777)
    layer = tar_of(
        [
            (str(place / "written"), {"data": b"x"}),
            ("out", {"type": tarfile.SYMTYPE, "linkname": "/"}),
            ("out/through", {"data": b"y"}),
        ]
    )
    image = lab.images.load(saved([layer], tmp_path / "image.tar"))[0]
    assert list(place.iterdir()) == []
    assert not Path("/through").exists()
    assert Path(image.overlays()[0].lowers[0], "through").read_bytes() == b"y"


def test_devices_are_left_out(home: Path, lab: Any, tmp_path: Path) -> None:
    layer = tar_of(
        [("sda", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}), ("fifo", {"type": tarfile.FIFOTYPE})]
    )
    image = lab.images.load(saved([layer], tmp_path / "image.tar"))[0]
    assert os.listdir(image.overlays()[0].lowers[0]) == ["fifo"]


def test_lies_and_cuts(home: Path, lab: Any, tmp_path: Path) -> None:
    layer = tar_of([("f", {"data": b"x" * 5000})])
    for path in (
        saved([layer], tmp_path / "wrong.tar", diff_ids=["sha256:" + "0" * 64]),
        saved([layer], tmp_path / "count.tar", diff_ids=[digest(layer)] * 2),
        saved([layer[: len(layer) // 2]], tmp_path / "cut-layer.tar"),
        saved([layer], tmp_path / "name.tar", names=["NOT A NAME"]),
    ):
        with pytest.raises(ImageError):
            lab.images.load(path)
    whole = saved([layer], tmp_path / "whole.tar").read_bytes()
    for length in (0, 100, 600, 2000, len(whole) // 2):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(ImageError):
            lab.images.load(tmp_path / "cut.tar")
    with pytest.raises(ImageError, match="no such file"):
        lab.images.load(tmp_path / "nosuch.tar")
    assert unpacked(lab)["ingest"] == []
    assert unpacked(lab)["layers"] == []


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Config", "Layers", "RepoTags", "manifests", "digest", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_any_manifest_is_an_image_or_an_image_error(manifest: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.tar")
        for name in ("manifest.json", "index.json"):
            path.write_bytes(tar_of([(name, {"data": json.dumps(manifest).encode()}), ("x", {"data": b"{}"})]))
            with pytest.raises(ImageError), path.open("rb") as file:
                Archive(file.read, Path(directory)).images()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_are_an_image_error(data: bytes, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.tar")
        path.write_bytes(gzip.compress(data) if compressed else b"\x1f\x8b" + data)
        with pytest.raises(ImageError), path.open("rb") as file:
            Archive(file.read, Path(directory)).images()
