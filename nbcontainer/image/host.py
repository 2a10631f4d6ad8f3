"""The image `host`: the machine's own programs, read-only, as lower directories. Nothing is copied.

An unprivileged overlay refuses "/" itself as a lower directory (it has mounts below it that must not be uncovered),
but takes /usr, /etc and /opt. The rest of the root is a skeleton. Home directories, /run, /var, /proc, /sys and
/dev stay out; of /etc, what not everybody may read and what is known to be secret is hidden.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import Any

from nbcontainer.image.image import architecture

NAME = "host"
#: In the lab's own /run, made once a lab.
_PLACE = "/run/nbcontainer/host"
_TREES = ("/usr", "/etc", "/opt")
_EMPTY = ("boot", "dev", "home", "media", "mnt", "proc", "run", "srv", "sys", "var", "var/lib", "var/cache", "var/log")
#: Of /etc: keys, passwords, and what names this machine.
_SECRET = {
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "sudoers",
    "sudoers.d",
    "ssh",
    "ssl/private",
    "security/opasswd",
    "machine-id",
    "krb5.keytab",
    "docker",
    "wireguard",
    "openvpn",
    "NetworkManager",
    "netplan",
    "fstab",
    "crypttab",
    "letsencrypt",
    "subuid",
    "subuid-",
    "subgid",
    "subgid-",
}


def document() -> dict[str, Any]:
    """Its OCI image config."""
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["/bin/sh"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": "this machine's /usr, /etc and /opt, read-only", "empty_layer": True}],
    }


def image_id(config: dict[str, Any]) -> str:
    """Its id: the digest of its config, as any image's."""
    return f"sha256:{hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()}"


def prepare() -> list[tuple[str, list[str]]]:
    """Runs inside: make the skeleton and the mask; prefix and lower directories of every overlay, "/" first."""
    skeleton, mask = f"{_PLACE}/skeleton", f"{_PLACE}/etc"
    if not os.path.isdir(skeleton):
        _make_skeleton(skeleton)
        os.makedirs(mask, mode=0o755)
        _hide("/etc", mask, "")
    trees = [tree for tree in _TREES if os.path.isdir(tree)]
    overlays: list[tuple[str, list[str]]] = [("/", [skeleton])]
    for name in _merged_or_not():
        if not os.path.islink(f"/{name}"):
            trees.append(f"/{name}")
    overlays += [(tree, [mask, tree] if tree == "/etc" else [tree]) for tree in trees]
    return overlays


def _merged_or_not() -> list[str]:
    """/bin, /lib and their like: links into /usr on a merged system, directories of their own elsewhere."""
    return sorted(name for name in os.listdir("/") if name in ("bin", "sbin") or name.startswith("lib"))


def _make_skeleton(path: str) -> None:
    os.makedirs(path, mode=0o755)
    for name in (*_EMPTY, *(tree.lstrip("/") for tree in _TREES)):
        os.mkdir(f"{path}/{name}", 0o755)
    for name in _merged_or_not():
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{path}/{name}")
        else:
            os.mkdir(f"{path}/{name}", 0o755)
    for name, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)):
        os.mkdir(f"{path}/{name}")
        os.chmod(f"{path}/{name}", mode)
    os.symlink("../run", f"{path}/var/run")
    os.symlink("../run/lock", f"{path}/var/lock")


def _hide(source: str, mask: str, prefix: str) -> None:
    """Put a whiteout into `mask` for all below `source` that is secret or that not everybody may read."""
    for entry in os.scandir(source):
        name = f"{prefix}{entry.name}"
        if entry.is_symlink():
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        directory = stat.S_ISDIR(mode)
        open_to_all = mode & 0o005 == 0o005 if directory else mode & 0o004
        if name in _SECRET or not open_to_all:
            os.makedirs(mask, mode=0o755, exist_ok=True)
            os.mknod(f"{mask}/{entry.name}", stat.S_IFCHR, 0)
        elif directory:
            _hide(entry.path, f"{mask}/{entry.name}", f"{name}/")
