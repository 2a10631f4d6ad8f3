"""The images of a user: made, named, removed; host; a full disk; a real archive of Docker's."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import Conflict, NotFound, Unavailable


def test_bootstrap_is_the_same_every_time(home: Path, lab: Any) -> None:
    first = lab.images.bootstrap_busybox()
    assert lab.images.bootstrap_busybox().id == first.id
    assert first.config["Cmd"] == ["sh"]
    assert "this machine's" in first.history[0]["created_by"]
    with pytest.raises(Unavailable, match="apt-get install busybox-static"):
        lab.images.bootstrap_busybox(Path("/bin/sh"))


def test_names(home: Path, lab: Any) -> None:
    image = lab.images.bootstrap_busybox()
    lab.images.tag("busybox", "mowang/httpd:v0.1.1")
    lab.images.tag(image.short_id, "quay.io/a/b")
    assert lab.images.get(image.short_id[:5]).tags == ["busybox:latest", "mowang/httpd:v0.1.1", "quay.io/a/b:latest"]
    assert lab.images.remove("quay.io/a/b") == ["Untagged: quay.io/a/b:latest"]
    with pytest.raises(Conflict, match="image is referenced in multiple repositories"):
        lab.images.remove(image.short_id)
    lab.images.remove("mowang/httpd:v0.1.1")
    c = lab.containers.create("busybox", ["true"])
    with pytest.raises(Conflict, match=f"container {c.short_id} is using its referenced image"):
        lab.images.remove("busybox")
    c.remove()
    lines = lab.images.remove("busybox")
    assert lines[:2] == ["Untagged: busybox:latest", f"Deleted: {image.id}"]
    assert os.listdir(home / "images" / "layers" / lab.idmap.key) == []
    with pytest.raises(NotFound, match="No such image: busybox"):
        lab.images.get("busybox")


def test_host_is_always_there(home: Path, lab: Any) -> None:
    assert lab.images.list()[-1].tags == ["host:latest"]
    with pytest.raises(Conflict, match="cannot be removed"):
        lab.images.remove("host")
    lab.images.bootstrap_busybox()
    with pytest.raises(Conflict, match="the name host is taken"):
        lab.images.tag("busybox", "host")
    prefixes = [overlay.prefix for overlay in lab.images.get("host").overlays()]
    assert prefixes[0] == "/"
    assert "/usr" in prefixes


def test_many_kernels_share_the_store(home: Path) -> None:
    code = """
    from nbcontainer.runtime import Lab
    with Lab() as lab:
        lab.images.bootstrap_busybox()
        print(lab.containers.run("busybox", ["echo", "fine"], rm=True).logs(), end="")
    """
    many = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(4)
    ]
    assert [process.communicate()[0] for process in many] == ["fine\n"] * 4


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A home on a file system of 1 MiB: a tmpfs in a mount namespace of its own."""
    code = """
    import os
    from nbcontainer.errors import NbcontainerError
    from nbcontainer.runtime import Lab
    with Lab() as lab:
        try:
            lab.images.bootstrap_busybox()
        except NbcontainerError as error:
            print(error)
        store = lab.home.images
        print(os.listdir(store / "ingest"), [image.tags for image in lab.images.list()])
    """
    if os.geteuid() != 0:
        pytest.skip("mounting a file system of a given size for the store takes root")
    place = tmp_path / "small"
    place.mkdir()
    script = f'mount -t tmpfs -o size=3m,mode=711 none {place} && exec {sys.executable} -c "$CODE"'
    env = {**os.environ, "NBCONTAINER_HOME": f"/var/tmp/nbcontainer-full-{os.getpid()}", "CODE": textwrap.dedent(code)}
    script = script.replace(str(place), env["NBCONTAINER_HOME"])
    os.mkdir(env["NBCONTAINER_HOME"], 0o711)
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=env, capture_output=True, text=True, timeout=60
        )
    finally:
        os.rmdir(env["NBCONTAINER_HOME"])
    first, second = done.stdout.splitlines()
    assert "space" in first, done.stderr
    assert second == "[] [['host:latest']]"


def test_a_real_docker_archive_gives_the_same_tree(home: Path, lab: Any, dockerd: Any, tmp_path: Path) -> None:
    name = f"nbcontainer-test-{os.getpid()}"
    script = (
        "mkdir -p /d/e /w; echo 1 > /d/one; ln /d/one /d/two; ln -s /d/one /d/soft; echo x > /w/x; chmod 4755 /d/one"
    )
    dockerd.docker("run", "--name", f"{name}-1", "busybox", "sh", "-c", script)
    dockerd.docker("commit", f"{name}-1", f"{name}:1")
    change = "rm /d/soft; rm -r /w; mkdir /w; echo y > /w/y; chown 33:33 /d/e"
    dockerd.docker("run", "--name", f"{name}-2", f"{name}:1", "sh", "-c", change)
    dockerd.docker("commit", f"{name}-2", f"{name}:2")
    dockerd.docker("create", "--name", f"{name}-3", f"{name}:2", "true")
    dockerd.docker("save", "-o", str(tmp_path / "image.tar"), f"{name}:2")
    dockerd.docker("export", "-o", str(tmp_path / "docker.tar"), f"{name}-3")
    subprocess.run(["gzip", "-k", str(tmp_path / "image.tar")], check=True)
    image = lab.images.load(tmp_path / "image.tar.gz")[0]
    assert image.tags == [f"{name}:2"]
    c = lab.containers.create(image, ["true"])
    c.export(tmp_path / "ours.tar")
    theirs, ours = described(tmp_path / "docker.tar"), described(tmp_path / "ours.tar")
    mounted = {"dev", "proc", "sys", "etc", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
    for tree in (theirs, ours):
        for path in [path for path in tree if path in mounted or path.startswith("dev/")]:
            del tree[path]
    assert ours == theirs


def described(path: Path) -> dict[str, tuple[Any, ...]]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar:
            name = member.name.rstrip("/")
            ours = name.startswith(("d/", "w/")) and not member.isdir() and not member.issym()
            data = tar.extractfile(member) if ours else None
            content = data.read() if data is not None else None
            found[name] = (
                member.isdir(),
                member.issym() and member.linkname,
                None if member.issym() else member.mode & 0o7777,
                member.uid,
                member.gid,
                content,
            )
        found.pop("", None)
        return found
