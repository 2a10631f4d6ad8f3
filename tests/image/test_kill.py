"""A kernel killed at any moment of a commit, a save, a load or a prune: nothing is lost, nothing is half there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files
from nbcontainer.image.images import Images

#: Does `act`, and is killed before the call number `limit` of the room of images: of Python's or of C's.
KILLED = """
import os, signal, sys, threading
from pathlib import Path
from nbcontainer import Lab

act, limit, place = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
calls = 0


def count(frame, event, argument):
    global calls
    if event in ("call", "c_call") and f"{os.sep}image{os.sep}" in frame.f_code.co_filename:
        calls += 1
        if calls == limit:
            os.kill(os.getpid(), signal.SIGKILL)


with Lab() as lab:
    images = lab.images
    if act == "commit":
        changed = lab.containers.run("busybox", ["sh", "-c", "echo new >/new; rm /bin/vi"], network="none")
        do = lambda: changed.commit("new:1")
    elif act == "prune":
        images.tag("busybox", "old:1")
        do = lambda: images.prune(images.unused())
    else:
        do = {
            "save": lambda: images.save(["kept", "busybox"], place / "saved.tar.gz"),
            "layout": lambda: images.save(["kept"], place / "layout", "oci-dir"),
            "load": lambda: images.load(place / "archive.tar"),
        }[act]
    threading.setprofile(count)
    sys.setprofile(count)
    do()
    sys.setprofile(None)
    threading.setprofile(None)
    print(calls)
"""
POINTS = 3


def run(act: str, limit: int, place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, act, str(limit), str(place)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def place(home: Path, lab: Any, busybox: Any, tmp_path: Path) -> Path:
    """Where archives are: one to load. In the store: busybox, `kept` on it, and one that nobody needs."""

    def made(script: str, name: str) -> None:
        c = lab.containers.run("busybox", ["sh", "-c", script], network="none")
        written = files.written(c)
        image = lab.images.commit_layer(
            busybox, written, {"created_by": "x"}, driver=lab.containers.driver, names=[name]
        )
        c.remove()
        return image

    made("echo kept >/kept", "kept")
    made("head -c 300000 /dev/urandom >/loaded", "loaded")
    lab.images.save(["loaded"], tmp_path / "archive.tar")
    lab.images.remove("loaded")
    made("head -c 300000 /dev/urandom >/old", "old:1")
    return tmp_path


@pytest.mark.parametrize("act", ["commit", "save", "layout", "load", "prune"])
def test_a_kill(act: str, place: Path, lab: Any) -> None:
    kept = {name: lab.images.get(name).id for name in ("busybox", "kept")}
    whole = run(act, 0, place)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout)
    for point in range(1, POINTS + 1):
        _again(act, place, lab)
        done = run(act, calls * point // (POINTS + 1), place)
        assert done.returncode == -signal.SIGKILL, done.stderr
        # The next kernel's view of the store.
        images = Images(lab)
        assert {name: images.get(name).id for name in kept} == kept
        for problem in images.fsck().problems:
            assert problem.wrong == "no image needs it", problem
        assert images.fsck(repair=True).whole
        assert images.fsck().problems == ()
        _look(act, place, images)


def _again(act: str, place: Path, lab: Any) -> None:
    """As it was before."""
    images = Images(lab)
    for name in ("new:1", "loaded"):
        if any(tag.startswith(name) for image in images.list() for tag in image.tags):
            images.remove(name)
    for path in place.iterdir():
        if path.name != "archive.tar":
            subprocess.run(["rm", "-r", path], check=True)


def _look(act: str, place: Path, images: Images) -> None:
    names = [name for name in os.listdir(place) if name != "archive.tar"]
    if act == "save":
        assert names in ([], ["saved.tar.gz"])
        if names:
            assert len(images.load(place / "saved.tar.gz")) == 2
    elif act == "layout":
        assert [name for name in names if not name.startswith(".")] in ([], ["layout"])
        if "layout" in names:
            assert json.loads((place / "layout/index.json").read_bytes())["manifests"]
        # What is left of it goes with the next one of that name.
        if "layout" not in names:
            images.save(["kept"], place / "layout", "oci-dir")
            assert sorted(os.listdir(place)) == ["archive.tar", "layout"]
    else:
        assert names == []
