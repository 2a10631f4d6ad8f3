"""What the doctor says of this machine, and of one that lacks something: a namespace that was made so."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbcontainer.doctor import checks
from nbcontainer.lab import idmap
from nbcontainer.lab.home import Home

ROOT = Path(__file__).resolve().parents[1]
SAY = """
import json, sys
sys.path.insert(0, sys.argv[1])
from dataclasses import asdict
from nbcontainer.doctor import checks
print(json.dumps([asdict(check) for check in checks()]))
"""


def ask(before: str, *options: str) -> dict[str, dict[str, str]]:
    """What the doctor finds, by check, after the shell script `before` in a new user namespace."""
    script = f'{before}\nexec "$0" -c "$1" "$2"'
    namespace = ["unshare", "--user", "--map-root-user", *options]
    command = [*namespace, "sh", "-ec", script, sys.executable, SAY, str(ROOT)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    return {check["name"]: check for check in json.loads(said.stdout)}


def test_this_machine(home: Path) -> None:
    found = {check.name: check for check in checks(Home(home))}
    assert found["user namespaces"].state == found["kernel"].state == found["libseccomp"].state == "ok"
    for check in found.values():
        texts = (check.name, check.finding, check.costs, check.remedy)
        assert not any("\n" in text for text in texts)
        assert check.finding
        assert bool(check.remedy) == (check.state != "ok"), check
    assert sorted(path.name for path in home.iterdir()) == ["images", "labs"], "a probe has left something"


def test_user_namespaces_forbidden(home: Path) -> None:
    found = ask("echo 0 >/proc/sys/user/max_user_namespaces")
    assert found["user namespaces"]["state"] == "missing"
    assert found["user namespaces"]["remedy"] == "as root: sysctl -w user.max_user_namespaces=28633"
    assert found["overlay in a user namespace"]["remedy"] == "first of all user namespaces"


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = {check.name: check for check in checks(Home(tmp_path / "file" / "home"))}["disk"]
    assert found.state == "missing"
    assert found.finding.startswith("cannot make ")
    assert found.remedy == "set NBCONTAINER_HOME to a directory you can write"


def test_no_proc(home: Path) -> None:
    found = ask("mount -t tmpfs none /proc", "--mount")
    assert found["user namespaces"]["state"] == "missing"
    assert found["user namespaces"]["remedy"] == "as root: mount -t proc proc /proc"


@pytest.mark.skipif(os.geteuid() != 0, reason="an overlay that users may not stack on is made by root")
def test_no_overlay_on_an_overlay(home: Path) -> None:
    before = """
    cd "$NBCONTAINER_HOME"
    mkdir lower upper work merged
    mount -t overlay none merged -o lowerdir=lower,upperdir=upper,workdir=work
    export NBCONTAINER_HOME=$PWD/merged/home
    """
    found = ask(before, "--mount")
    assert found["overlay in a user namespace"]["state"] == "warn"
    assert "NBCONTAINER_HOME on ext4" in found["overlay in a user namespace"]["remedy"]


def test_ids_offered_are_nobodys(home: Path) -> None:
    """Whoever has one id only is told to take a range that no line of the machine's files has."""
    first = idmap.unclaimed()
    for path in ("/etc/subuid", "/etc/subgid"):
        lines = Path(path).read_text().splitlines() if os.path.exists(path) else []
        for _, start, count in (line.split(":") for line in lines):
            assert int(start) + int(count) <= first or first + idmap.COUNT <= int(start)
    found = {check.name: check for check in checks(Home(home))}["ids"]
    if found.state == "ok":
        pytest.skip("this user has ids")
    assert f"{first}-{first + idmap.COUNT - 1}" in found.remedy
    assert found.remedy.endswith(pwd.getpwuid(os.getuid()).pw_name)


def test_ids_in_the_gaps(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("another /etc/subuid is mounted by root")
    (tmp_path / "subuid").write_text("a:100000:65536\nb:300000:65536\n")
    (tmp_path / "subgid").write_text("a:165536:10\n")
    code = "from nbcontainer.lab import idmap; print(idmap.unclaimed(), idmap.claimed(0))"
    script = f"mount --bind {tmp_path}/subuid /etc/subuid; mount --bind {tmp_path}/subgid /etc/subgid; " + (
        f"cd {ROOT}; exec {sys.executable} -c '{code}'"
    )
    said = subprocess.run(["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True)
    assert said.stdout == "165546 False\n", said.stderr


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="not installed: uidmap")
@pytest.mark.skipif(os.geteuid() != 0, reason="programs without their privilege are put in place by root")
def test_newuidmap_without_its_privilege(tmp_path: Path) -> None:
    user = next(
        (name for name, *_ in idmap._ranges("/etc/subuid") if name in {e.pw_name for e in pwd.getpwall()}), None
    )
    if user is None or idmap.claimed(pwd.getpwnam(user).pw_uid) is False:
        pytest.skip("nobody here has subordinate ids")
    for program in ("newuidmap", "newgidmap"):
        shutil.copyfile(shutil.which(program) or "", tmp_path / program)
        (tmp_path / program).chmod(0o755)  # and not set-id
    code = """
from nbcontainer.doctor import _ids
check = _ids()
print(check.state, check.finding, check.remedy, sep="; ")
"""
    script = "".join(f"mount --bind {tmp_path}/{p} $(command -v {p})\n" for p in ("newuidmap", "newgidmap")) + (
        f'cd {ROOT}; exec runuser -u {user} -- "$0" -c "$1"'
    )
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script, sys.executable, code], capture_output=True, text=True
    )
    if "Permission denied" in said.stderr or "ModuleNotFoundError" in said.stderr:
        pytest.skip("this interpreter or checkout cannot be read by other users")
    assert said.stdout.startswith("warn; newuidmap failed: "), said.stderr
    assert "apt-get install --reinstall uidmap" in said.stdout


def test_links_that_this_kernel_cannot_make(home: Path) -> None:
    found = {check.name: check for check in checks(Home(home))}["links"]
    if found.state == "ok":
        assert found.finding == "bridge, veth, tbf, netem"
    else:
        assert found.finding.startswith("without ")
        assert found.remedy.startswith("as root: modprobe -a ")
