"""Capabilities: capset(2), the bounding and ambient sets (capabilities(7)). Used inside the lab."""

from __future__ import annotations

import ctypes
import struct

from nbcontainer.syscalls.libc import syscall
from nbcontainer.syscalls.process import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    prctl,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LINUX_CAPABILITY_VERSION_3 = 0x20080522

#: By number, as linux/capability.h lists them.
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}


def last() -> int:
    """The highest capability this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        return int(file.read())


def mask(names: Iterable[str]) -> int:
    """The capabilities as bits."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[name]
    return bits


def drop_bounding(keep: Iterable[str]) -> None:
    """Drop from the bounding set every capability but `keep`."""
    kept = mask(keep)
    for number in range(len(NAMES)):
        if kept >> number & 1:
            continue
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:
            if number <= last():  # EINVAL for a capability this kernel does not know yet
                raise


def bounding() -> list[str]:
    """The names in the bounding set."""
    return [name for number, name in enumerate(NAMES) if number <= last() and prctl(PR_CAPBSET_READ, number)]


def set(effective: Iterable[str], permitted: Iterable[str], inheritable: Iterable[str]) -> None:
    """capset(2) on the calling thread."""
    masks = [mask(names) for names in (effective, permitted, inheritable)]
    header = struct.pack("Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    data = b"".join(struct.pack("3I", *(bits >> shift & 0xFFFFFFFF for bits in masks)) for shift in (0, 32))
    syscall("capset", ctypes.c_char_p(header), ctypes.c_char_p(data))


def set_ambient(names: Iterable[str]) -> None:
    """Make the ambient set exactly `names` (each must be permitted and inheritable)."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for name in names:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NUMBERS[name])
