"""Which of the machine's user and group ids the lab's ids stand for (user_namespaces(7), subuid(5))."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import LabError

#: How many ids a lab has where it can have more than one: as many as Docker's `userns-remap` gives.
COUNT = 65536
#: Where root looks for a range that /etc/subuid gives to nobody; below it lie real users and systemd's ranges.
FIRST_FREE = 0x20000000


@dataclass(frozen=True)
class Extent:
    """`count` ids: `inside`, `inside`+1, … are `outside`, `outside`+1, … on the machine."""

    inside: int
    outside: int
    count: int

    def outside_of(self, number: int) -> int | None:
        """The machine's id for the lab's id `number`, if this extent has it."""
        if self.inside <= number < self.inside + self.count:
            return self.outside + number - self.inside
        return None


@dataclass(frozen=True)
class IdMap:
    """The lab's uid_map and gid_map."""

    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]

    @property
    def single(self) -> bool:
        """True when the lab has one id only: an ordinary user without newuidmap or /etc/subuid."""
        return sum(extent.count for extent in self.uids) == 1

    @property
    def key(self) -> str:
        """A directory name that two maps share only when files unpacked under one are right under the other."""
        return "_".join(f"{extent.outside}-{extent.count}" for extent in self.uids)

    def uid_outside(self, uid: int) -> int | None:
        """The machine's uid for a uid of the lab."""
        return next((out for e in self.uids if (out := e.outside_of(uid)) is not None), None)

    def gid_outside(self, gid: int) -> int | None:
        """The machine's gid for a gid of the lab."""
        return next((out for e in self.gids if (out := e.outside_of(gid)) is not None), None)


def choose() -> IdMap:
    """The widest map this process can give a lab."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        uids, gids = _root_range("/etc/subuid"), _root_range("/etc/subgid")
        if uids and gids:
            return IdMap((Extent(0, uids, COUNT),), (Extent(0, gids, COUNT),))
    elif shutil.which("newuidmap") and shutil.which("newgidmap"):
        subuid, subgid = _subordinate("/etc/subuid", uid), _subordinate("/etc/subgid", uid)
        if subuid and subgid:
            return IdMap(
                (Extent(0, uid, 1), Extent(1, subuid[0], min(subuid[1], COUNT - 1))),
                (Extent(0, gid, 1), Extent(1, subgid[0], min(subgid[1], COUNT - 1))),
            )
    return single()


def single() -> IdMap:
    """Root inside is the caller outside, and nobody else exists."""
    return IdMap((Extent(0, os.geteuid(), 1),), (Extent(0, os.getegid(), 1),))


def write(pid: int, idmap: IdMap) -> None:
    """Give process `pid`, which has just made a user namespace, its ids. Raises `LabError`."""
    if idmap.single or os.geteuid() == 0:
        if idmap.single:
            # user_namespaces(7): without CAP_SETGID outside, gid_map may be written only once setgroups is denied.
            Path(f"/proc/{pid}/setgroups").write_text("deny")
        for kind, extents in (("uid", idmap.uids), ("gid", idmap.gids)):
            text = "".join(f"{e.inside} {e.outside} {e.count}\n" for e in extents)
            Path(f"/proc/{pid}/{kind}_map").write_text(text)
        return
    programs: list[tuple[str, subprocess.Popen[bytes]]] = []
    for program, extents in (("newuidmap", idmap.uids), ("newgidmap", idmap.gids)):
        numbers = [str(n) for e in extents for n in (e.inside, e.outside, e.count)]
        programs.append((program, subprocess.Popen([program, str(pid), *numbers], stderr=subprocess.PIPE)))
    for program, running in programs:
        said = running.communicate()[1]
        if running.returncode != 0:
            raise LabError(f"{program} failed: {said.decode(errors='replace').strip()}")


def _ranges(path: str) -> Iterator[tuple[str, int, int]]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            yield fields[0], int(fields[1]), int(fields[2])


def unclaimed() -> int:
    """The first of `COUNT` ids that neither /etc/subuid nor /etc/subgid gives to anybody, for a user to be given."""
    start = 100000  # SUB_UID_MIN of login.defs(5)
    for low, count in sorted(
        (low, count) for path in ("/etc/subuid", "/etc/subgid") for _, low, count in _ranges(path)
    ):
        if low < start + COUNT:
            start = max(start, low + count)
    return start


def claimed(uid: int) -> bool:
    """Whether /etc/subuid and /etc/subgid both give ids to this user."""
    return all(_subordinate(path, uid) is not None for path in ("/etc/subuid", "/etc/subgid"))


def _subordinate(path: str, uid: int) -> tuple[int, int] | None:
    names = {str(uid)}
    try:
        names.add(pwd.getpwuid(uid).pw_name)
    except KeyError:
        pass
    return next(((start, count) for name, start, count in _ranges(path) if name in names and count > 0), None)


def _root_range(path: str) -> int | None:
    """The start of `COUNT` ids for root's labs: root's own line in `path`, else ids that are nobody's."""
    taken = sorted((start, start + count, name, count) for name, start, count in _ranges(path))
    for start, _, name, count in taken:
        if name == "root" and count >= COUNT:
            return start if _mappable(path, start) else None
    start = FIRST_FREE
    for low, high, _, _ in taken:
        if low < start + COUNT and start < high:
            start = -(-high // COUNT) * COUNT
    return start if _mappable(path, start) else None


def _mappable(path: str, start: int) -> bool:
    """Whether our own user namespace has these ids: root in a container may have far fewer."""
    kind = "uid" if path.endswith("subuid") else "gid"
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        inside, _, count = (int(field) for field in line.split())
        if inside <= start and start + COUNT <= inside + count:
            return True
    return False
