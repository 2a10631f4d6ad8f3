"""The values of options, as Docker reads them: sizes, durations, limits, signals, environment files."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nbcontainer.errors import InvalidArgument

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LARGEST = (1 << 63) - 1

#: Namespaced kernel parameters, which a container may set (Docker's list).
_SYSCTLS = (
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced"
).split()
ULIMITS = ("as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack").split()


def bad(value: object, flag: str, why: str) -> InvalidArgument:
    """Docker's line for a value that cannot be."""
    return InvalidArgument(f'invalid argument "{value}" for "{flag}" flag: {why}')


def size(value: str | int, flag: str) -> int:
    """Bytes: `64m`, `1.5g`, `1024`."""
    if isinstance(value, int):
        if value < 0:
            raise bad(value, flag, f"invalid size: '{value}'")
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise bad(value, flag, f"invalid size: '{value}'")
    number = float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " ")
    if not number <= _LARGEST:
        raise bad(value, flag, f"invalid size: '{value}' is too large")
    return int(number)


def duration(value: str | float, flag: str) -> float:
    """Seconds: `1m30s`, `500ms`, or a number of seconds."""
    if isinstance(value, int | float):
        return float(value)
    if value == "0":
        return 0.0
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise bad(value, flag, f'time: invalid duration "{value}"')
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


def integer(value: str | int, flag: str, least: int | None = None) -> int:
    """A whole number."""
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d{1,18}", value.strip(), re.ASCII):
            raise bad(value, flag, f'strconv.ParseInt: parsing "{value}": invalid syntax')
        value = int(value)
    if least is not None and value < least:
        raise bad(value, flag, f"it must be at least {least}")
    return value


def cpus(value: str | float) -> float:
    """`--cpus`: a number of processors, at most as many as there are."""
    try:
        number = float(value)
    except ValueError:
        raise bad(value, "--cpus", f"failed to parse {value} as a rational number") from None
    available = os.cpu_count() or 1
    if not math.isfinite(number) or number < 0:
        raise bad(value, "--cpus", f"failed to parse {value} as a rational number")
    if number and not 0.01 <= number <= available:
        raise InvalidArgument(
            f"Range of CPUs is from 0.01 to {available:.2f}, as there are only {available} CPUs available"
        )
    return number


def cpu_list(value: str, flag: str) -> str:
    """`0-2,4`, each of them a processor."""
    available = os.cpu_count() or 1
    for part in value.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part, re.ASCII)
        if match is None:
            raise InvalidArgument(f"Invalid value {value} for {flag.lstrip('-')}")
        if int(match[2] or match[1]) >= available and flag == "--cpuset-cpus":
            raise InvalidArgument(f"Requested CPUs are not available - requested {value}, available: 0-{available - 1}")
    return value


def parse_signal(value: str | int) -> int:
    """`KILL`, `SIGKILL`, `9`. Raises `InvalidArgument`."""
    text = str(value).strip().upper()
    if re.fullmatch(r"\d{1,3}", text, re.ASCII):
        number = int(text)
        if 0 < number <= 64:
            return number
    else:
        name = text if text.startswith("SIG") else f"SIG{text}"
        match = re.fullmatch(r"SIGRT(MIN|MAX)([+-]\d{1,2})?", name, re.ASCII)
        if match is not None:
            number = (signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX) + int(match[2] or 0)
            if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
                return number
        elif name in signal.Signals.__members__:
            return int(signal.Signals[name])
    raise InvalidArgument(f"Invalid signal: {value}")


def key_values(given: Iterable[str] | Mapping[str, object]) -> dict[str, str]:
    """`A=1` entries, or a mapping, as a dict; a name alone has the empty value (labels)."""
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return {entry.partition("=")[0]: entry.partition("=")[2] for entry in given}


def environment(given: Iterable[str] | Mapping[str, object], files: Iterable[str]) -> tuple[str, ...]:
    """`-e` and `--env-file`: entries `NAME=value`. A name alone takes the value this process has, if any."""
    found: dict[str, str] = {}
    entries = [f"{key}={value}" for key, value in given.items()] if isinstance(given, Mapping) else list(given)
    for name in files:
        try:
            text = Path(name).expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise InvalidArgument(f"open {name}: {str(reason).lower()}") from None
        lines = [line.lstrip() for line in text.splitlines()]
        entries = [line for line in lines if line and not line.startswith("#")] + entries
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name or any(c.isspace() for c in name) or "\0" in entry:
            raise InvalidArgument(f"invalid environment variable: {entry!r}")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
        else:
            found.pop(name, None)
    return tuple(f"{name}={value}" for name, value in found.items())


def ulimit(text: str) -> dict[str, Any]:
    """`nofile=1024:2048` as an OCI rlimit."""
    name, equals, numbers = text.partition("=")
    if not equals:
        raise bad(text, "--ulimit", f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise bad(text, "--ulimit", f"invalid ulimit type: {name}")
    soft_text, colon, hard_text = numbers.partition(":")
    soft = integer(soft_text, "--ulimit", -1)
    hard = integer(hard_text, "--ulimit", -1) if colon else soft
    if hard != -1 and (soft > hard or soft == -1):
        raise bad(text, "--ulimit", f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}


def sysctl(text: str) -> tuple[str, str]:
    """`net.ipv4.ip_forward=1`: only parameters that belong to a namespace of the container."""
    name, equals, value = text.partition("=")
    namespaced = name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))
    if not equals or not namespaced or "/" in name or ".." in name or "\0" in text:
        raise bad(text, "--sysctl", f"sysctl '{text}' is not allowed: it is not namespaced")
    return name, value


def security_options(given: Iterable[str]) -> dict[str, str]:
    """`--security-opt`: `no-new-privileges`, `seccomp=…`; Docker's other ones are refused by name."""
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=") if "=" in text else text.partition(":")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found[name] = value or "true"
        elif name == "seccomp" and value:
            found[name] = value
        elif name in ("apparmor", "label", "systempaths") and separator:
            raise InvalidArgument(f"--security-opt {name} is not offered here: a lab cannot load such a policy")
        else:
            raise InvalidArgument(f"invalid --security-opt: {text!r}")
    return found


def restart_policy(text: str) -> str:
    """no, always, unless-stopped, on-failure[:n]."""
    name, colon, number = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure", ""):
        raise InvalidArgument(f"invalid restart policy '{text}': use one of no, always, unless-stopped, on-failure[:n]")
    if colon and (name != "on-failure" or not re.fullmatch(r"\d{1,9}", number, re.ASCII)):
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    return text or "no"
