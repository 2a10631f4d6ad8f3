"""v2's files as v1 has them: which files of which hierarchy do the work, and how their texts are converted.

Kernel, admin-guide/cgroup-v1/memory.rst, blkio-controller.rst; scheduler/sched-bwc.rst, sched-design-CFS.rst. A weight
of 100 is a share of 1024, in proportion, as the scheduler itself converts cpu.weight.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nbcontainer.cgroup.group import read, write
from nbcontainer.cgroup.settings import IO_KEYS
from nbcontainer.errors import Unavailable

#: What v1 says for "no limit of memory": the largest number of pages. Anything above this means the same.
UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Mapped:
    """One v2 file: v1's hierarchy and files, and how the group's directory there is read and written."""

    hierarchy: str
    files: tuple[str, ...]
    read: Callable[[str], str]
    write: Callable[[str, str], None]


# -- cpu


def _read_cpu_max(directory: str) -> str:
    quota = int(read(f"{directory}/cpu.cfs_quota_us"))
    return f"{quota if quota >= 0 else 'max'} {read(f'{directory}/cpu.cfs_period_us').strip()}"


def _write_cpu_max(directory: str, text: str) -> None:
    quota, period = text.split()
    # Between the two writes the ratio may not pass what the parent allows: first without a limit.
    write(f"{directory}/cpu.cfs_quota_us", "-1")
    write(f"{directory}/cpu.cfs_period_us", period)
    if quota != "max":
        write(f"{directory}/cpu.cfs_quota_us", quota)


def _read_cpu_weight(directory: str) -> str:
    return str(max(1, round(int(read(f"{directory}/cpu.shares")) * 100 / 1024)))


def _write_cpu_weight(directory: str, text: str) -> None:
    write(f"{directory}/cpu.shares", str(max(2, round(int(text) * 1024 / 100))))


# -- memory


def _bytes(path: str) -> int | None:
    value = int(read(path))
    return None if value >= UNLIMITED else value


def _text(value: int | None) -> str:
    return "max" if value is None else str(value)


def _number(text: str) -> int | None:
    return None if text == "max" else int(text)


def _swap_too(directory: str) -> bool:
    return os.path.exists(f"{directory}/memory.memsw.limit_in_bytes")


def _read_memory_max(directory: str) -> str:
    return _text(_bytes(f"{directory}/memory.limit_in_bytes"))


def _read_swap_max(directory: str) -> str:
    if not _swap_too(directory):
        raise FileNotFoundError
    both = _bytes(f"{directory}/memory.memsw.limit_in_bytes")
    memory = _bytes(f"{directory}/memory.limit_in_bytes")
    return "max" if both is None or memory is None else str(max(0, both - memory))


def _write_memory_max(directory: str, text: str) -> None:
    """The allowance of swap stays what it was; v1 counts it together with memory, which never may be the larger."""
    swap = _number(_read_swap_max(directory)) if _swap_too(directory) else None
    _write_memory(directory, _number(text), swap)


def _write_swap_max(directory: str, text: str) -> None:
    if not _swap_too(directory):
        raise Unavailable("this kernel does not count swap (CONFIG_MEMCG with swap accounting)")
    memory = _bytes(f"{directory}/memory.limit_in_bytes")
    if memory is None and text != "max":
        raise Unavailable("v1 limits swap only together with memory: set memory.max too")
    _write_memory(directory, memory, _number(text))


def _write_memory(directory: str, memory: int | None, swap: int | None) -> None:
    files = [("memory.limit_in_bytes", memory)]
    if _swap_too(directory):
        both = None if memory is None or swap is None else memory + swap
        files.append(("memory.memsw.limit_in_bytes", both))
        now = _bytes(f"{directory}/memory.memsw.limit_in_bytes")
        if now is not None and (memory is None or memory > now):
            files.reverse()
    for name, value in files:
        write(f"{directory}/{name}", str(-1 if value is None else value))


def _read_low(directory: str) -> str:
    return str(_bytes(f"{directory}/memory.soft_limit_in_bytes") or 0)


def _write_low(directory: str, text: str) -> None:
    write(f"{directory}/memory.soft_limit_in_bytes", "-1" if text in ("max", "0") else text)


# -- io

_THROTTLE = dict(
    zip(IO_KEYS, ("read_bps_device", "write_bps_device", "read_iops_device", "write_iops_device"), strict=True)
)


def _read_io_max(directory: str) -> str:
    found: dict[str, dict[str, str]] = {}
    for key, file in _THROTTLE.items():
        for line in read(f"{directory}/blkio.throttle.{file}").splitlines():
            device, value = line.split()
            found.setdefault(device, {})[key] = value
    lines = (
        " ".join([device, *(f"{key}={values.get(key, 'max')}" for key in IO_KEYS)])
        for device, values in sorted(found.items())
    )
    return "\n".join(lines)


def _write_io_max(directory: str, text: str) -> None:
    device, *words = text.split()
    for word in words:
        key, _, value = word.partition("=")
        write(f"{directory}/blkio.throttle.{_THROTTLE[key]}", f"{device} {0 if value == 'max' else value}")


def _weight_file(directory: str) -> str:
    for name in ("blkio.bfq.weight", "blkio.weight"):
        if os.path.exists(f"{directory}/{name}"):
            return f"{directory}/{name}"
    raise Unavailable("this kernel has no block io weights (CONFIG_BFQ_GROUP_IOSCHED is off)")


def _read_io_weight(directory: str) -> str:
    try:
        return read(_weight_file(directory)).split()[-1]
    except Unavailable:
        raise FileNotFoundError from None


def _write_io_weight(directory: str, text: str) -> None:
    if int(text) > 1000:
        raise Unavailable(f"io.weight {text}: BFQ, which does the work on v1, takes at most 1000")
    write(_weight_file(directory), text)


# -- the same on both


def _same(hierarchy: str, file: str) -> Mapped:
    return Mapped(
        hierarchy,
        (file,),
        lambda directory: read(f"{directory}/{file}").strip(),
        lambda directory, text: write(f"{directory}/{file}", text),
    )


MAPPED: Mapping[str, Mapped] = {
    "cpu.max": Mapped("cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us"), _read_cpu_max, _write_cpu_max),
    "cpu.weight": Mapped("cpu", ("cpu.shares",), _read_cpu_weight, _write_cpu_weight),
    "memory.max": Mapped("memory", ("memory.limit_in_bytes",), _read_memory_max, _write_memory_max),
    "memory.low": Mapped("memory", ("memory.soft_limit_in_bytes",), _read_low, _write_low),
    "memory.swap.max": Mapped("memory", ("memory.memsw.limit_in_bytes",), _read_swap_max, _write_swap_max),
    "pids.max": _same("pids", "pids.max"),
    "cpuset.cpus": _same("cpuset", "cpuset.cpus"),
    "cpuset.mems": _same("cpuset", "cpuset.mems"),
    "io.max": Mapped(
        "blkio", tuple(f"blkio.throttle.{file}" for file in _THROTTLE.values()), _read_io_max, _write_io_max
    ),
    "io.weight": Mapped("blkio", ("blkio.bfq.weight",), _read_io_weight, _write_io_weight),
}

#: What v1 has nothing for, and why.
MISSING = {"memory.high": "v1 has nothing that slows down who uses much memory; memory.max is the limit there"}
