"""Where we may make groups: as root at the top; for an ordinary user in a directory that was given to them.

Given is what NBCONTAINER_CGROUP names, and the group this process is in where it may be written. Two rules of
cgroup-v2.rst ("No Internal Process Constraint", "Delegation Containment") decide about the rest: a group that hands
down controllers holds no process, and to move one takes the right to write cgroup.procs of the closest common
ancestor of where it is and where it goes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.cgroup import v2
from nbcontainer.cgroup.group import adopt, members
from nbcontainer.errors import Unavailable

#: The name of our directory.
OURS = "nbcontainer"
#: The child that the processes of a v2 group move to which is to have groups below it.
SUPERVISOR = "supervisor"
REMEDY = (
    "limits need a control group you may write: start the notebook with `systemd-run --user --scope -p Delegate=yes`, "
    "or name a directory that is yours in NBCONTAINER_CGROUP"
)


@dataclass(frozen=True)
class Hierarchy:
    """A hierarchy mounted at `point`; `own` is the group of this process as a path from there ("" for the top)."""

    point: str
    controllers: frozenset[str]
    is_v2: bool
    own: str | None


def hierarchies() -> list[Hierarchy]:
    """What is mounted: proc(5), /proc/self/mountinfo; cgroups(7), /proc/self/cgroup."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own: dict[str, str] = {}
    for line in groups:
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    found = []
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = before.split(" ")[3:5]
            names = frozenset(options.split(",")) if kind == "cgroup" else frozenset({""})
            group = next((own[name] for name in names if name in own), None)
            found.append(Hierarchy(point, names, kind == "cgroup2", _below(root, group)))
    return found


def _below(root: str, group: str | None) -> str | None:
    """`group` as a path from `root`, "" for `root` itself; None for one outside what is mounted."""
    if group is None or group.startswith("/.."):
        return None
    prefix = root.rstrip("/")
    return group[len(prefix) :].rstrip("/") if (group + "/").startswith(prefix + "/") else None


def ours(hierarchy: Hierarchy, named: str | None) -> str:
    """Our directory in a hierarchy, made ready. Raises `Unavailable`, saying what is in the way."""
    point, own = hierarchy.point, hierarchy.own
    if named:
        directory = f"{point}/{named.removeprefix(point).strip('/')}".rstrip("/")
        top = directory
    elif os.geteuid() == 0:
        directory, top = point, f"{point}/{OURS}"
    elif hierarchy.is_v2 and own:
        # Another notebook, or this one a while ago, may have moved this process aside.
        directory = point + own.removesuffix(f"/{SUPERVISOR}")
        top = f"{directory}/{OURS}"
    else:
        raise Unavailable(REMEDY)
    files = ("", "/cgroup.procs", "/cgroup.subtree_control") if hierarchy.is_v2 else ("",)
    if not all(os.access(directory + file, os.W_OK) for file in files):
        raise Unavailable(
            f"the control group {directory} is not there or may not be written: {REMEDY}" if named else REMEDY
        )
    try:
        if hierarchy.is_v2:
            _check_reach(hierarchy, directory)
            _make_room(directory, given=named is not None or _delegated(directory))
            v2.hand_down(directory)
        os.makedirs(top, 0o755, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the control group {error.filename or directory}: {error.strerror}") from None
    return top


def _check_reach(hierarchy: Hierarchy, directory: str) -> None:
    if os.geteuid() == 0:
        return
    common = os.path.commonpath([hierarchy.point + hierarchy.own, directory]) if hierarchy.own is not None else None
    if common is None or not os.access(f"{common}/cgroup.procs", os.W_OK):
        raise Unavailable(
            f"no process can move from the control group of this notebook to {directory}: "
            f"cgroup.procs of {common or 'what is above both'} may not be written; start the notebook in {directory}"
        )


def _delegated(directory: str) -> bool:
    """Whether systemd says that everything from here on is its user's: Delegate= in systemd.resource-control(5)."""
    try:
        return os.getxattr(directory, "user.delegate") == b"1"
    except OSError:
        return False


def _make_room(directory: str, given: bool) -> None:
    """Move who is in a group into a child of it: only this process, unless the group and all in it were given to us."""
    if not os.path.exists(f"{directory}/cgroup.type"):
        return  # the root of all is exempt
    there = members(directory)
    if not there:
        return
    if not given and there != [os.getpid()]:
        raise Unavailable(
            f"the control group {directory} holds other processes besides this one and was not delegated: {REMEDY}"
        )
    supervisor = f"{directory}/{SUPERVISOR}"
    os.makedirs(supervisor, 0o755, exist_ok=True)
    adopt(supervisor, lambda: members(directory))
