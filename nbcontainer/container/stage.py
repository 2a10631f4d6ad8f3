"""Runs inside the lab: what most containers mount, mounted before the container is known.

A set-up process does this while it waits: /proc, /dev and /sys of the expected spec stand ready below `host.STAGE`, in
its own mount namespace, and the files of /etc below `host.FILES`. What the spec then asks for in the same words is
moved into its root as a whole; what it asks for otherwise is mounted anew.
"""

from __future__ import annotations

import os

from nbcontainer.lab import host
from nbcontainer.syscalls import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The directories that can be moved into a root whole.
TOPS = ("/proc", "/dev", "/sys")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}
#: The three files of /etc that every container has of its own (`nbcontainer.network.resolve`).
ETC = ("hosts", "hostname", "resolv.conf")

FLAGS = {
    "ro": mounts.MS_RDONLY,
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
    "noexec": mounts.MS_NOEXEC,
    "relatime": mounts.MS_RELATIME,
    "noatime": mounts.MS_NOATIME,
    "strictatime": mounts.MS_STRICTATIME,
}
CLONE = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC


def below(top: str, path: str) -> bool:
    """Whether `path` is `top` or lies below it."""
    return path == top or path.startswith(top + "/")


def asked(spec: dict[str, Any], top: str) -> list[Any]:
    """What a spec asks for at and below `top`; two that ask for the same can have the same mounts."""
    linux = spec["linux"]
    return [
        [entry for entry in spec["mounts"] if below(top, entry["destination"]) and entry["type"] != "cgroup"],
        [path for path in linux.get("maskedPaths", []) if below(top, path)],
        [path for path in linux.get("readonlyPaths", []) if below(top, path)],
    ]


class Stage:
    """The trees that stand ready, by their top, and what each was made from."""

    def __init__(self, expected: dict[str, Any]) -> None:
        self.expected = expected
        self.trees: dict[str, int] = {}
        mounts.mount("tmpfs", host.STAGE, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=755,size=64k")
        for top in TOPS:
            entries, masked, read_only = asked(expected, top)
            if not entries or entries[0]["destination"] != top or any(e["type"] == "bind" for e in entries):
                continue
            try:
                for entry in entries:
                    path = host.STAGE + entry["destination"]
                    os.makedirs(path, exist_ok=True)
                    fresh(entry, path)
            except OSError:
                continue  # said when the container is made
            if top == "/dev":
                devices(host.STAGE, nodes())
            protect(masked, read_only, host.STAGE)
            self.trees[top] = mounts.open_tree(host.STAGE + top, mounts.OPEN_TREE_CLOEXEC)
        self.etc = _files()

    def usable(self, spec: dict[str, Any]) -> dict[str, int]:
        """The trees that `spec` asks for in just the words they were made from."""
        return {
            top: tree
            for top, tree in self.trees.items()
            # A sysctl is written to a /proc/sys that is not read-only yet.
            if asked(spec, top) == asked(self.expected, top) and not (top == "/proc" and "sysctl" in spec["linux"])
        }


def _files() -> dict[str, tuple[int, int]]:
    """Empty files for /etc, by path: a descriptor to write to, and the file as a detached mount."""
    mounts.mount("tmpfs", host.FILES, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=755,size=1m")
    found = {}
    for name in ETC:
        path = f"{host.FILES}/{name}"
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        found[f"/etc/{name}"] = (fd, mounts.open_tree(path, CLONE))
    return found


def fresh(entry: dict[str, Any], target: str) -> None:
    """Mount a new file system, as an entry of the spec's `mounts` says, at `target`."""
    options = entry.get("options", [])
    flags = sum(FLAGS.get(option, 0) for option in options)
    data = ",".join(option for option in options if "=" in option or option == "newinstance")
    mounts.mount(entry.get("source", entry["type"]), target, entry["type"], flags, data or None)


def nodes() -> dict[str, int]:
    """The lab's own nodes as detached mounts, by name: mknod(2) takes the machine's root."""
    return {name: mounts.open_tree(f"/dev/{name}", CLONE) for name in DEVICES}


def devices(root: str, trees: dict[str, int]) -> None:
    """The usual nodes, which are `nodes`, and links in a new `root`/dev."""
    for name, link in LINKS.items():
        os.symlink(link, f"{root}/dev/{name}")
    for name, tree in trees.items():
        path = f"{root}/dev/{name}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        mounts.move_mount(tree, path)
        os.close(tree)


def protect(masked: list[str], read_only: list[str], root: str = "") -> None:
    """Hide and write-protect paths below `root`, those that exist."""
    null = f"{root}/dev/null" if os.path.exists(f"{root}/dev/null") else "/dev/null"
    for name in masked:
        path = root + name
        if os.path.isdir(path):
            hiding = mounts.MS_RDONLY | mounts.MS_NOSUID | mounts.MS_NOEXEC
            mounts.mount("tmpfs", path, "tmpfs", hiding, "size=0k,mode=755")
        elif os.path.exists(path):
            mounts.mount(null, path, None, mounts.MS_BIND)
    for name in read_only:
        path = root + name
        if os.path.exists(path):
            mounts.mount(path, path, None, mounts.MS_BIND | mounts.MS_REC)
            mounts.mount_setattr(path, mounts.MOUNT_ATTR_RDONLY, recursive=True)
