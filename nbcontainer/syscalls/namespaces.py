"""Namespaces: clone(2), unshare(2), setns(2)."""

from __future__ import annotations

import ctypes
import signal
import struct

from nbcontainer.syscalls.libc import check, libc, syscall

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000

#: /proc/PID/ns/NAME and the flag that makes or joins one, in the order `lsns` knows them.
FLAGS = {
    "cgroup": CLONE_NEWCGROUP,
    "ipc": CLONE_NEWIPC,
    "mnt": CLONE_NEWNS,
    "net": CLONE_NEWNET,
    "pid": CLONE_NEWPID,
    "user": CLONE_NEWUSER,
    "uts": CLONE_NEWUTS,
}


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int) -> None:
    """setns(2). With a pidfd, `flags` names every namespace of that process to join (Linux 5.8)."""
    check(libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def fork(flags: int = 0) -> int:
    """fork(2) with clone(2)'s namespace flags: the child's pid, or 0 in the child.

    Only for a single-threaded process: Python's own fork hooks do not run.
    """
    zero = ctypes.c_long(0)
    return syscall("clone", ctypes.c_ulong(flags | signal.SIGCHLD), zero, zero, zero, zero)


def fork_as(pid: int, flags: int = 0) -> int:
    """As `fork`, with `pid` as the child's number in our pid namespace; in a new one it is 1 (clone3(2), set_tid).

    Raises `FileExistsError` when the number is taken.
    """
    numbers = struct.pack("2i", 1, pid) if flags & CLONE_NEWPID else struct.pack("i", pid)
    buffer = ctypes.create_string_buffer(numbers, len(numbers))
    place, count = ctypes.addressof(buffer), len(numbers) // 4
    args = struct.pack("11Q", flags, 0, 0, 0, int(signal.SIGCHLD), 0, 0, 0, place, count, 0)
    return syscall("clone3", args, ctypes.c_size_t(len(args)))


def sethostname(name: str) -> None:
    """sethostname(2)."""
    raw = name.encode()
    check(libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    raw = name.encode()
    check(libc.setdomainname(raw, ctypes.c_size_t(len(raw))), "setdomainname")
