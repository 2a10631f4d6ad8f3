"""Who was killed for want of memory, and for whose limit: the kernel's log says it (mm/oom_kill.c, dump_header).

/dev/kmsg may be read by root, and by others where kernel.dmesg_restrict is 0. A record such as

    6,1234,5678,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/nbcontainer/…/a,task_memcg=/nbcontainer/…/a/b,task=sh,pid=42,uid=0

names the group whose limit it was, the group of the process, and the process.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_KILL = re.compile(rb"oom-kill:constraint=\w+,.*?oom_memcg=([^,]*),task_memcg=([^,]*),task=(.*),pid=(\d+),uid=(\d+)$")
#: The largest record (Documentation/ABI/testing/dev-kmsg), with room.
RECORD = 8192


@dataclass(frozen=True)
class Victim:
    """A process that the kernel killed. `pid` and `uid` are the machine's; the groups are paths from the root."""

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
        try:
            self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._log, 0, os.SEEK_END)
        except OSError:
            self._log = -1

    def new(self, path: str) -> list[Victim]:
        """Those killed in the group `path` that have not been told of yet, in order; none when nobody may know."""
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

    def close(self) -> None:
        """Read no more."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
