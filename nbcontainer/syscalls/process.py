"""What a process may ask and say about itself: prctl(2), signal(2), close_range(2), sched_getcpu(3)."""

from __future__ import annotations

import ctypes
import os

from nbcontainer.syscalls.libc import check, libc, syscall

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_LOWER = 3
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLOSE_RANGE_CLOEXEC = 4
#: pidfd_send_signal(2), Linux 6.9.
PIDFD_SIGNAL_PROCESS_GROUP = 4


libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
libc.signal.restype = ctypes.c_void_p
_SIG_ERR = ctypes.c_void_p(-1).value
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """prctl(2)."""
    return check(libc.prctl(option, a, b, c, d), "prctl")


def current_cpu() -> int:
    """sched_getcpu(3): the processor that the calling thread runs on."""
    return check(libc.sched_getcpu(), "sched_getcpu")


def set_name(name: str) -> None:
    """PR_SET_NAME: what `ps` and `top` show, 15 bytes of it."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def set_command_line(text: str) -> None:
    """What `ps` shows as the command: written over the arguments, which else tell where on the machine we lie.

    proc(5), /proc/PID/cmdline is that memory, and readable by whoever sees the process; its place is in /proc/PID/stat.
    """
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49, the first here is 3
    data = text.encode()[: max(0, end - start - 1)]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, data, len(data))


def default_signal(number: int) -> None:
    """signal(2) with SIG_DFL, for a process about to execute: Python's own goes through enums, and many pages."""
    if libc.signal(number, None) == _SIG_ERR:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "signal")


def close_on_exec_from(first: int) -> None:
    """close_range(2): every descriptor from `first` on closes when the next program starts (Linux 5.11)."""
    syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(CLOSE_RANGE_CLOEXEC))


def close_from(first: int) -> None:
    """close_range(2): closes every descriptor from `first` on."""
    syscall("close_range", ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(0))
