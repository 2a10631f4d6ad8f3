"""What happens in a directory: inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct

from nbcontainer.syscalls.libc import check, libc

IN_DELETE = 0x200
IN_CREATE = 0x100


def watch(path: str, mask: int) -> int:
    """A non-blocking descriptor that tells of `mask` in the directory `path`. Raises `OSError`."""
    fd = check(libc.inotify_init1(ctypes.c_int(os.O_CLOEXEC | os.O_NONBLOCK)), "inotify")
    try:
        check(libc.inotify_add_watch(ctypes.c_int(fd), os.fsencode(path), ctypes.c_uint32(mask)), path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def events(data: bytes) -> list[tuple[int, str]]:
    """What was read from such a descriptor, as masks and names."""
    found, offset = [], 0
    while offset + 16 <= len(data):
        _, mask, _, length = struct.unpack_from("iIII", data, offset)
        name = data[offset + 16 : offset + 16 + length].rstrip(b"\0")
        found.append((mask, os.fsdecode(name)))
        offset += 16 + length
    return found
