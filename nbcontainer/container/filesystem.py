"""Runs inside the lab: everything mounted below a container's root, from the spec's `mounts`.

Gathered before pivot_root(2), where the machine's files can still be named; attached after it, where every target
resolves inside the container.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct

from nbcontainer.container import confine, stage
from nbcontainer.container.trace import Recorder
from nbcontainer.syscalls import mounts, namespaces
from nbcontainer.syscalls.mounts import MS_BIND, MS_NOEXEC, MS_NOSUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: asm-generic/ioctls.h, which Python's termios leaves out.
TIOCSPTLCK = 0x40045431
TIOCGPTN = 0x80045430

_ATTRIBUTES = {
    "ro": mounts.MOUNT_ATTR_RDONLY,
    "nosuid": mounts.MOUNT_ATTR_NOSUID,
    "nodev": mounts.MOUNT_ATTR_NODEV,
    "noexec": mounts.MOUNT_ATTR_NOEXEC,
}


class Plan:
    """The mounts of one container. `ready` stand ready; `binds` are detached mounts by index in `mounts`."""

    def __init__(self, spec: dict[str, Any], ready: stage.Stage, binds: dict[int, int]) -> None:
        self.spec = spec
        self.ready = ready
        self.usable = ready.usable(spec)
        self.trees = dict(binds)
        self.device_trees: dict[str, int] = {}
        #: For a /dev that is mounted anew.
        self.nodes: dict[str, int] = {}

    def gather(self, lab: int, own: int) -> None:
        """Open, as detached copies, whatever comes from outside the root.

        `lab` and `own` are mount namespaces: the lab's has what was mounted there since ours was copied from it.
        """
        if "/dev" not in self.usable:
            self.nodes = stage.nodes()
        wanted = [
            (index, entry)
            for index, entry in enumerate(self.spec["mounts"])
            if entry["type"] == "bind" and index not in self.trees
        ]
        extra = self.spec["linux"].get("devices", [])
        if not wanted and not extra:
            return
        namespaces.setns(lab, namespaces.CLONE_NEWNS)
        for index, entry in wanted:
            recursive = mounts.AT_RECURSIVE if "rbind" in entry["options"] else 0
            self.trees[index] = mounts.open_tree(entry["source"], stage.CLONE | recursive)
        for device in extra:
            self.device_trees[device["path"]] = mounts.open_tree(device["source"], stage.CLONE)
        namespaces.setns(own, namespaces.CLONE_NEWNS)

    def mount(self, texts: dict[str, str], trace: Recorder) -> None:
        """Attach everything below the new root, in the spec's order, but for the control groups; `texts` for /etc."""
        for top, tree in self.usable.items():
            self._attach(tree, top)
            trace.step("mount", top)
        for index, entry in enumerate(self.spec["mounts"]):
            target = entry["destination"]
            if index in self.trees:
                self._attach(self.trees[index], target)
                self._restrict(target, entry.get("options", []))
            elif entry["type"] == "cgroup" or any(stage.below(top, target) for top in self.usable):
                continue
            else:
                target = os.path.realpath(target)  # as `_attach` does: no link of /proc is followed
                if not os.path.isdir(target):
                    os.makedirs(target)
                stage.fresh(entry, target)
                if entry["destination"] == "/dev":
                    stage.devices("", self.nodes)
            trace.step("mount", target)
        for path, tree in self.device_trees.items():
            self._attach(tree, path)
        for path, text in texts.items():
            fd, tree = self.ready.etc[path]
            os.write(fd, text.encode())
            os.close(fd)
            self._attach(tree, path)
        if texts:
            trace.step("mount", "/etc/hosts, hostname, resolv.conf")

    def _attach(self, tree: int, target: str) -> None:
        """Attach a mount, making its mount point as Docker does: a directory or an empty file."""
        target = os.path.realpath(target)  # in the container's root: a link to nowhere gets its directory made
        if not os.path.exists(target):
            if stat.S_ISDIR(os.fstat(tree).st_mode):
                os.makedirs(target)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        mounts.move_mount(tree, target)
        os.close(tree)

    def _restrict(self, target: str, options: list[str]) -> None:
        attributes = 0
        for option in options:
            attributes |= _ATTRIBUTES.get(option, 0)
        if attributes:
            mounts.mount_setattr(target, attributes, recursive="rbind" in options)

    def control_groups(self, hierarchies: list[str]) -> None:
        """cgroup v2 as one mount; v1 as a directory of the hierarchies the container is in (cgroups(7)).

        Of its control groups, those that it has a group of its own in: no others are the container's.
        """
        entry = next((entry for entry in self.spec["mounts"] if entry["type"] == "cgroup"), None)
        if entry is None or not hierarchies:
            return
        target, read_only = entry["destination"], "ro" in entry["options"]
        flags = MS_NOSUID | mounts.MS_NODEV | MS_NOEXEC | (mounts.MS_RDONLY if read_only else 0)
        os.makedirs(target, exist_ok=True)  # not there, where a volume is mounted on /sys
        if hierarchies == [""]:
            mounts.mount("cgroup", target, "cgroup2", flags)
            return
        mounts.mount("tmpfs", target, "tmpfs", flags & ~mounts.MS_RDONLY, "mode=755,size=64k")
        for name in hierarchies:
            os.mkdir(f"{target}/{name}")
            mounts.mount("cgroup", f"{target}/{name}", "cgroup", flags, name)
        if read_only:
            mounts.mount(None, target, None, flags | mounts.MS_REMOUNT | MS_BIND)

    def protect(self) -> None:
        """Mask and make read-only what the spec says, and the root last."""
        linux = self.spec["linux"]

        def left(paths: list[str]) -> list[str]:
            return [path for path in paths if not any(stage.below(top, path) for top in self.usable)]

        stage.protect(left(linux.get("maskedPaths", [])), left(linux.get("readonlyPaths", [])))
        if self.spec["root"].get("readonly"):
            mounts.mount_setattr("/", mounts.MOUNT_ATTR_RDONLY)


def terminal(master: int, sync: socket.socket) -> None:
    """Take the other side of the pty `master` as terminal, and send the master out (pty(7))."""
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, struct.pack("i", 0)))[0]
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    socket.send_fds(sync, [b'{"terminal": true}'], [master])
    os.close(master)
    confine.take_terminal(slave)
