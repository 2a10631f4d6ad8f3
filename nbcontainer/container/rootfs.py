"""Runs inside the lab: a container's root, stacked with overlayfs or, where the kernel refuses that, copied.

A root is a list of overlays (`nbcontainer.image.overlay`), each with a prefix, its lower directories and, here, an
upper and a work directory. Linux kernel, Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat

from nbcontainer.lab.files import remove_tree
from nbcontainer.syscalls import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: The topmost lower directory of every container: the mount points that set-up needs, so that no container's
#: writable layer ever holds them and `diff` shows only what the container did (Docker's "-init" layer).
INIT_LAYER = "/run/nbcontainer/init-layer"
#: What the kernel reads of a mount's options, the closing NUL among it (mount(2)).
PAGE = 4096
_DIRECTORIES = ("dev", "proc", "sys", "etc")
_FILES = ("etc/hosts", "etc/hostname", "etc/resolv.conf")


def make_init_layer() -> None:
    """Make `INIT_LAYER` once a lab."""
    for directory in _DIRECTORIES:
        os.makedirs(f"{INIT_LAYER}/{directory}", mode=0o755, exist_ok=True)
    for file in _FILES:
        os.close(os.open(f"{INIT_LAYER}/{file}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def init_layer(prefix: str) -> str:
    """The init layer's part of the overlay at `prefix`; it need not have one."""
    return os.path.normpath(INIT_LAYER + prefix)


def lowers_of(overlay: dict[str, Any]) -> list[str]:
    """The lower directories of one overlay, topmost first, the init layer's part among them."""
    init = init_layer(overlay["prefix"])
    return [init, *overlay["lowers"]] if os.path.isdir(init) else list(overlay["lowers"])


def mount(root: str, overlays: list[dict[str, Any]]) -> None:
    """Mount every overlay below `root`. Raises `OSError`."""
    for overlay in overlays:
        lowers = lowers_of(overlay)
        data = _options(overlay, map(_escaped, lowers))
        opened: list[int] = []
        if len(data) >= PAGE:
            # mount(2) takes a page of options. By descriptor a layer's name is short, however long its path.
            opened = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in lowers]
            data = _options(overlay, (f"/proc/self/fd/{fd}" for fd in opened))
        mounts.mount("overlay", os.path.normpath(root + overlay["prefix"]), "overlay", 0, data)
        for fd in opened:
            os.close(fd)


def _options(overlay: dict[str, Any], lowers: Iterable[str]) -> str:
    upper, work = _escaped(overlay["upper"]), _escaped(overlay["work"])
    return f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},userxattr"


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def copy(overlays: list[dict[str, Any]]) -> None:
    """Fill the upper directory of the first overlay with a copy of every layer: the driver without overlayfs.

    Done once, at creation; a root made so is then bound, not stacked.
    """
    root = overlays[0]["upper"]
    for overlay in overlays:
        for lower in reversed(lowers_of(overlay)):
            _copy_layer(lower, os.path.normpath(root + overlay["prefix"]), {})


def _copy_layer(source: str, target: str, linked: dict[tuple[int, int], str]) -> None:
    """Copy one layer over what there is. `linked`: where the files that have several names went, by inode."""
    import shutil

    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(source):
        path = f"{target}/{entry.name}"
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            _remove(path)
        elif entry.is_dir(follow_symlinks=False):
            if os.path.lexists(path) and (not _is_directory(path) or opaque(entry.path)):
                _remove(path)
            _copy_layer(entry.path, path, linked)
        elif stat.S_ISFIFO(info.st_mode):
            _remove(path)
            os.mkfifo(path)
            _copy_metadata(entry.path, path, info)
        else:
            _remove(path)
            first = linked.setdefault((info.st_dev, info.st_ino), path) if info.st_nlink > 1 else path
            try:
                if first != path:
                    os.link(first, path, follow_symlinks=False)
                    continue
                shutil.copyfile(entry.path, path, follow_symlinks=False)
                _copy_metadata(entry.path, path, info)
            except (PermissionError, FileNotFoundError):
                pass  # what the lab may not read, it cannot have
    _copy_metadata(source, target, os.stat(source))


def _copy_metadata(source: str, target: str, info: os.stat_result) -> None:
    import shutil

    try:
        os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    except OSError:
        pass  # an id that this lab does not have
    # After the owner, whose change takes set-id bits and capabilities away.
    shutil.copystat(source, target, follow_symlinks=False)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def opaque(path: str) -> bool:
    try:
        return os.getxattr(path, "user.overlay.opaque") == b"y"
    except OSError:
        return False


def _remove(path: str) -> None:
    if _is_directory(path):
        remove_tree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def overlay_works(directory: str) -> str:
    """Try a small overlay below `directory`, on the file system that containers will use; why not, or ``""``."""
    from nbcontainer.syscalls import namespaces

    names = [f"{directory}/{name}" for name in ("lower", "upper", "work", "merged")]
    try:
        for name in names:
            os.makedirs(name)
        namespaces.unshare(namespaces.CLONE_NEWNS)
        data = f"lowerdir={_escaped(names[0])},upperdir={_escaped(names[1])},workdir={_escaped(names[2])},userxattr"
        mounts.mount("overlay", names[3], "overlay", 0, data)
        os.mkdir(f"{names[3]}/made")
        mounts.umount(names[3])
    except OSError as error:
        return str(error.strerror)
    finally:
        remove_tree(directory)
    return ""
