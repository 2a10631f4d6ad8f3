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

from nbcontainer.container import confine
from nbcontainer.container.trace import Recorder
from nbcontainer.lab import host
from nbcontainer.syscalls import mounts
from nbcontainer.syscalls.mounts import MS_BIND, MS_NOEXEC, MS_NOSUID, MS_REC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}

#: asm-generic/ioctls.h, which Python's termios leaves out.
TIOCSPTLCK = 0x40045431
TIOCGPTN = 0x80045430

FLAGS = {
    "ro": mounts.MS_RDONLY,
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
    "noexec": mounts.MS_NOEXEC,
    "relatime": mounts.MS_RELATIME,
    "noatime": mounts.MS_NOATIME,
    "strictatime": mounts.MS_STRICTATIME,
}
_ATTRIBUTES = {
    "ro": mounts.MOUNT_ATTR_RDONLY,
    "nosuid": mounts.MOUNT_ATTR_NOSUID,
    "nodev": mounts.MOUNT_ATTR_NODEV,
    "noexec": mounts.MOUNT_ATTR_NOEXEC,
}
_CLONE = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC


class Plan:
    """The mounts of one container. `files` are texts for /etc; `binds` detached mounts by index in `mounts`."""

    def __init__(
        self, spec: dict[str, Any], files: dict[str, str], binds: dict[int, int], hierarchies: list[str]
    ) -> None:
        self.spec = spec
        self.files = files
        self.trees = dict(binds)
        self.texts: dict[str, int] = {}
        self.device_trees: dict[str, int] = {}
        #: Of the control groups, those that the container has a group of its own in: no others are the container's.
        self.hierarchies = hierarchies

    def gather(self) -> None:
        """Open, as detached copies, whatever comes from outside the root."""
        for index, entry in enumerate(self.spec["mounts"]):
            if entry["type"] == "bind" and index not in self.trees:
                recursive = mounts.AT_RECURSIVE if "rbind" in entry["options"] else 0
                self.trees[index] = mounts.open_tree(entry["source"], _CLONE | recursive)
        for name in _DEVICES:
            self.device_trees[f"/dev/{name}"] = mounts.open_tree(f"/dev/{name}", _CLONE)
        for device in self.spec["linux"].get("devices", []):
            self.device_trees[device["path"]] = mounts.open_tree(device["source"], _CLONE)
        if self.files:
            mounts.mount("tmpfs", host.FILES, "tmpfs", MS_NOSUID | mounts.MS_NODEV, "mode=755,size=1m")
            for path, text in self.files.items():
                name = f"{host.FILES}/{os.path.basename(path)}"
                fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
                os.write(fd, text.encode())
                os.close(fd)
                self.texts[path] = mounts.open_tree(name, _CLONE)

    def mount(self, trace: Recorder) -> None:
        """Attach everything below the new root, in the spec's order."""
        for index, entry in enumerate(self.spec["mounts"]):
            target = entry["destination"]
            options = entry.get("options", [])
            if index in self.trees:
                self._attach(self.trees[index], target)
                self._restrict(target, options)
            elif entry["type"] == "cgroup":
                self._cgroups(target, "ro" in options)
            else:
                if not os.path.isdir(target):
                    os.makedirs(target)
                flags = sum(FLAGS.get(option, 0) for option in options)
                data = ",".join(option for option in options if "=" in option or option == "newinstance")
                source = entry.get("source", entry["type"])
                mounts.mount(source, target, entry["type"], flags, data or None)
                if target == "/dev":
                    self._devices()
            trace.step("mount", target)
        for path, tree in self.texts.items():
            self._attach(tree, path)
        if self.texts:
            trace.step("mount", "/etc/hosts, hostname, resolv.conf")

    def _attach(self, tree: int, target: str) -> None:
        """Attach a detached mount, making its mount point as Docker does: a directory or an empty file."""
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

    def _devices(self) -> None:
        for name, link in _LINKS.items():
            os.symlink(link, f"/dev/{name}")
        for path, tree in self.device_trees.items():
            self._attach(tree, path)

    def _cgroups(self, target: str, read_only: bool) -> None:
        """cgroup v2 as one mount; v1 as a directory of the hierarchies the container is in (cgroups(7))."""
        flags = MS_NOSUID | mounts.MS_NODEV | MS_NOEXEC | (mounts.MS_RDONLY if read_only else 0)
        if not self.hierarchies:
            return
        if self.hierarchies == [""]:
            mounts.mount("cgroup", target, "cgroup2", flags)
            return
        mounts.mount("tmpfs", target, "tmpfs", flags & ~mounts.MS_RDONLY, "mode=755,size=64k")
        for name in self.hierarchies:
            os.mkdir(f"{target}/{name}")
            mounts.mount("cgroup", f"{target}/{name}", "cgroup", flags, name)
        if read_only:
            mounts.mount(None, target, None, flags | mounts.MS_REMOUNT | MS_BIND)

    def protect(self) -> None:
        """Mask and make read-only what the spec says, and the root last."""
        linux = self.spec["linux"]
        for path in linux.get("maskedPaths", []):
            if os.path.isdir(path):
                mounts.mount("tmpfs", path, "tmpfs", mounts.MS_RDONLY | MS_NOSUID | MS_NOEXEC, "size=0k,mode=755")
            elif os.path.exists(path):
                mounts.mount("/dev/null", path, None, MS_BIND)
        for path in linux.get("readonlyPaths", []):
            if os.path.exists(path):
                mounts.mount(path, path, None, MS_BIND | MS_REC)
                mounts.mount_setattr(path, mounts.MOUNT_ATTR_RDONLY, recursive=True)
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
