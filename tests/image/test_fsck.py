"""The store looked over and put right; space given back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files


@pytest.fixture
def made(home: Path, lab: Any, busybox: Any) -> Any:
    """An image with a layer of its own on busybox."""
    c = lab.containers.run("busybox", ["sh", "-c", "mkdir /d; echo page >/d/index.html; rm /bin/vi"], network="none")
    image = lab.images.commit_layer(
        busybox, files.written(c), {"created_by": "x"}, driver=lab.containers.driver, names=["made"]
    )
    c.remove()
    image.overlays()
    return image


def blob(home: Path, image: Any, number: int) -> Path:
    return home / "images" / "blobs" / "sha256" / image.diff_ids[number].removeprefix("sha256:")


def unpacked(home: Path, lab: Any, image: Any, number: int) -> Path:
    return home / "images" / "layers" / lab.idmap.key / image.diff_ids[number].removeprefix("sha256:")[:24]


def test_a_whole_store(made: Any, lab: Any, home: Path) -> None:
    report = lab.images.fsck()
    assert (report.images, report.layers, report.problems) == (2, 2, ())
    assert report.size == sum(blob(home, made, number).stat().st_size for number in (0, 1))
    assert sorted(os.listdir(home / "images" / "layers" / lab.idmap.key)) == sorted(
        unpacked(home, lab, made, number).name for number in (0, 1)
    )


def test_an_unpacked_layer_that_was_changed(made: Any, lab: Any, home: Path) -> None:
    base = unpacked(home, lab, made, 0)
    lab.call(_damage, str(base))
    problems = [str(problem) for problem in lab.images.fsck().problems]
    layer = f"layer {made.diff_ids[0][7:19]}"
    used = "(in busybox:latest, made:latest)"
    assert problems == [
        f"{layer}: /bin/vi is missing {used}",
        f"{layer}: /etc/group has another mode {used}",
        f"{layer}: /etc/passwd has another content {used}",
        f"{layer}: /more does not belong there {used}",
        f"{layer}: /usr/bin/env has another target {used}",
    ]
    report = lab.images.fsck(repair=True)
    assert report.whole
    assert {problem.remedy for problem in report.problems} == {"unpacked again"}
    assert lab.images.fsck().problems == ()
    assert lab.containers.run("made", ["cat", "/etc/passwd"], network="none").logs().startswith("root")


def _damage(base: str) -> None:
    with open(f"{base}/etc/passwd", "r+b") as file:
        file.write(b"X")
    os.chmod(f"{base}/etc/group", 0o666)
    os.unlink(f"{base}/bin/vi")
    os.unlink(f"{base}/usr/bin/env")
    os.symlink("/bin/false", f"{base}/usr/bin/env")
    with open(f"{base}/more", "w"):
        pass


def test_what_a_container_uses_stays(made: Any, lab: Any, home: Path) -> None:
    lab.containers.create("busybox", ["true"])
    lab.call(_damage, str(unpacked(home, lab, made, 0)))
    report = lab.images.fsck(repair=True)
    assert not report.whole
    assert {problem.remedy for problem in report.problems} == {"a container uses it"}


def test_a_damaged_blob(made: Any, lab: Any, home: Path, tmp_path: Path) -> None:
    lab.images.save(["made"], tmp_path / "made.tar")
    file = blob(home, made, 0)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    [problem] = lab.images.fsck().problems
    assert str(problem) == (
        f"blob {made.diff_ids[0][7:19]}: its content is not what its name says "
        "(in busybox:latest, made:latest); load or pull the image again"
    )
    assert not lab.images.fsck(repair=True).whole
    assert not file.exists()
    lab.images.load(tmp_path / "made.tar")
    assert lab.images.fsck().problems == ()


def test_a_lost_blob_is_made_again_from_what_was_unpacked(made: Any, lab: Any, home: Path) -> None:
    blob(home, made, 1).unlink()
    assert not lab.images.fsck().whole
    report = lab.images.fsck(repair=True)
    assert report.whole
    assert report.problems[0].remedy == "made again from the unpacked layer"
    assert lab.images.fsck().problems == ()


def test_what_nothing_speaks_of(made: Any, lab: Any, home: Path) -> None:
    stray = home / "images" / "blobs" / "sha256" / ("ab" * 32)
    stray.write_bytes(b"left from a kill" * 1000)
    [problem] = lab.images.fsck().problems
    assert str(problem) == "blob abababababab: no image needs it"
    assert lab.images.fsck(repair=True).whole
    assert not stray.exists()


def test_prune_gives_space_back(made: Any, lab: Any, home: Path) -> None:
    size = blob(home, made, 1).stat().st_size
    assert lab.images.prune() == ([], 0)
    lab.images.tag("busybox", "made")
    assert [image.id for image in lab.images.unused()] == [made.id]
    users = lab.containers.create(made, ["true"])
    assert lab.images.unused() == []
    users.remove()
    lines, reclaimed = lab.images.prune()
    assert lines[0] == f"Deleted: {made.id}"
    assert reclaimed == size + made.layers[1].size or reclaimed > size
    assert not blob(home, made, 1).exists()
    assert [image.tags for image in lab.images.unused(every=True)] == [["busybox:latest", "made:latest"]]
