"""`-u name|uid[:group|gid]`, by the container's own /etc/passwd and /etc/group (passwd(5), group(5)).

Used inside the lab: standard library only.
"""

from __future__ import annotations

from nbcontainer.errors import InvalidArgument

#: The largest id Docker accepts.
LARGEST = (1 << 31) - 1


class User:
    """Who a process is: ids of the lab, and the home directory."""

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def resolve(text: str, passwd: str, group: str) -> User:
    """The user that `text` names; `passwd` and `group` are the files' contents. Raises `InvalidArgument`."""
    name, _, wanted_group = text.partition(":")
    name = name or "0"
    users = [fields for line in passwd.splitlines() if len(fields := line.split(":")) >= 6]
    groups = [fields for line in group.splitlines() if len(fields := line.split(":")) >= 4]
    entry = next((f for f in users if f[0] == name), None) or next((f for f in users if f[2] == name), None)
    if entry is not None and entry[2].isdigit() and entry[3].isdigit():
        uid, gid, home, login = int(entry[2]), int(entry[3]), entry[5] or "/", entry[0]
    elif name.isdigit():
        uid, gid, home, login = _in_range(name), 0, "/", ""
    else:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    if wanted_group:
        return User(uid, _group(wanted_group, groups), (), home)
    further = [int(f[2]) for f in groups if login and login in f[3].split(",") and f[2].isdigit()]
    return User(uid, gid, tuple(dict.fromkeys(further)), home)


def _group(name: str, groups: list[list[str]]) -> int:
    found = next((f[2] for f in groups if f[0] == name and f[2].isdigit()), None)
    if found is not None:
        return int(found)
    if name.isdigit():
        return _in_range(name)
    raise InvalidArgument(f"unable to find group {name}: no matching entries in group file")


def _in_range(text: str) -> int:
    number = int(text)
    if number > LARGEST:
        raise InvalidArgument(f"uids and gids must be in range 0-{LARGEST}, not {text}")
    return number
