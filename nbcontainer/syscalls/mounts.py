"""Mounts: mount(2), umount2(2), pivot_root(2), open_tree(2), move_mount(2), mount_setattr(2)."""

from __future__ import annotations

import ctypes
import struct

from nbcontainer.syscalls.libc import check, libc, syscall

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24

MNT_DETACH = 2

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = 0o2000000
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x100000

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100


libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def mount(source: str | None, target: str, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2). Raises `OSError` whose filename is `target`."""
    check(libc.mount(_bytes(source), _bytes(target), _bytes(fstype), flags, _bytes(data)), target)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    check(libc.umount2(_bytes(target), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2). With `"."` twice the old root lies over the new one, to be detached (see its NOTES)."""
    syscall("pivot_root", _bytes(new_root), _bytes(put_old), what=new_root)


def open_tree(path: str, flags: int = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, dirfd: int = AT_FDCWD) -> int:
    """open_tree(2): a descriptor of a detached copy of the mount at `path`."""
    return syscall("open_tree", ctypes.c_int(dirfd), _bytes(path), ctypes.c_uint(flags), what=path)


def move_mount(from_fd: int, target: str) -> None:
    """move_mount(2): attaches the detached mount `from_fd` at `target`."""
    syscall(
        "move_mount",
        ctypes.c_int(from_fd),
        b"",
        ctypes.c_int(AT_FDCWD),
        _bytes(target),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
        what=target,
    )


def mount_setattr(
    path: str, set_: int = 0, clear: int = 0, *, dirfd: int = AT_FDCWD, recursive: bool = False, userns_fd: int = 0
) -> None:
    """mount_setattr(2). `path` empty means the mount `dirfd` itself; `userns_fd` goes with `MOUNT_ATTR_IDMAP`."""
    flags = (AT_EMPTY_PATH if not path else 0) | (AT_RECURSIVE if recursive else 0)
    attributes = struct.pack("QQQQ", set_, clear, 0, userns_fd)
    syscall(
        "mount_setattr",
        ctypes.c_int(dirfd),
        _bytes(path),
        ctypes.c_uint(flags),
        attributes,
        ctypes.c_size_t(len(attributes)),
        what=path or "mount",
    )
