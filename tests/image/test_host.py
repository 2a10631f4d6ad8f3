from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.image import host
from nbcontainer.runtime import Lab


def run(lab: Any, script: str) -> str:
    return str(lab.containers.run("host", ["sh", "-c", script]).logs())


def test_the_machines_programs_run(lab: Any) -> None:
    assert run(lab, "python3 -c 'print(6 * 7)'; ls /bin/sh /usr/bin/env") == "42\n/bin/sh\n/usr/bin/env\n"


def test_it_is_always_there_and_always_the_same(home: Path) -> None:
    with Lab() as lab:
        (image,) = lab.images.list()
        assert image.tags == ["host:latest"]
        assert lab.images.get("host") is lab.images.get("host:latest") is lab.images.get(image.short_id)
        assert image.id == host.image_id(host.document())
        assert image.size == 0


def test_what_is_not_seen(lab: Any) -> None:
    shown = run(lab, "ls -A /root /home /run /srv; ls /etc/shadow /etc/ssh /etc/machine-id /etc/sudoers 2>&1; id -u")
    assert "No such file" in shown
    for line in shown.splitlines()[:-1]:
        assert line == "" or line.endswith(":") or "No such file or directory" in line
    hidden = [entry.name for entry in os.scandir("/etc") if not entry.is_symlink() and not entry.stat().st_mode & 0o004]
    seen = run(lab, "ls -A /etc").split()
    assert not set(hidden) & set(seen)
    assert {"passwd", "group"} <= set(seen)


def test_nothing_of_the_machine_can_be_written(lab: Any) -> None:
    before = os.stat("/usr/bin").st_mtime_ns, os.stat("/etc").st_mtime_ns
    run(lab, "touch /new /usr/new /usr/bin/new /etc/new /opt/new /tmp/new; rm -f /usr/bin/env /etc/passwd; true")
    assert (os.stat("/usr/bin").st_mtime_ns, os.stat("/etc").st_mtime_ns) == before
    assert not Path("/usr/bin/new").exists()
    assert Path("/usr/bin/env").exists()
    assert run(lab, "ls /new /usr/bin/new /etc/new 2>&1 | grep -c 'No such'") == "3\n"


def test_the_root_looks_like_one(lab: Any) -> None:
    shown = run(lab, "stat -c '%n %a' / /tmp /var/tmp /root /var/run/.")
    assert shown == "/ 755\n/tmp 1777\n/var/tmp 1777\n/root 700\n/var/run/. 755\n"


def test_a_lab_with_a_name_has_it_again(home: Path) -> None:
    with Lab("again") as lab:
        container = lab.containers.run("host", ["sh", "-c", "cat /kept 2>&1; echo x > /kept"], name="kept")
        container_id = container.id
    with Lab("again") as lab:
        container = lab.containers.get("kept")
        assert container.id == container_id
        container.start()
        assert container.wait() == 0
        assert container.logs().endswith("x\n")


#: What a container's own /etc looks like, and /usr on a machine with a file system below it.
BUSY = """
import os, stat, sys
from nbcontainer.runtime import Lab
with Lab() as lab:
    image = lab.images.get("host")
    print(len([o for o in image.overlays() if o.prefix.startswith("/usr")]))
    script = "cat /usr/local/share/here; ls /etc/passwd /usr/bin/env; ls /etc/shadow 2>&1"
    print(lab.containers.run("host", ["sh", "-c", script], check=False).logs())
"""


def test_where_something_is_mounted_below(home: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts of its own")
    script = (
        'touch "$1"/hosts && mount --bind "$1"/hosts /etc/hosts && mount -t tmpfs x /usr/local/share && '
        'echo mounted > /usr/local/share/here && exec "$2" -c "$3"'
    )
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{BUSY}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path, sys.executable, code],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    overlays, *shown = done.stdout.splitlines()
    assert int(overlays) > 1
    assert shown[:3] == ["mounted", "/etc/passwd", "/usr/bin/env"]
    assert "No such file" in shown[3]
