from __future__ import annotations

import gzip
import os
import stat
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import ImageError
from nbcontainer.image.layers import Layers
from nbcontainer.image.store import Store
from nbcontainer.lab.files import remove_tree
from tests.image.build import entry, layer, sha256, tree

DIR, LINK, SYM, FIFO, CHR = (
    tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
)  # fmt: skip


@pytest.fixture
def layers(home: Path, lab: Any) -> Layers:
    return Layers(lab, Store(lab.home.images))


def unpack(layers: Layers, data: bytes, tmp_path: Path, diff_id: str | None = None) -> Path:
    """The directory that the layer `data` becomes."""
    (tmp_path / "blob").write_bytes(data)
    diff_id = diff_id or sha256(data)
    layers.unpack(diff_id, tmp_path / "blob")
    return layers.path(diff_id)


def refused(layers: Layers, data: bytes, tmp_path: Path, why: str, diff_id: str | None = None) -> None:
    """`data` is refused in one line, and nothing of it is left."""
    with pytest.raises(ImageError, match=why) as raised:
        unpack(layers, data, tmp_path, diff_id)
    assert "\n" not in str(raised.value)
    assert list(layers.path(sha256(data)).parent.iterdir()) == []


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "user.overlay.opaque" in os.listxattr(path) and os.getxattr(path, "user.overlay.opaque") == b"y"


def test_kinds_modes_and_times(layers: Layers, tmp_path: Path, lab: Any) -> None:
    data = layer(
        entry("./", DIR, mode=0o755),
        entry("d", DIR, mode=0o1777, mtime=1_234_567_890.25),
        (entry("d/f", mode=0o4755, mtime=1_000_000_001.5), b"content"),
        entry("hard", LINK, linkname="d/f"),
        entry("soft", SYM, linkname="/etc/nowhere", mtime=1_000_000_002),
        entry("fifo", FIFO, mode=0o620),
        entry("null", CHR, devmajor=1, devminor=3),
        entry("é" * 90, DIR),
        (entry("a/" * 60 + "deep"), b"deep"),
        entry("shut", DIR, mode=0o500),
        (entry("shut/in"), b"in"),
    )
    root = unpack(layers, data, tmp_path)
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o1777
    assert (root / "d").stat().st_mtime == 1_234_567_890.25
    assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0o4755
    assert (root / "d/f").stat().st_mtime == 1_000_000_001.5
    assert (root / "hard").stat().st_ino == (root / "d/f").stat().st_ino
    assert os.readlink(root / "soft") == "/etc/nowhere"
    assert (root / "soft").lstat().st_mtime == 1_000_000_002
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
    assert not (root / "null").exists(), "no user namespace can make a device"
    assert (root / ("é" * 90)).is_dir()
    assert (root / ("a/" * 60 + "deep")).read_bytes() == b"deep"
    assert lab.call(os.listdir, str(root / "shut")) == ["in"]


def test_owners_are_given_or_left_out(layers: Layers, tmp_path: Path, lab: Any) -> None:
    data = layer(
        (entry("mine"), b""),
        (entry("theirs", uid=1000, gid=42, mode=0o6755), b""),
        (entry("nobodys", uid=4_000_000_000, gid=0, mode=0o6755), b""),
    )
    root = unpack(layers, data, tmp_path)
    found = (root / "theirs").stat()
    if lab.idmap.single:
        assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
        assert stat.S_IMODE(found.st_mode) == 0o755, "a program set-id to nobody we have must not become root's"
    else:
        assert (found.st_uid, found.st_gid) == (lab.idmap.uid_outside(1000), lab.idmap.gid_outside(42))
        assert stat.S_IMODE(found.st_mode) == 0o6755
    found = (root / "nobodys").stat()
    assert found.st_uid == lab.idmap.uid_outside(0)
    assert stat.S_IMODE(found.st_mode) == 0o2755


def test_attributes(layers: Layers, tmp_path: Path) -> None:
    capability = "\x01\x00\x00\x02\x00\x20\x00\x00" + "\0" * 12
    made = entry("f", mode=0o755)
    made.pax_headers = {
        "SCHILY.xattr.user.mine": "kept",
        "SCHILY.xattr.security.capability": capability,
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
    }
    root = unpack(layers, layer((made, b"x")), tmp_path)
    assert set(os.listxattr(root / "f")) <= {"user.mine", "security.capability"}
    assert os.getxattr(root / "f", "user.mine") == b"kept"
    assert os.getxattr(root / "f", "security.capability")[4:12] == capability.encode()[4:12]


def test_whiteouts(layers: Layers, tmp_path: Path) -> None:
    root = unpack(
        layers,
        layer(
            entry("d", DIR),
            entry("d/.wh.gone"),
            entry("opaque", DIR),
            entry("opaque/.wh..wh..opq"),
            (entry("opaque/new"), b""),
            entry("implied/.wh.gone"),
            (entry("kept"), b"this layer's own"),
            entry(".wh.kept"),
            entry("own", DIR),
            entry(".wh.own"),
            entry(".wh.again"),
            entry("again", DIR),
            entry(".wh.below"),
            (entry("below/it"), b""),
            entry(".wh..wh.plnk", DIR),
            (entry(".wh..wh.plnk/1.2"), b"AUFS's"),
        ),
        tmp_path,
    )
    assert is_whiteout(root / "d/gone")
    assert is_whiteout(root / "implied/gone")
    assert is_opaque(root / "opaque")
    assert (root / "opaque/new").exists()
    assert (root / "kept").read_bytes() == b"this layer's own"
    for name in ("own", "again", "below"):
        assert is_opaque(root / name), "a directory in the place of one that is hidden hides it"
    assert (root / "below/it").exists()
    assert not [name for name in os.listdir(root) if name.startswith(".wh.")]


def test_a_later_entry_takes_the_place_of_an_earlier_one(layers: Layers, tmp_path: Path) -> None:
    root = unpack(
        layers,
        layer(
            (entry("a"), b"first"),
            (entry("a"), b"second"),
            entry("d", DIR, mode=0o700),
            (entry("d/f"), b""),
            (entry("d"), b"now a file"),
            (entry("x"), b""),
            entry("x", LINK, linkname="a"),
            entry("x", LINK, linkname="x"),
            entry("s", SYM, linkname="nowhere"),
            entry("s", DIR),
        ),
        tmp_path,
    )
    assert (root / "a").read_bytes() == b"second"
    assert (root / "d").read_bytes() == b"now a file"
    assert (root / "x").read_bytes() == b"second"
    assert (root / "s").is_dir()
    assert not (root / "s").is_symlink()


def test_names_that_lead_to_the_same_directory(layers: Layers, tmp_path: Path) -> None:
    data = layer(
        entry("one", DIR),
        entry("two", DIR),
        entry("link", SYM, linkname="one"),
        entry("link/d", DIR, mode=0o755),
        (entry("link/d/a"), b"a"),
        entry("one/d", DIR, mode=0o700),
        entry("link", SYM, linkname="two"),
        (entry("link/d/b"), b"b"),
    )
    root = unpack(layers, data, tmp_path)
    assert (root / "one/d/a").read_bytes() == b"a"
    assert (root / "two/d/b").read_bytes() == b"b"
    assert stat.S_IMODE((root / "one/d").stat().st_mode) == 0o700


def test_modes_do_not_depend_on_where_the_store_lies(layers: Layers, tmp_path: Path) -> None:
    unpack(layers, layer(entry("d", DIR)), tmp_path)
    everybody = b"".join(struct.pack("<HHI", tag, 7, 0xFFFFFFFF) for tag in (1, 4, 0x20))
    # acl(5), as setfacl(1) writes it: version 2, then the owner, the group and all others, who may everything.
    os.setxattr(layers.path(sha256(b"")).parent, "system.posix_acl_default", struct.pack("<I", 2) + everybody)
    modes = (0o400, 0o600, 0o644, 0o664, 0o755, 0o777)
    data = layer(
        *((entry(f"f{mode:o}", mode=mode), b"") for mode in modes),
        *(entry(f"d{mode:o}", DIR, mode=mode) for mode in modes),
        (entry("unnamed/f", mode=0o644), b""),
    )
    root = unpack(layers, data, tmp_path)
    for mode in modes:
        assert stat.S_IMODE((root / f"f{mode:o}").stat().st_mode) == mode
        assert stat.S_IMODE((root / f"d{mode:o}").stat().st_mode) == mode
    assert stat.S_IMODE((root / "unnamed").stat().st_mode) == 0o755
    assert not [path for path in (root, *root.rglob("*")) if any("acl" in name for name in os.listxattr(path))]


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/../escaped", "a/.."])
def test_names_that_climb_are_refused(layers: Layers, tmp_path: Path, name: str) -> None:
    refused(layers, layer((entry(name), b"x")), tmp_path, "leads out of the layer")
    refused(layers, layer((entry("f"), b""), entry("l", LINK, linkname=name)), tmp_path, "leads out of the layer")


def test_links_lead_nowhere_but_inside(layers: Layers, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "secret").write_text("secret")
    far = "../" * 40 + str(outside)
    for number, target in enumerate((str(outside), far)):
        data = layer(
            entry(str(outside).lstrip("/"), DIR),
            entry(f"out{number}", SYM, linkname=target),
            (entry(f"out{number}/written"), b"x"),
            (entry(f"{outside}/absolute"), b"x"),
            entry(f"out{number}/.wh.secret"),
        )
        root = unpack(layers, data, tmp_path)
        assert (root / str(outside).lstrip("/") / "written").exists()
        assert (root / str(outside).lstrip("/") / "absolute").exists()
    data = layer(entry("out", SYM, linkname=str(outside)), entry("stolen", LINK, linkname="out/secret"))
    remove_tree(str(layers.path(sha256(data))))
    with pytest.raises(ImageError, match="which is not there"):
        unpack(layers, data, tmp_path)
    with pytest.raises(ImageError, match="no directory"):
        unpack(layers, layer(entry("out", SYM, linkname=str(outside)), (entry("out/f"), b"x")), tmp_path)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1


def test_what_no_layer_may_have(layers: Layers, tmp_path: Path) -> None:
    for bad, why in (
        (layer(entry(".wh...")), "hides nothing"),
        (layer(entry("d/.wh.")), "hides nothing"),
        (layer((entry("f"), b""), (entry("f/g"), b"")), "no directory"),
        (layer((entry("."), b"x")), "the place of the root"),
        (layer(entry("l", LINK, linkname="nowhere")), "which is not there"),
        (layer((entry("n" * 256), b"")), "File name too long"),
        (layer((entry("d/" * 300 + "f"), b"")), "below 300 directories"),
        (b"no archive at all" * 100, "not a tar archive"),
        (gzip.compress(tree({"f": b"x" * 9000}))[:-40], "gzip data is"),
        (tree({"f": os.urandom(9000)})[:5000], "cut off"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "its zstd data is damaged"),
        (b"BZh91AY" + bytes(100), "compressed with bzip2"),
    ):
        refused(layers, bad, tmp_path, why)


def test_a_layer_is_what_its_digest_says(layers: Layers, tmp_path: Path) -> None:
    data = tree({"f": b"x"})
    refused(layers, data, tmp_path, "not what its image says", sha256(b"another"))
    refused(layers, data + b"more after the end", tmp_path, "not what its image says", sha256(data))
    packed = gzip.compress(data)
    assert (unpack(layers, packed, tmp_path, sha256(data)) / "f").read_bytes() == b"x"
    with pytest.raises(ImageError, match="not what its image says"):  # unpacked already, and compared all the same
        unpack(layers, tree({"f": b"y"}), tmp_path, sha256(data))


def test_an_empty_layer(layers: Layers, tmp_path: Path) -> None:
    assert os.listdir(unpack(layers, bytes(1024), tmp_path)) == []


def test_what_a_kill_left_is_removed(layers: Layers, tmp_path: Path, lab: Any) -> None:
    done = unpack(layers, tree({"f": b"x"}), tmp_path)
    data = tree({"g": b"x"})
    for name in (layers.path(sha256(data)).name, "0" * 24):
        lab.call(os.makedirs, f"{done.parent}/{name}.tmp/half/done")
    assert os.listdir(unpack(layers, data, tmp_path)) == ["g"]
    layers.sweep()
    assert {path.name for path in done.parent.iterdir()} == {done.name, layers.path(sha256(data)).name}
