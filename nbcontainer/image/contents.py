"""Runs inside the lab: what is in the directories of layers, and which of them a path comes from."""

from __future__ import annotations

import os
import stat

from nbcontainer.image.changeset import OPAQUE_ATTRIBUTE, is_whiteout


def count(tops: list[str]) -> dict[str, int]:
    """Of everything in `tops`: `files` (all that is no directory), `directories`, what it `removed` of the layers
    below, and `size`, the bytes of the files, a file with several names once."""
    found = {"files": 0, "directories": 0, "removed": 0, "size": 0}
    seen: set[tuple[int, int]] = set()
    waiting = list(tops)
    while waiting:
        for entry in os.scandir(waiting.pop()):
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                found["directories"] += 1
                found["removed"] += is_opaque(entry.path)
                waiting.append(entry.path)
            elif is_whiteout(info):
                found["removed"] += 1
            else:
                found["files"] += 1
                if info.st_nlink == 1 or (info.st_dev, info.st_ino) not in seen:
                    seen.add((info.st_dev, info.st_ino))
                    found["size"] += info.st_size if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode) else 0
    return found


def listing(tops: list[str]) -> list[tuple[str, str, int]]:
    """Of everything in `tops`: its path, its kind (`image.stack.Entry`) and its bytes, sorted by path."""
    found: list[tuple[str, str, int]] = []
    waiting = [(top, "") for top in tops]
    while waiting:
        directory, path = waiting.pop()
        entries = list(os.scandir(directory))
        if not entries and path:
            found.append((path, "directory", 0))
        for entry in entries:
            here, info = f"{path}/{entry.name}", entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                waiting.append((entry.path, here))
            elif is_whiteout(info):
                found.append((here, "removed", 0))
            else:
                link = stat.S_ISLNK(info.st_mode)
                found.append((here, "link" if link else "file", info.st_size))
    return sorted(found)


def count_changes(top: str, changes: list[tuple[str, str]]) -> dict[str, int]:
    """The same of what was changed below `top`: each change has its kind, A, C or D, and its path."""
    found = {"files": 0, "directories": 0, "removed": 0, "size": 0}
    for kind, path in changes:
        if kind == "D":
            found["removed"] += 1
            continue
        info = os.lstat(top + path)
        if stat.S_ISDIR(info.st_mode):
            found["directories"] += 1
        else:
            found["files"] += 1
            found["size"] += info.st_size
    return found


def where(places: list[tuple[str, str]]) -> list[str]:
    """What each of `places`, topmost first, has to do with a path: a layer's directory, and the path below it.

    "seen": what a container sees there is this layer's; "merged": a directory, of which a layer above has a part
    too; "hidden": what it has there is covered by a layer above; "removed": it takes away what is below; "": nothing.
    No link is followed.
    """
    said, state = [], "open"
    for layer, path in places:
        has, hides = _at(layer, [part for part in path.split("/") if part not in ("", ".")])
        if not has:
            said.append("")
        elif state == "open":
            said.append("removed" if has == "removed" else "seen")
        else:
            said.append("merged" if state == has == "directory" else "hidden")
        if has and state != "closed":
            state = "directory" if has == "directory" else "closed"
        if hides:
            state = "closed"
    return said


def _at(layer: str, parts: list[str]) -> tuple[str, bool]:
    """What a layer has at a path ("file", "directory", "removed" or ""), and whether it hides all below it."""
    at, hides = layer, False
    kind = "directory"
    for part in parts:
        if kind != "directory":
            return "", True  # something else stands in the way of the layers below
        at = f"{at}/{part}"
        try:
            info = os.lstat(at)
        except OSError:
            return "", hides
        if is_whiteout(info):
            return "removed", True
        kind = "directory" if stat.S_ISDIR(info.st_mode) else "file"
        hides = hides or kind != "directory" or is_opaque(at)
    return kind, hides


def is_opaque(path: str | int) -> bool:
    """Whether a directory hides those below it (overlayfs.rst, "whiteouts and opaque directories")."""
    try:
        return os.getxattr(path, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False
