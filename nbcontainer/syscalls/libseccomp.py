"""seccomp filters compiled by libseccomp, in the notebook's process (seccomp_rule_add(3), seccomp_export_bpf(3))."""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import struct
from typing import Any

from nbcontainer.errors import InvalidArgument, Unavailable

#: seccomp_init(3), seccomp_attr_set(3).
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_COMPARE = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_FLTATR_CTL_NNP = 3
_FLTATR_CTL_OPTIMIZE = 8
_NR_SCMP_ERROR = -1

#: linux/audit.h: what struct seccomp_data says of the architecture, by libseccomp's name for it.
_AUDIT_ARCH = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
#: linux/bpf_common.h, linux/filter.h; the offsets of struct seccomp_data (seccomp(2)).
_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _RETURN = 0x20, 0x15, 0x25, 0x06
_NUMBER, _ARCH = 0, 4


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        raise Unavailable(
            "containers are confined by a seccomp filter, and libseccomp is not installed: apt-get install "
            "libseccomp2, or accept the risk with --security-opt seccomp=unconfined"
        ) from None
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = (ctypes.c_uint32,)
    found.seccomp_release.argtypes = (ctypes.c_void_p,)
    found.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    found.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    found.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    found.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    found.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    found.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    found.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    found.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Compare),
    )
    return found


def available() -> bool:
    """Whether libseccomp can be loaded."""
    try:
        _library()
    except Unavailable:
        return False
    return True


def compiled(section: dict[str, Any]) -> int:
    """A descriptor of an OCI `linux.seccomp` section as a BPF program (struct sock_filter, 8 bytes each).

    Compiled once a process, and kept open: the caller must not close it. A system call that is newer than all the
    section names gets ENOSYS, as runc arranges it: a C library then falls back to an older one.

    Raises `Unavailable` without libseccomp, `InvalidArgument` for a section that is wrong.
    """
    known = _compiled.get(id(section))
    if known is None or known[0] is not section:
        if len(_compiled) >= KEPT:
            _compiled.clear()
        known = _compiled[id(section)] = (section, _compile(json.dumps(section, sort_keys=True)))
    return known[1]


#: Sections that were asked for, themselves, by identity: that is found sooner than their text.
_compiled: dict[int, tuple[dict[str, Any], int]] = {}
KEPT = 64


@functools.cache
def _compile(text: str) -> int:
    section = json.loads(text)
    library = _library()
    context = library.seccomp_init(_action(section["defaultAction"], section.get("defaultErrnoRet")))
    if not context:
        raise InvalidArgument(f"seccomp: libseccomp refuses the default action {section['defaultAction']}")
    try:
        library.seccomp_attr_set(context, _FLTATR_CTL_NNP, 0)  # set by set-up, where the spec asks for it
        library.seccomp_attr_set(context, _FLTATR_CTL_OPTIMIZE, 2)  # a binary tree: libseccomp 2.5
        for name in section.get("architectures", []):
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            if token:
                added = library.seccomp_arch_add(context, token)
                if added not in (0, -errno.EEXIST):
                    raise InvalidArgument(f"seccomp: libseccomp refuses the architecture {name}")
        for rule in section.get("syscalls", []):
            _add(library, context, rule, section["defaultAction"])
        return _export(library, context, _newer(library, section))
    finally:
        library.seccomp_release(context)


def _action(name: str, errno_: int | None) -> int:
    if name not in _ACTIONS:
        raise InvalidArgument(f"seccomp: unknown action {name}")
    value = _ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value |= errno.EPERM if errno_ is None else errno_
    return value


def _add(library: ctypes.CDLL, context: int, rule: dict[str, Any], default: str) -> None:
    if rule["action"] == default and rule.get("errnoRet") is None:
        return
    action = _action(rule["action"], rule.get("errnoRet"))
    arguments = rule.get("args") or []
    compares = [
        _Compare(a["index"], _COMPARE[a["op"]], a["value"] & (1 << 64) - 1, a.get("valueTwo", 0) & (1 << 64) - 1)
        for a in arguments
    ]
    # Several conditions on one argument are alternatives in OCI's words (runc), which libseccomp wants as rules.
    indexes = [compare.arg for compare in compares]
    groups = [[c] for c in compares] if len(set(indexes)) < len(indexes) else [compares]
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _NR_SCMP_ERROR:
            continue
        for group in groups:
            array = (_Compare * len(group))(*group)
            result = library.seccomp_rule_add_array(context, action, number, len(group), array)
            if result not in (0, -errno.EACCES, -errno.EDOM):
                raise InvalidArgument(f"seccomp: the rule for {name} is refused: {os.strerror(-result)}")


def _newer(library: ctypes.CDLL, section: dict[str, Any]) -> bytes:
    """What goes before the filter: ENOSYS for numbers beyond the last one that the section knows."""
    if section["defaultAction"] != "SCMP_ACT_ERRNO" or section.get("defaultErrnoRet") == errno.ENOSYS:
        return b""
    names = [name.encode() for rule in section.get("syscalls", []) for name in rule["names"]]
    refuse = _ACTIONS["SCMP_ACT_ERRNO"] | errno.ENOSYS
    program = b""
    for architecture in section.get("architectures", []):
        name = architecture.removeprefix("SCMP_ARCH_").lower()
        token = library.seccomp_arch_resolve_name(name.encode())
        last = max((library.seccomp_syscall_resolve_name_arch(token, name) for name in names), default=-1)
        if name in _AUDIT_ARCH and last >= 0:
            program += _instruction(_LOAD, _ARCH) + _instruction(_JUMP_EQUAL, _AUDIT_ARCH[name], otherwise=3)
            program += _instruction(_LOAD, _NUMBER) + _instruction(_JUMP_GREATER, last, otherwise=1)
            program += _instruction(_RETURN, refuse)
    return program


def _instruction(code: int, value: int, *, otherwise: int = 0) -> bytes:
    """struct sock_filter; `otherwise` is how many instructions a comparison that fails skips."""
    return struct.pack("HBBI", code, 0, otherwise, value)


def _export(library: ctypes.CDLL, context: int, before: bytes) -> int:
    fd = os.memfd_create("filter", os.MFD_CLOEXEC)
    os.write(fd, before)
    if library.seccomp_export_bpf(context, fd) != 0:
        os.close(fd)
        raise InvalidArgument("seccomp: the filter cannot be compiled")
    return fd
