"""Runs inside the lab: whether an unpacked layer still is what its archive says."""

from __future__ import annotations

import os
import stat

from nbcontainer.image.contents import is_opaque
from nbcontainer.image.unpack import UNFINISHED
from nbcontainer.lab.files import remove_tree

#: How the name ends of the directory that a layer is unpacked to once more, beside the one that is looked at.
FRESH = ".check"
_PIECE = 1 << 20
_OVERLAYFS = "user.overlay."


def compare(target: str, fresh: str, replace: bool) -> list[str]:
    """Compare the layer's directory `target` with the same layer just unpacked to `fresh`, which goes: what is
    different, a line each. With `replace`, a directory that is different is exchanged for the fresh one."""
    try:
        found: list[str] = []
        _compare(target, fresh, "", found)
        if found and replace:
            old = f"{target}.{os.urandom(4).hex()}{UNFINISHED}"
            os.rename(target, old)
            os.rename(fresh, target)
            remove_tree(old)
        return found
    finally:
        remove_tree(fresh)


def _compare(one: str, right: str, path: str, found: list[str]) -> None:
    names, wanted = set(os.listdir(one)), set(os.listdir(right))
    for name in sorted(names | wanted, key=os.fsencode):
        here = f"{path}/{name}"
        if name not in names:
            found.append(f"{here} is missing")
            continue
        info = os.lstat(f"{one}/{name}")
        if name not in wanted:
            # A layer made of a container's own directory may have some, which no archive holds.
            if not stat.S_ISSOCK(info.st_mode):
                found.append(f"{here} does not belong there")
            continue
        wrong = _differs(f"{one}/{name}", info, f"{right}/{name}", os.lstat(f"{right}/{name}"))
        if wrong:
            found.append(f"{here} has another {wrong}")
        if wrong != "type" and stat.S_ISDIR(info.st_mode):
            _compare(f"{one}/{name}", f"{right}/{name}", here, found)


def _differs(one: str, info: os.stat_result, right: str, wanted: os.stat_result) -> str:
    """What of a file is not as it should be; "" when nothing is."""
    if stat.S_IFMT(info.st_mode) != stat.S_IFMT(wanted.st_mode) or info.st_rdev != wanted.st_rdev:
        return "type"
    if info.st_mode != wanted.st_mode:
        return "mode"
    if (info.st_uid, info.st_gid) != (wanted.st_uid, wanted.st_gid):
        return "owner"
    if stat.S_ISREG(info.st_mode) and (info.st_size != wanted.st_size or not _same_bytes(one, right)):
        return "content"
    if stat.S_ISLNK(info.st_mode) and os.readlink(one) != os.readlink(right):
        return "target"
    # A directory's time changes with what is in it, of which more is said elsewhere.
    if info.st_mtime_ns != wanted.st_mtime_ns and not stat.S_ISCHR(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        return "time"
    if not stat.S_ISLNK(info.st_mode) and _attributes(one) != _attributes(right):
        return "attribute"
    # One more than the archive says is no harm: overlayfs marks every new directory.
    return "attribute" if is_opaque(right) and not is_opaque(one) else ""


def _attributes(path: str) -> dict[str, bytes]:
    names = [name for name in os.listxattr(path) if not name.startswith(_OVERLAYFS)]
    return {name: os.getxattr(path, name) for name in names}


def _same_bytes(one: str, other: str) -> bool:
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while True:
            piece = first.read(_PIECE)
            if piece != second.read(_PIECE):
                return False
            if not piece:
                return True
