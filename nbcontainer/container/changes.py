"""Runs inside the lab: a container's files, as its processes see them, and what it changed of its image.

Modules this needs are loaded before it enters a container's root: nothing may be imported from in there.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import Any

from nbcontainer.container import rootfs
from nbcontainer.lab import host
from nbcontainer.syscalls import namespaces


def enter_root(request: dict[str, Any], pidfd: int | None) -> None:
    """Make the container's root this process's root: joined where it runs, mounted where it does not."""
    if pidfd is not None:
        namespaces.setns(pidfd, namespaces.CLONE_NEWNS)
        os.chdir("/")
        return
    namespaces.unshare(namespaces.CLONE_NEWNS)
    if request["driver"] == "overlay":
        rootfs.mount(host.ROOTFS, request["overlays"])
        os.chroot(host.ROOTFS)
    else:
        os.chroot(request["overlays"][0]["upper"])
    os.chdir("/")


def pack(request: dict[str, Any], path: str, contents: bool, *, fds: list[int]) -> str:
    """Write `path` of the container to the file `fds[0]` as a tar archive; with `contents`, what is in it.

    The name of its one top entry, or "." with `contents`. `fds[1]`, if given, is the container's pidfd.
    """
    _load_codecs()
    enter_root(request, fds[1] if len(fds) > 1 else None)
    name = "." if contents else os.path.basename(path.rstrip("/")) or "."
    os.lstat(path)
    with (
        os.fdopen(os.dup(fds[0]), "wb") as file,
        tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.add(path, name, filter=_plain)
    return name


def pack_root(request: dict[str, Any], *, fds: list[int]) -> None:
    """Write the whole root to `fds[0]` as `docker export` does: without what is mounted below it."""
    _load_codecs()
    enter_root(request, None)
    with (
        os.fdopen(os.dup(fds[0]), "wb") as file,
        tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(os.listdir("/")):
            tar.add(f"/{name}", name, filter=_plain)


def _load_codecs() -> None:
    import encodings.idna
    import encodings.utf_8  # noqa: F401
    import grp  # noqa: F401
    import pwd  # noqa: F401


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # Names of users are the image's business, and looking them up would read the wrong passwd file.
    member.uname = member.gname = ""
    return None if member.type == tarfile.REGTYPE and member.size < 0 else member


def unpack(request: dict[str, Any], path: str, *, fds: list[int]) -> None:
    """Unpack the tar archive in the file `fds[0]` below the directory `path` of the container."""
    _load_codecs()
    enter_root(request, fds[1] if len(fds) > 1 else None)
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    # Extraction happens in the container's own root: wherever a link leads, it leads inside.
    with os.fdopen(os.dup(fds[0]), "rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        tar.extraction_filter = _as_it_is
        for member in tar:
            tar.extract(member, path, numeric_owner=True)


def _as_it_is(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    return member


def kind(request: dict[str, Any], path: str, *, fds: list[int]) -> str:
    """`"directory"`, `"file"` or `""` (nothing there) for `path` of the container, symbolic links followed."""
    enter_root(request, fds[1] if len(fds) > 1 else None)
    if os.path.isdir(path):
        return "directory"
    return "file" if os.path.exists(path) else ""


def compare(request: dict[str, Any]) -> list[tuple[str, str]]:
    """What the container changed: `(kind, path)`, kind A (added), C (changed) or D (deleted), sorted by path."""
    found: list[tuple[str, str]] = []
    for overlay in request["overlays"]:
        lowers = rootfs.lowers_of(overlay)
        prefix = overlay["prefix"].rstrip("/")
        if request["driver"] == "overlay":
            _walk_upper(overlay["upper"], lowers, prefix, found)
        else:
            _walk_copy(overlay["upper"], lowers, prefix, found)
            break
    return sorted(found, key=lambda change: change[1])


def listing(request: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The same as paths with what happened to each, in words, and its bytes (`image.stack.Entry`)."""
    found = []
    for kind, path in compare(request):
        size = 0
        for overlay in request["overlays"]:
            prefix = overlay["prefix"].rstrip("/")
            if kind != "D" and (path + "/").startswith(prefix + "/"):
                try:
                    info = os.lstat(overlay["upper"] + path.removeprefix(prefix))
                except OSError:
                    continue
                size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
                break
        found.append((path, {"A": "added", "C": "changed", "D": "removed"}[kind], size))
    return found


def _walk_upper(upper: str, lowers: list[str], path: str, found: list[tuple[str, str]]) -> None:
    for entry in os.scandir(upper):
        here = f"{path}/{entry.name}"
        info = entry.stat(follow_symlinks=False)
        below = _below(lowers, entry.name)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            found.append(("D", here))
            continue
        found.append(("C" if below else "A", here))
        if not entry.is_dir(follow_symlinks=False):
            continue
        if rootfs.opaque(entry.path):
            names = {name for lower in below if os.path.isdir(lower) for name in os.listdir(lower)}
            found.extend(("D", f"{here}/{name}") for name in names - set(os.listdir(entry.path)))
            below = []
        _walk_upper(entry.path, [lower for lower in below if os.path.isdir(lower)], here, found)


def _below(lowers: list[str], name: str) -> list[str]:
    """Where the layers below have `name`, topmost first, down to the one that hides the rest."""
    found = []
    for lower in lowers:
        path = f"{lower}/{name}"
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            break
        found.append(path)
        if not stat.S_ISDIR(info.st_mode) or rootfs.opaque(path):
            break
    return found


def _walk_copy(root: str, lowers: list[str], path: str, found: list[tuple[str, str]]) -> None:
    names = {name for lower in lowers for name in os.listdir(lower) if _below([lower], name)}
    here = set(os.listdir(root))
    found.extend(("D", f"{path}/{name}") for name in names - here if _below(lowers, name))
    for name in here:
        own, below = f"{root}/{name}", _below(lowers, name)
        info = os.lstat(own)
        if not below:
            found.append(("A", f"{path}/{name}"))
        elif _differs(info, os.lstat(below[0])):
            found.append(("C", f"{path}/{name}"))
        if stat.S_ISDIR(info.st_mode):
            _walk_copy(own, [lower for lower in below if os.path.isdir(lower)], f"{path}/{name}", found)


def _differs(one: os.stat_result, other: os.stat_result) -> bool:
    if one.st_mode != other.st_mode:
        return True
    same_time = int(one.st_mtime) == int(other.st_mtime)
    return not same_time or (not stat.S_ISDIR(one.st_mode) and one.st_size != other.st_size)
