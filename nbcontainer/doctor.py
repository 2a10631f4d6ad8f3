"""What a machine must offer a lab: each thing tried, with its state, what it costs to lack it, and the remedy."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.errors import NbcontainerError
from nbcontainer.image import bootstrap
from nbcontainer.lab import idmap
from nbcontainer.lab.home import Home, default_home
from nbcontainer.lab.interpreter import PACKAGE
from nbcontainer.syscalls import libseccomp

State = Literal["ok", "warn", "missing"]

#: sysctls that forbid user namespaces to ordinary users, and what undoes each.
_FORBIDDING = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=28633"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
_UNSHARE = "from nbcontainer.syscalls.namespaces import *; unshare({flags}); print('fine')"
_OVERLAY = """
import os
from nbcontainer.syscalls import mounts
from nbcontainer.syscalls.namespaces import *
uid, gid = os.geteuid(), os.getegid()
unshare(CLONE_NEWUSER | CLONE_NEWNS)
open("/proc/self/setgroups", "w").write("deny")
open("/proc/self/uid_map", "w").write(f"0 {{uid}} 1")
open("/proc/self/gid_map", "w").write(f"0 {{gid}} 1")
os.chdir({directory!r})
for name in ("lower", "upper", "work", "merged"):
    os.mkdir(name)
mounts.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
open("merged/made", "w").close()
print("fine")
"""


@dataclass(frozen=True)
class Check:
    """One thing. `costs` and `remedy` are empty when it is `ok`; every text is one line."""

    name: str
    state: State
    finding: str
    costs: str = ""
    remedy: str = ""


def checks(home: Home | None = None) -> list[Check]:
    """Every check. Nothing is raised: what goes wrong is a finding."""
    place = home or default_home()
    tried: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("Python", _python),
        ("kernel", _kernel),
        ("user namespaces", _user_namespaces),
        ("ids", _ids),
        ("overlay in a user namespace", lambda: _overlay(place)),
        ("control groups", _cgroups),
        ("libseccomp", _seccomp),
        ("static busybox", _busybox),
        ("network tools", _tools),
        ("a way out", _way_out),
        ("disk", lambda: _disk(place)),
    )
    found = []
    for name, try_ in tried:
        try:
            found.append(try_())
        except Exception as error:  # a machine without /proc is a finding too
            found.append(Check(name, "warn", f"could not be checked: {error}", "not known", "look at the message"))
    return found


def _probe(code: str) -> str:
    """What a fresh Python says to `code`: "fine", or the last line of its complaint."""
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({PACKAGE!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if found.stdout.strip() == "fine":
        return "fine"
    said = found.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with {found.returncode}"


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _kernel() -> Check:
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if version >= (5, 12):
        return Check("kernel", "ok", release)
    return Check(
        "kernel",
        "missing" if version < (5, 11) else "warn",
        release,
        "overlay in a user namespace and id-mapped mounts need Linux 5.12",
        "run a newer kernel",
    )


def _user_namespaces() -> Check:
    said = _probe(_UNSHARE.format(flags="CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID"))
    if said == "fine":
        return Check("user namespaces", "ok", "can be made")
    remedy = "if this is a container itself, run it with --security-opt seccomp=unconfined, or as Binder does, without"
    for name, forbidding, undo in _FORBIDDING:
        try:
            if Path(f"/proc/sys/{name}").read_text().strip() == forbidding:
                remedy = f"as root: {undo}"
                break
        except OSError:
            continue
    return Check("user namespaces", "missing", said, "no lab can start: nothing works", remedy)


def _ids() -> Check:
    chosen = idmap.choose()
    if not chosen.single:
        return Check("ids", "ok", f"{sum(extent.count for extent in chosen.uids)} ids")
    user = os.environ.get("USER") or str(os.geteuid())
    remedy = f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    if not shutil.which("newuidmap"):
        remedy = f"as root: apt-get install uidmap, then {remedy.removeprefix('as root: ')}"
    return Check(
        "ids", "warn", "one id", "containers have root only: -u and images with other users do not work", remedy
    )


def _overlay(home: Home) -> Check:
    home.make()
    directory = tempfile.mkdtemp(prefix="probe", dir=home.path)
    try:
        said = _probe(_OVERLAY.format(directory=directory))
    finally:
        for name in ("work/work", "work"):
            path = Path(directory, name)
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)
    if said == "fine":
        return Check("overlay in a user namespace", "ok", f"works on {home.path}")
    return Check(
        "overlay in a user namespace",
        "warn",
        said,
        "layers are copied for every container: slower, and more disk",
        "Linux 5.13 or newer, and NBCONTAINER_HOME on ext4, xfs, btrfs or tmpfs",
    )


def _cgroups() -> Check:
    found = Cgroups.detect()
    if {"cpu", "memory", "pids"} <= found.controllers:
        return Check("control groups", "ok", f"{found.mode}: {', '.join(sorted(found.controllers))}")
    return Check(
        "control groups",
        "warn",
        f"{found.mode}: {', '.join(sorted(found.controllers)) or 'nothing'} may be limited",
        "containers run, but limits (-m, --cpus, --pids-limit) and pause are refused",
        found.why,
    )


def _seccomp() -> Check:
    if libseccomp.available():
        return Check("libseccomp", "ok", "libseccomp.so.2")
    return Check(
        "libseccomp",
        "missing",
        "not found",
        "containers start only with --security-opt seccomp=unconfined",
        "as root: apt-get install libseccomp2",
    )


def _busybox() -> Check:
    try:
        return Check("static busybox", "ok", str(bootstrap.find()))
    except NbcontainerError as error:
        return Check(
            "static busybox",
            "warn",
            str(error),
            "the image busybox cannot be made here",
            f"as root: {bootstrap.REMEDY}",
        )


def _tools() -> Check:
    missing = [f"{tool} ({package})" for tool, package in (("ip", "iproute2"), ("nft", "nftables")) if not _which(tool)]
    if not missing:
        return Check("network tools", "ok", "ip and nft")
    return Check(
        "network tools",
        "warn",
        f"without {', '.join(missing)}",
        "%%lab cells cannot call them; containers do not need them",
        "as root: apt-get install iproute2 nftables",
    )


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _way_out() -> Check:
    for program in ("pasta", "slirp4netns"):
        if _which(program):
            return Check("a way out", "ok", program)
    return Check(
        "a way out",
        "warn",
        "neither pasta nor slirp4netns",
        "containers reach each other and the lab, but not the machine's network",
        "as root: apt-get install passt",
    )


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(home.path if home.path.exists() else "/").free
    text = f"{free / (1 << 30):.0f} GiB free below {home.path}"
    if free > 1 << 30:
        return Check("disk", "ok", text)
    return Check("disk", "warn", text, "images may not fit", "make room, or set NBCONTAINER_HOME elsewhere")
