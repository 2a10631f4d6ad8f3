"""What a container changed; copies in and out; a bundle for another runtime."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files
from nbcontainer.errors import NotFound


@pytest.fixture(autouse=True)
def _image(busybox: Any) -> None:
    pass


def test_diff(lab: Any) -> None:
    c = lab.containers.run(
        "busybox", ["sh", "-c", "echo a > /new; rm /etc/group; mkdir /d; touch /d/x; chmod 600 /etc/passwd"]
    )
    assert c.diff() == [
        ("A", "/d"),
        ("A", "/d/x"),
        ("C", "/etc"),
        ("D", "/etc/group"),
        ("C", "/etc/passwd"),
        ("A", "/new"),
    ]
    assert lab.containers.run("busybox", ["true"]).diff() == []


def test_copy_both_ways_running_and_stopped(lab: Any, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "f").write_text("x")
    (source / "link").symlink_to("/etc/passwd")
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True)
    files.copy_from_machine(c, source, "/tmp", contents=False)
    assert c.exec(["cat", "/tmp/tree/sub/f"]).stdout == b"x"
    c.remove(force=True)
    d = lab.containers.create("busybox", ["cat", "/made/sub/f"])
    files.copy_from_machine(d, source, "/made", contents=False)
    d.start()
    d.wait(5)
    assert d.logs() == "x"
    files.copy_to_machine(d, "/made", tmp_path / "back")
    assert (tmp_path / "back" / "sub" / "f").read_text() == "x"
    with pytest.raises(NotFound, match="Could not find the file /nosuch"):
        files.copy_to_machine(d, "/nosuch", tmp_path)


def test_export(lab: Any, tmp_path: Path) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "echo hi > /file"])
    c.export(tmp_path / "root.tar")
    with tarfile.open(tmp_path / "root.tar") as tar:
        names = set(tar.getnames())
        assert {"bin/sh", "etc/passwd", "file"} <= names
        member = tar.extractfile("file")
        assert member is not None
        assert member.read() == b"hi\n"


def test_a_bundle_runs_under_runc(lab: Any, runc: Any, tmp_path: Path) -> None:
    c = lab.containers.create(
        "busybox", ["sh", "-c", "echo from $A; grep NoNewPrivs /proc/self/status"], env=["A=runc"]
    )
    c.export_bundle(tmp_path / "bundle")
    said = runc.run("run", "--bundle", str(tmp_path / "bundle"), "exported").stdout.decode()
    assert "from runc\n" in said
    assert "NoNewPrivs:\t1" in said


def test_inspect_has_dockers_shape(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sleep", "9"], detach=True, name="busy1", label={"a": "1"}, volume=["v1:/data"])
    found = c.inspect()
    assert found["Name"] == "/busy1"
    assert found["State"]["Running"] is True
    assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "172.17.0.2"
    assert found["Config"]["Labels"] == {"a": "1"}
    assert found["Mounts"][0]["Name"] == "v1"
    assert found["Path"] == "sleep"


def test_volumes(lab: Any) -> None:
    from nbcontainer.errors import Conflict, InvalidArgument

    lab.volumes.create("data", {"k": "v"})
    assert lab.volumes.get("data").inspect()["Labels"] == {"k": "v"}
    c = lab.containers.create("busybox", ["true"], volume=["data:/x", "/anonymous"])
    assert len(lab.volumes.list()) == 2
    with pytest.raises(Conflict, match="volume is in use"):
        lab.volumes.remove("data")
    c.remove(volumes=True)
    assert [volume.name for volume in lab.volumes.list()] == ["data"]
    lab.volumes.remove("data")
    with pytest.raises(NotFound, match="no such volume"):
        lab.volumes.get("data")
    with pytest.raises(InvalidArgument, match="includes invalid characters"):
        lab.volumes.create("a/b")
