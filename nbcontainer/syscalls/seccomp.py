"""seccomp(2): a filter installed inside the lab, where libseccomp is not needed."""

from __future__ import annotations

import ctypes
import struct

from nbcontainer.syscalls.libc import syscall

SECCOMP_SET_MODE_FILTER = 1
#: Bytes of the longest program: BPF_MAXINSNS instructions of 8 bytes (linux/bpf_common.h).
LARGEST = 4096 * 8


def install(program: bytes) -> None:
    """Confine the calling thread, and what it executes, with a BPF program (seccomp(2))."""
    at = ctypes.cast(ctypes.c_char_p(program), ctypes.c_void_p).value
    header = struct.pack("HxxxxxxP", len(program) // 8, at)
    syscall("seccomp", ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(0), ctypes.c_char_p(header))
