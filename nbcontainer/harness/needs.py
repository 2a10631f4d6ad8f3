"""What a test can need of the machine, each tried once a run in a lab, and the reason where it is not there."""

from __future__ import annotations

import errno
import functools
import os
import shutil

from nbcontainer.errors import NbcontainerError, UsageError
from nbcontainer.network import tc
from nbcontainer.network.wire import Rtnetlink

#: Kinds of queueing discipline, which are asked for by their own name.
DISCIPLINES = ("netem", "tbf")
#: The index of lo in every network namespace.
LOOPBACK = 1


@functools.cache
def lacking(what: str) -> str:
    """Why the machine has no `what`, in words for a skipped test; empty when it has. Raises `UsageError`."""
    kind, _, name = what.partition(".")
    if what == "root":
        return "" if os.geteuid() == 0 else "needs root"
    if kind == "program":
        return "" if shutil.which(name) else f"not installed: {name}"
    if what not in ("ids", "overlay", *DISCIPLINES) and kind not in ("cgroup", "link"):
        known = f"root, ids, overlay, {', '.join(DISCIPLINES)}, cgroup.*, link.*, program.*"
        raise UsageError(f"needs({what!r}): there are {known}")
    try:
        return _tried(what, kind, name)
    except NbcontainerError as error:
        return f"no lab here: {error}"


def _tried(what: str, kind: str, name: str) -> str:
    from nbcontainer.runtime import Lab

    with Lab() as lab:
        if what == "ids":
            return "this user has one id in a lab: neither root nor in /etc/subuid" if lab.idmap.single else ""
        if what == "overlay":
            return "" if lab.containers.driver == "overlay" else f"no overlayfs here: {lab.containers.driver_refusal}"
        if kind == "cgroup":
            has = name in lab.cgroups.controllers
            return "" if has else f"the controller {name} is not ours to use: {lab.cgroups.why}"
        with lab.netlink() as sock:
            return _asked(Rtnetlink(sock), what, name)


def _asked(host: Rtnetlink, what: str, name: str) -> str:
    """Whether the kernel knows the kind: a refusal of ours for want of arguments says that it does."""
    try:
        if name:
            host.link_add(name, "probe0")
        elif what == "netem":
            host.request(*tc.emulator(LOOPBACK, 0, 0, 0.0, what, below_bucket=False))
        else:
            host.request(*tc.token_bucket(LOOPBACK, 1_000_000, what))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOENT):
            return f"this kernel has no {name or what}"
    return ""
