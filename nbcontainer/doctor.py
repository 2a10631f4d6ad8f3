"""What a machine must offer a lab: each thing tried, with its state, what it costs to lack it, and the remedy."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.errors import LabError, NbcontainerError, Unavailable
from nbcontainer.image import bootstrap
from nbcontainer.lab import idmap
from nbcontainer.lab.home import Home, default_home
from nbcontainer.lab.idmap import IdMap
from nbcontainer.lab.interpreter import PACKAGE, complaint
from nbcontainer.remedies import FORBIDDING, LACKS
from nbcontainer.syscalls import libseccomp

State = Literal["ok", "warn", "missing"]

#: What every probe begins with. Making namespaces is not enough: Ubuntu's AppArmor lets anybody make one and then
#: takes away what root in it may do, so a probe mounts something too.
_NAMESPACES = """
import os, sys
from nbcontainer.syscalls import mounts
from nbcontainer.syscalls.namespaces import *
os.chdir({directory!r})
unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
print("made", flush=True)
sys.stdin.read(1)
mounts.mount(None, "/", None, mounts.MS_REC | mounts.MS_SLAVE)
sethostname("lab")
"""
_OVERLAY = """
for name in ("lower", "upper", "work", "merged"):
    os.mkdir(name)
mounts.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
open("merged/made", "w").close()
"""
#: Kinds of links, then what a link's end can be given; each tried.
_LINKS = """
import socket
from nbcontainer.network import tc
from nbcontainer.network.wire import Rtnetlink
rtnetlink = Rtnetlink(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
rate, delay = tc.token_bucket(66, 10**6, "tbf"), tc.emulator(77, 1000, 0, 0.0, "netem", below_bucket=False)
tries = {
    "bridge": lambda: rtnetlink.link_add("bridge", "probe1", index=66),
    "veth": lambda: rtnetlink.link_add("veth", "probe2", index=77),
    "tbf": lambda: rtnetlink.request(*rate),
    "netem": lambda: rtnetlink.request(*delay),
}
missing = []
for name, try_ in tries.items():
    try:
        try_()
    except OSError:
        missing.append(name)
if missing:
    sys.exit("without " + ", ".join(missing))
"""


@dataclass(frozen=True)
class Check:
    """One thing. `costs` and `remedy` are empty when it is `ok`; every text is one line.

    `costs` is what you lack without it, or why it could not be checked.
    """

    name: str
    state: State
    finding: str
    costs: str = ""
    remedy: str = ""

    @classmethod
    def lacking(cls, name: str, what: str, finding: str, state: State = "warn", **fields: object) -> Check:
        """A check that found `what` of `remedies.LACKS` lacking."""
        lack = LACKS[name][what]
        return cls(name, state, finding, lack.costs, lack.remedy.format(**fields))


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
        ("links", _links),
        ("network tools", _tools),
        ("a way out", _way_out),
        ("disk", lambda: _disk(place)),
    )
    found = []
    for name, try_ in tried:
        try:
            found.append(try_())
        except Exception as error:  # a machine without /proc is a finding too
            found.append(Check(name, "warn", "could not be checked", str(error).replace("\n", " ")))
    return found


def _probe(ids: IdMap, code: str = "", directory: str = "/") -> str:
    """Empty when a fresh Python, in namespaces of its own with these ids, gets through `code`; else its complaint."""
    whole = f"import sys; sys.path.append({PACKAGE!r})\n{_NAMESPACES.format(directory=directory)}{code}"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", whole],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        try:
            if running.stdout.readline() == b"made\n":
                idmap.write(running.pid, ids)
            said = complaint(running.communicate(b"y", timeout=20)[1])
        except (OSError, LabError, subprocess.TimeoutExpired) as error:
            running.kill()
            return str(error)
    if running.returncode == 0:
        return ""
    return said or f"it ended with {running.returncode}"


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _kernel() -> Check:
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if version >= (5, 12):
        return Check("kernel", "ok", release)
    return Check.lacking("kernel", "old", release, "missing" if version < (5, 11) else "warn")


def _user_namespaces() -> Check:
    said = _probe(idmap.single())
    if not said:
        return Check("user namespaces", "ok", "can be made")
    return Check.lacking("user namespaces", _who_forbids(), said, "missing")


def _who_forbids() -> str:
    """What of the table says why user namespaces cannot be made."""
    for name, forbidding in FORBIDDING.items():
        if _text(f"/proc/sys/{name}") == forbidding:
            return name
    if not os.path.isdir("/proc/self"):
        return "proc"
    if not os.path.exists("/proc/self/ns/user"):
        return "kernel"
    if "BINDER_SERVICE_HOST" in os.environ or "BINDER_LAUNCH_HOST" in os.environ:
        return "binder"
    if "\nSeccomp:\t2" in _text("/proc/self/status"):
        return "container"
    if _text("/sys/fs/selinux/enforce") == "1":
        return "selinux"
    return "unknown"


def _text(path: str) -> str:
    """A file's text, empty when it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _ids() -> Check:
    if _probe(idmap.single()):
        return Check.lacking("ids", "namespaces", "cannot be tried without user namespaces")
    chosen = idmap.choose()
    said = "one id"
    if not chosen.single:
        said = _probe(chosen)
        if not said:
            return Check("ids", "ok", f"{sum(extent.count for extent in chosen.uids)} ids")
    if os.geteuid() == 0:
        return Check.lacking("ids", "container", said, count=idmap.COUNT)
    if not chosen.single:
        return Check.lacking("ids", "refused", said)
    return Check.lacking("ids", "steps", said, steps=" && ".join(_more_ids(os.geteuid())))


def _more_ids(uid: int) -> list[str]:
    """What root types to give a user more than one id."""
    steps = [] if shutil.which("newuidmap") and shutil.which("newgidmap") else ["apt-get install uidmap"]
    if not idmap.claimed(uid):
        first = idmap.unclaimed()
        try:
            user, last = pwd.getpwuid(uid).pw_name, first + idmap.COUNT - 1
            steps.append(f"usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}")
        except KeyError:  # usermod knows users with a name only
            steps.append(f"echo {uid}:{first}:{idmap.COUNT} | tee -a /etc/subuid /etc/subgid")
    return steps


def _overlay(home: Home) -> Check:
    name = "overlay in a user namespace"
    if _probe(idmap.single()):
        return Check.lacking(name, "namespaces", "cannot be tried without user namespaces")
    home.make()
    directory = tempfile.mkdtemp(prefix="probe", dir=home.path)
    try:
        said = _probe(idmap.single(), _OVERLAY, directory)
    finally:
        for left in ("work/work", "work"):
            path = Path(directory, left)
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)
    if not said:
        return Check(name, "ok", f"works on {home.path}")
    return Check.lacking(name, "refused", said)


def _cgroups() -> Check:
    found = Cgroups.detect()
    if {"cpu", "memory", "pids"} <= found.controllers:
        return Check("control groups", "ok", f"{found.mode}: {', '.join(sorted(found.controllers))}")
    said = f"{found.mode}: {', '.join(sorted(found.controllers)) or 'nothing'} may be limited"
    return Check.lacking("control groups", "refused", said, why=found.why)


def _seccomp() -> Check:
    if libseccomp.available():
        return Check("libseccomp", "ok", "libseccomp.so.2")
    return Check.lacking("libseccomp", "absent", "not found", "missing")


def _busybox() -> Check:
    try:
        return Check("static busybox", "ok", str(bootstrap.find()))
    except NbcontainerError as error:
        return Check.lacking("static busybox", "absent", str(error), remedy=bootstrap.REMEDY)


def _links() -> Check:
    if _probe(idmap.single()):
        return Check.lacking("links", "namespaces", "cannot be tried without user namespaces")
    said = _probe(idmap.single(), _LINKS)
    kinds = [kind for kind in LACKS["links"] if kind != "namespaces"]
    if not said:
        return Check("links", "ok", ", ".join(kinds))
    lacking = [kind for kind in kinds if kind in said.removeprefix("without ").split(", ")] or ["bridge"]
    lacks = [LACKS["links"][kind] for kind in lacking]
    return Check(
        "links",
        "warn",
        said,
        "; ".join(dict.fromkeys(lack.costs for lack in lacks)),
        "; ".join(lack.remedy for lack in lacks),
    )


def _tools() -> Check:
    missing = [f"{tool} ({package})" for tool, package in (("ip", "iproute2"), ("nft", "nftables")) if not _which(tool)]
    if not missing:
        return Check("network tools", "ok", "ip and nft")
    return Check.lacking("network tools", "absent", f"without {', '.join(missing)}")


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _way_out() -> Check:
    for program in ("pasta", "slirp4netns"):
        if _which(program):
            return Check("a way out", "ok", program)
    return Check.lacking("a way out", "absent", "neither pasta nor slirp4netns")


def _disk(home: Home) -> Check:
    try:
        home.make()
    except Unavailable as error:
        return Check.lacking("disk", "closed", str(error).partition(";")[0], "missing")
    existing = next(path for path in (home.path, *home.path.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / (1 << 30):.0f} GiB free below {home.path}"
    if free > 1 << 30:
        return Check("disk", "ok", text)
    return Check.lacking("disk", "full", text)
