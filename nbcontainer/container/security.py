"""What a container may do by default: Docker's capabilities, paths and seccomp profile, or less."""

from __future__ import annotations

import errno
import functools
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nbcontainer.container import seccomp_profile as profile
from nbcontainer.errors import InvalidArgument
from nbcontainer.syscalls.capabilities import NAMES

#: Docker's default capabilities.
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def capability_names(given: Iterable[str], flag: str) -> list[str]:
    """`given` as kernel names, ALL spelt out. Raises `InvalidArgument` for one that is none."""
    found: list[str] = []
    for text in given:
        name = text.upper()
        if name == "ALL":
            found.extend(NAMES)
            continue
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in NAMES:
            raise InvalidArgument(f'invalid {flag}: unknown capability: "{text}"')
        found.append(name)
    return found


def capabilities(add: Sequence[str], drop: Sequence[str], privileged: bool) -> list[str]:
    """The capabilities of a container, in the kernel's order: as Docker reckons --cap-add and --cap-drop."""
    added, dropped = capability_names(add, "CapAdd"), capability_names(drop, "CapDrop")
    if privileged:
        chosen = set(NAMES)
    else:
        everything_dropped = any(name.upper() == "ALL" for name in drop)
        everything_added = any(name.upper() == "ALL" for name in add)
        chosen = set() if everything_dropped else set(CAPABILITIES)
        chosen |= set(added)
        if everything_dropped and everything_added:
            chosen = set(NAMES)
        elif not everything_dropped:
            chosen -= set(dropped)
    return [name for name in NAMES if name in chosen]


def capability_sets(names: Sequence[str]) -> dict[str, list[str]]:
    """OCI's process.capabilities. Nothing is inheritable or ambient (CVE-2022-24769)."""
    return {"bounding": list(names), "effective": list(names), "permitted": list(names)}


def seccomp(names: Sequence[str], machine: str | None = None) -> dict[str, Any]:
    """The default profile as an OCI section, for a container with the capabilities `names`. Not to be changed."""
    return _profile(tuple(names), machine or platform.machine())


@functools.cache
def _profile(names: tuple[str, ...], machine: str) -> dict[str, Any]:
    allowed = [*profile.ALWAYS, *profile.SINCE_4_8, *profile.BY_MACHINE.get(machine, [])]
    for name in names:
        allowed += profile.BY_CAPABILITY.get(name, [])
    rules: list[dict[str, Any]] = [_rule(sorted(set(allowed)))]
    rules.append(_rule(["socket"], {"index": 0, "value": profile.AF_VSOCK, "op": "SCMP_CMP_NE"}))
    rules += [
        _rule(["personality"], {"index": 0, "value": value, "op": "SCMP_CMP_EQ"}) for value in profile.PERSONALITIES
    ]
    if "CAP_SYS_ADMIN" not in names:
        no_namespace = {"index": 0, "value": profile.CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append(_rule(["clone"], no_namespace))
        # ENOSYS makes a C library fall back to clone, whose flags a filter can read.
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": profile.ARCHITECTURES.get(machine, []),
        "syscalls": rules,
    }


def _rule(names: list[str], argument: dict[str, Any] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ALLOW"}
    if argument is not None:
        rule["args"] = [argument]
    return rule


def seccomp_from_file(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """A profile in Docker's JSON format, for a container with the capabilities `names`. Raises `InvalidArgument`."""
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise InvalidArgument(f"opening seccomp profile ({path}) failed: {error.strerror}") from None
    except ValueError as error:
        raise InvalidArgument(f"decoding seccomp profile ({path}) failed: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("defaultAction"), str):
        raise InvalidArgument(f"decoding seccomp profile ({path}) failed: defaultAction is missing")
    machine = platform.machine()
    native = profile.ARCHITECTURES.get(machine, [""])[0]
    architectures = list(given.get("architectures") or [])
    for entry in given.get("archMap") or []:
        if entry.get("architecture") == native:
            architectures = [native, *(entry.get("subArchitectures") or [])]
    rules = []
    for rule in given.get("syscalls") or []:
        if not isinstance(rule, dict) or "action" not in rule:
            raise InvalidArgument(f"decoding seccomp profile ({path}) failed: a rule has no action")
        if _applies(rule, names, machine):
            kept = {key: rule[key] for key in ("action", "errnoRet", "args") if rule.get(key) is not None}
            rules.append({"names": rule.get("names") or [rule.get("name", "")], **kept})
    section = {"defaultAction": given["defaultAction"], "architectures": architectures, "syscalls": rules}
    if given.get("defaultErrnoRet") is not None:
        section["defaultErrnoRet"] = given["defaultErrnoRet"]
    return section


def _applies(rule: dict[str, Any], names: Sequence[str], machine: str) -> bool:
    """Docker's includes and excludes: by capability, architecture (Go's names) and kernel."""
    go = {"x86_64": {"amd64", "x32", "x86"}, "aarch64": {"arm64", "arm"}}.get(machine, {machine})
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("arches") and not go & set(includes["arches"]):
        return False
    if excludes.get("arches") and go & set(excludes["arches"]):
        return False
    if not set(includes.get("caps") or []) <= set(names) or set(excludes.get("caps") or []) & set(names):
        return False
    least = includes.get("minKernel")
    return not least or _kernel() >= tuple(int(part) for part in least.split(".")[:2])


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split(".")[:2])
