"""Who was killed for want of memory, and for whose limit: the kernel's log says it (mm/oom_kill.c, dump_header).

/dev/kmsg may be read by root, and by others where kernel.dmesg_restrict is 0. A record such as

    6,1234,5678,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/nbcontainer/…/a,task_memcg=/nbcontainer/…/a/b,task=sh,pid=42,uid=0

names the group whose limit it was, the group of the process, and the process. Others are told who is missing: the
largest process that was in the group a tenth of a second before.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from nbcontainer.cgroup.group import Group

_KILL = re.compile(rb"oom-kill:constraint=\w+,.*?oom_memcg=([^,]*),task_memcg=([^,]*),task=(.*),pid=(\d+),uid=(\d+)$")
#: The largest record (Documentation/ABI/testing/dev-kmsg), with room.
RECORD = 8192
#: Of a group with more processes than this, no more are remembered.
MANY = 64
#: include/linux/sched.h, as the flags of /proc/PID/stat have it.
PF_EXITING = 4
SIGKILL_BIT = 1 << (signal.SIGKILL - 1)


@dataclass(frozen=True)
class _Resident:
    pid: int
    command: str
    uid: int
    pages: int


def _residents(group: Group) -> dict[int, _Resident]:
    found = {}
    try:
        for pid in group.pids()[:MANY]:
            try:
                with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/statm") as statm:
                    uid = os.stat(f"/proc/{pid}").st_uid
                    found[pid] = _Resident(pid, comm.read().rstrip("\n"), uid, int(statm.read().split()[1]))
            except (OSError, IndexError):
                continue  # it has ended
    except OSError:
        pass  # the group has
    return found


def _alive(pid: int) -> bool:
    """Whether a process goes on: it is not gone, not going, and SIGKILL does not wait for it (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/status") as status:
            fields = stat.read().rpartition(")")[2].split()
            pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    except OSError:
        return False
    leaving = fields[0] in "ZX" or int(fields[6]) & PF_EXITING
    return not leaving and not any(signals & SIGKILL_BIT for signals in pending)


@dataclass(frozen=True)
class Victim:
    """A process that the kernel killed.

    `pid` and `uid` are the machine's; the groups are paths from the root, `limited_by` is empty where nobody says it.
    """

    command: str
    pid: int
    uid: int
    group: str
    limited_by: str


def parse(record: bytes) -> Victim | None:
    """A record of /dev/kmsg, if it tells of a kill in a control group."""
    line = record.partition(b";")[2].split(b"\n", 1)[0]
    found = _KILL.search(line)
    if found is None:
        return None
    limited_by, group, command, pid, uid = found.groups()
    return Victim(command.decode(errors="replace"), int(pid), int(uid), os.fsdecode(group), os.fsdecode(limited_by))


class Victims:
    """The kills in groups below `scope` from now on."""

    def __init__(self, scope: str) -> None:
        self._mark = f"/{scope}/"
        self._waiting: list[Victim] = []
        #: Who was in each group at the last two looks: between a look at the counters and one at the processes
        #: somebody may go.
        self._seen: list[dict[str, dict[int, _Resident]]] = [{}, {}]
        try:
            self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._log, 0, os.SEEK_END)
        except OSError:
            self._log = -1

    def new(self, path: str) -> list[Victim]:
        """Those killed in the group `path` that have not been told of yet, in order; none when nobody may know."""
        if self._log < 0:
            return self._missing(path)
        self._read()
        mine = [victim for victim in self._waiting if f"{victim.group}/".endswith(f"/{path}/")]
        self._waiting = [victim for victim in self._waiting if victim not in mine]
        return mine

    def _read(self) -> None:
        while self._log >= 0:
            try:
                record = os.read(self._log, RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # records were overwritten before we came to them
            except OSError:
                self.close()
                return
            victim = parse(record)
            if victim is not None and self._mark in victim.group:
                self._waiting.append(victim)

    def note(self, groups: Iterable[Group]) -> None:
        """Where the log may not be read: remember who is in each group, to see later who is missing."""
        if self._log >= 0:
            return
        self._seen = [self._seen[1], {group.path: _residents(group) for group in groups}]

    def _missing(self, path: str) -> list[Victim]:
        """The largest of those that were here a moment ago and are not: the one that the kernel takes too."""
        seen = {pid: one for looked in self._seen for pid, one in looked.get(path, {}).items()}
        gone = [one for pid, one in seen.items() if not _alive(pid)]
        if not gone:
            return []
        largest = max(gone, key=lambda one: one.pages)
        for looked in self._seen:
            looked.get(path, {}).pop(largest.pid, None)
        return [Victim(largest.command, largest.pid, largest.uid, f"/{path}", "")]

    def close(self) -> None:
        """Read no more."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
