from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import Unavailable
from nbcontainer.image import bootstrap
from nbcontainer.runtime import Lab


def test_it_is_the_machines_busybox(busybox: Any) -> None:
    assert busybox.tags == ["busybox:latest"]
    assert busybox.config["Cmd"] == ["sh"]
    (overlay,) = busybox.overlays()
    (root,) = map(Path, overlay.lowers)
    program = bootstrap.find()
    assert (root / "bin/busybox").read_bytes() == program.read_bytes()
    assert busybox.size >= program.stat().st_size
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    assert set(os.listdir(root / "bin")) == {"busybox", *applets}
    assert (root / "bin/sh").stat().st_ino == (root / "bin/busybox").stat().st_ino
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:root:/root:/bin/sh\n")
    assert os.readlink(root / "usr/bin/env") == "../../bin/env"


def test_its_history_is_honest(busybox: Any) -> None:
    first = busybox.history[0]
    assert first["created_by"].startswith("nbcontainer image bootstrap busybox")
    assert first["comment"].startswith("BusyBox v")
    assert busybox.layers[0].created_by == first["created_by"]


def test_the_same_busybox_gives_the_same_image(home: Path, tmp_path: Path) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("not installed: busybox-static")
    elsewhere = shutil.copy(bootstrap.find(), tmp_path / "bb")
    with Lab() as lab:
        first = lab.images.bootstrap_busybox()
        assert lab.images.bootstrap_busybox() is first
        assert lab.images.bootstrap_busybox(Path(elsewhere)) is first
        assert [image.tags for image in lab.images.list()] == [["busybox:latest"], ["host:latest"]]


def test_what_is_no_static_busybox(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "short").write_bytes(b"\x7fELF\x02\x01")
    for program in ("/bin/ls", tmp_path / "text", tmp_path / "short", tmp_path / "missing", tmp_path):
        with pytest.raises(Unavailable, match="apt-get install busybox-static"):
            lab.images.bootstrap_busybox(Path(program))


def test_it_runs(lab: Any, busybox: Any) -> None:
    run = lab.containers.run("busybox", ["sh", "-c", "id -un; ls -d /tmp /root; usr/bin/env echo $PATH"], rm=False)
    assert run.logs() == "root\n/root\n/tmp\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
