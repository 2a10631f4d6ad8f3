"""Looking into a container from outside: its namespaces, its processes, what it printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbcontainer.container.logs import STDOUT, Record, lines
from nbcontainer.errors import Conflict

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: `docker top`'s columns, which are those of `ps -ef`.
TOP = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


@dataclass(frozen=True)
class Wanted:
    """Which lines of a log, and whether with their times: the last `tail`, printed in [since, until], in ns."""

    tail: int | None = None
    timestamps: bool = False
    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None

    def takes(self, line: Record) -> bool:
        """Whether a line's stream and time are asked for."""
        if not (self.stdout if line.stream == STDOUT else self.stderr):
            return False
        return (self.since is None or line.time >= self.since) and (self.until is None or line.time <= self.until)


def log_text(container: Container, wanted: Wanted) -> str:
    """What `docker logs` prints."""
    return "".join(text for _, text in log_lines(container, wanted))


def log_lines(container: Container, wanted: Wanted) -> list[tuple[int, str]]:
    """The same, line by line with its stream."""
    found = [line for line in lines(iter(container.records())) if wanted.takes(line)]
    if wanted.tail is not None:
        found = found[-wanted.tail :] if wanted.tail > 0 else []
    return [
        (line.stream, (stamp(line) if wanted.timestamps else "") + line.data.decode(errors="replace")) for line in found
    ]


def stamp(record: Record) -> str:
    """When it was printed, as `docker logs --timestamps` puts before a line."""
    seconds, nanoseconds = divmod(record.time, 1_000_000_000)
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z "


def namespaces(container: Container) -> dict[str, int]:
    """Type and inode number of each namespace of the container's pid 1. Raises `Conflict` when it has none."""
    process = container.entry
    if process is None:
        raise Conflict(f"Container {container.id} is not running")
    return container.lab.call(namespaces_inside, process.pid)


def namespaces_inside(pid: int | str) -> dict[str, int]:
    """Runs inside: /proc/PID/ns, namespaces(7); `pid` may be "self"."""
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    return {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in kinds}


def namespaces_of_all(pids: Sequence[int | str]) -> list[dict[str, int]]:
    """Runs inside: `namespaces_inside` of each; {} for a process that has ended."""
    found = []
    for pid in pids:
        try:
            found.append(namespaces_inside(pid))
        except OSError:
            found.append({})
    return found


def processes(container: Container, columns: Sequence[str]) -> list[dict[str, str]]:
    """`docker top`: the container's processes, pids as the lab counts them. `columns` as of `ps -o`."""
    process = container.entry
    if process is None:
        raise Conflict(f"Container {container.id} is not running")
    found = container.lab.call(processes_inside, process.pid)
    wanted = [column.upper() for column in columns] or list(TOP)
    return [{column: row.get(column, "-") for column in wanted} for row in found]


def processes_inside(init: int) -> list[dict[str, str]]:
    """Runs inside: every process of the pid namespace of `init`, oldest first (proc(5), /proc/PID/stat)."""
    namespace = os.stat(f"/proc/{init}/ns/pid").st_ino
    ticks = os.sysconf("SC_CLK_TCK")
    rows = []
    for name in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            if os.stat(f"/proc/{name}/ns/pid").st_ino != namespace:
                continue
            rows.append(_row(name, ticks))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return rows


def every_process_inside() -> list[dict[str, str]]:
    """Runs inside: every process of the lab that may be looked at, and as NAMESPACE the number of its pid namespace."""
    ticks = os.sysconf("SC_CLK_TCK")
    rows = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            rows.append({**_row(pid, ticks), "NAMESPACE": str(os.stat(f"/proc/{pid}/ns/pid").st_ino)})
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is one of ours, into which nobody may look
    return rows


def _row(pid: int, ticks: int) -> dict[str, str]:
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    command, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
        arguments = cmdline.read().replace(b"\0", b" ").decode(errors="replace").strip()
    status: dict[str, Any] = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            key, _, value = line.partition(":")
            status[key] = value.strip()
    seconds = (int(fields[11]) + int(fields[12])) // ticks
    uid = status["Uid"].split()[0]
    return {
        "UID": "root" if uid == "0" else uid,
        "PID": str(pid),
        "PPID": fields[1],
        "NSPID": status.get("NSpid", str(pid)).split()[-1],
        "C": "0",
        "STIME": datetime.fromtimestamp(os.stat(f"/proc/{pid}").st_ctime).strftime("%H:%M"),
        "TTY": "?" if fields[4] == "0" else f"pts/{int(fields[4]) & 0xFF}",
        "TIME": f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        "STAT": fields[0],
        "RSS": status.get("VmRSS", "0 kB").split()[0],
        "COMM": command,
        "CMD": arguments or f"[{command}]",
        "ARGS": arguments or f"[{command}]",
    }
