"""Runs inside the lab: what the image `host` is put together from.

An unprivileged overlay refuses "/" as a lower directory, as any with mounts below it, which must not be uncovered
(kernel, fs/namespace.c, clone_private_mount), but takes /usr, /etc and /opt. The rest of the root is a skeleton.
Home directories, /run, /var, /proc, /sys and /dev stay out; of /etc, what not everybody may read and what is known
to be secret is hidden by whiteouts.
"""

from __future__ import annotations

import json
import os
import shutil
import stat

from nbcontainer.lab.files import remove_tree

_TREES = ("/usr", "/opt")
_EMPTY = ("boot", "dev", "etc", "home", "media", "mnt", "proc", "run", "srv", "sys", "var")
_EMPTY_BELOW = ("var/cache", "var/lib", "var/log")
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
_LINKS = {"var/run": "../run", "var/lock": "../run/lock"}
#: Of /etc, whatever its mode: keys, passwords, and what names this machine or its users' ids.
_SECRET = {
    ".git",
    "NetworkManager",
    "apt/auth.conf",
    "apt/auth.conf.d",
    "crypttab",
    "docker",
    "fstab",
    "gshadow",
    "gshadow-",
    "ipsec.d",
    "ipsec.secrets",
    "krb5.keytab",
    "kubernetes",
    "letsencrypt",
    "machine-id",
    "netplan",
    "openvpn",
    "ppp",
    "rancher",
    "security/opasswd",
    "shadow",
    "shadow-",
    "ssh",
    "ssl/private",
    "subgid",
    "subgid-",
    "subuid",
    "subuid-",
    "sudoers",
    "sudoers.d",
    "wireguard",
}
_LIST = "overlays.json"


def prepare(place: str) -> list[tuple[str, list[str]]]:
    """Make the skeleton and the mask below `place`, once; prefix and lower directories of every overlay, "/" first."""
    os.umask(0o022)
    try:
        with open(f"{place}/{_LIST}") as file:
            return [(prefix, lowers) for prefix, lowers in json.load(file)]
    except FileNotFoundError:
        pass
    root, etc = f"{place}/root", f"{place}/etc"
    for left in (root, etc):
        remove_tree(left)  # from a kill
    _make(root)
    busy = _mount_points()
    overlays = [("/", [root])]
    for tree in (*_TREES, *(f"/{name}" for name in _merged_or_not() if not os.path.islink(f"/{name}"))):
        if os.path.isdir(tree):
            overlays += _trees(tree, root, busy)
    os.mkdir(etc, 0o755)
    if _has_below("/etc", busy):
        # A container's /etc often has hosts and resolv.conf mounted on it: it cannot be a lower directory then.
        _copy("/etc", etc, "")
        overlays.append(("/etc", [etc]))
    else:
        _hide("/etc", etc, "")
        overlays.append(("/etc", [etc, "/etc"]))
    with open(f"{place}/{_LIST}.new", "w") as file:
        json.dump(overlays, file)
    os.rename(f"{place}/{_LIST}.new", f"{place}/{_LIST}")
    return overlays


def _merged_or_not() -> list[str]:
    """/bin, /lib and their like: links into /usr on a merged system, directories of their own elsewhere."""
    return sorted(name for name in os.listdir("/") if name in ("bin", "sbin") or name.startswith("lib"))


def _make(root: str) -> None:
    os.mkdir(root, 0o755)
    for name in (*_EMPTY, *_EMPTY_BELOW):
        os.mkdir(f"{root}/{name}", 0o755)
    for name, mode in _MODES.items():
        os.mkdir(f"{root}/{name}")
        os.chmod(f"{root}/{name}", mode)
    for name in _merged_or_not():
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/{name}")


def _trees(tree: str, root: str, busy: list[str]) -> list[tuple[str, list[str]]]:
    """`tree` as one overlay or, where something is mounted below it, an overlay for each directory in it."""
    os.mkdir(root + tree, 0o755)
    if not _has_below(tree, busy):
        return [(tree, [tree])]
    overlays = []
    for entry in sorted(os.scandir(tree), key=lambda entry: entry.name):
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), root + entry.path)
        elif entry.is_dir() and os.access(entry.path, os.R_OK | os.X_OK):
            overlays += _trees(entry.path, root, busy)
    return overlays


def _mount_points() -> list[str]:
    """Where something is mounted: proc(5), /proc/PID/mountinfo, field 5."""
    with open("/proc/self/mountinfo", "rb") as file:
        return [os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1")) for line in file]


def _has_below(tree: str, busy: list[str]) -> bool:
    return any(point.startswith(f"{tree}/") for point in busy)


def _is_hidden(entry: os.DirEntry[str], name: str) -> bool:
    mode = entry.stat(follow_symlinks=False).st_mode
    wanted = 0o005 if stat.S_ISDIR(mode) else 0o004
    return name in _SECRET or (not stat.S_ISLNK(mode) and mode & wanted != wanted)


def _hide(source: str, mask: str, prefix: str) -> None:
    """Put a whiteout into `mask` for everything below `source` that is hidden."""
    for entry in os.scandir(source):
        name = prefix + entry.name
        if _is_hidden(entry, name):
            os.makedirs(mask, mode=0o755, exist_ok=True)
            os.mknod(f"{mask}/{entry.name}", stat.S_IFCHR, 0)
        elif entry.is_dir(follow_symlinks=False):
            _hide(entry.path, f"{mask}/{entry.name}", f"{name}/")


def _copy(source: str, target: str, prefix: str) -> None:
    """Copy everything below `source` that is not hidden."""
    for entry in os.scandir(source):
        name, path = prefix + entry.name, f"{target}/{entry.name}"
        if _is_hidden(entry, name):
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), path)
        elif entry.is_dir():
            os.mkdir(path, 0o755)
            _copy(entry.path, path, f"{name}/")
        elif entry.is_file():
            shutil.copy2(entry.path, path)
