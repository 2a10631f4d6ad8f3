"""What the processes of a container use, by /proc: for where there is no control group to ask.

It knows less. The time of a process that nobody has waited for is lost with it, memory that processes share is counted
for each of them, and there is nothing about limits. Source: proc(5), /proc/PID/stat, statm, io.
"""

from __future__ import annotations

import os
from array import array

from nbcontainer.cgroup.counters import INDEX

_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_COLUMNS = ("cpu_usec", "memory", "memory_anon", "memory_file", "pids", "io_read_bytes", "io_write_bytes")
_CPU, _MEMORY, _ANON, _FILE, _PIDS, _IO_READ, _IO_WRITTEN = (INDEX[name] for name in _COLUMNS)


class Processes:
    """The machine's processes by pid namespace, looked at once, when first asked."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, list[str]] | None = None

    def read(self, pid: int, row: array[float]) -> None:
        """Fill in what the processes of the pid namespace of `pid` (as this process counts) use together."""
        namespace = _link(str(pid))
        if namespace is None:
            return
        if self._by_namespace is None:
            self._by_namespace = _gather()
        for column in (_CPU, _MEMORY, _ANON, _FILE, _PIDS, _IO_READ, _IO_WRITTEN):
            row[column] = 0
        for process in self._by_namespace.get(namespace, []):
            try:
                _add(process, row)
            except OSError:
                continue  # it has ended


def _gather() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pid in os.listdir("/proc"):
        namespace = _link(pid) if pid.isdigit() else None
        if namespace is not None:
            found.setdefault(namespace, []).append(pid)
    return found


def _link(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None  # another user's, or gone


def _add(pid: str, row: array[float]) -> None:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    row[_CPU] += sum(map(int, fields[11:15])) * _TICK  # its own, and that of children that were waited for
    row[_PIDS] += int(fields[17])
    with open(f"/proc/{pid}/statm") as file:
        _, resident, shared = map(int, file.read().split()[:3])
    row[_MEMORY] += resident * _PAGE
    row[_ANON] += (resident - shared) * _PAGE
    row[_FILE] += shared * _PAGE
    try:
        with open(f"/proc/{pid}/io") as file:
            numbers = dict(line.split(": ") for line in file)
    except PermissionError:
        return
    row[_IO_READ] += int(numbers["read_bytes"])
    row[_IO_WRITTEN] += int(numbers["write_bytes"])
