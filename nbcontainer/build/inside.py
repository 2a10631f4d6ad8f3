"""Runs inside the lab: what steps take from other stages, and what RUN has mounted.

Modules this needs are loaded before a root is entered: nothing is imported from in there.
"""

from __future__ import annotations

import os
import stat

from nbcontainer.build.patterns import Ignored
from nbcontainer.build.selection import Selection
from nbcontainer.build.tree import Tree
from nbcontainer.container import changes, rootfs
from nbcontainer.errors import InvalidArgument
from nbcontainer.lab.files import remove_tree
from nbcontainer.syscalls import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Below it, in memory: secrets, scripts, and where the roots of other stages are mounted for RUN.
PLACE = "/run/nbcontainer/build"


def survey(root: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What `wanted` takes from a root: `{"items": …, "digest": …}`, as `Selection` has them."""
    selection = _select(root, wanted)
    return {"digest": selection.digest(), "items": selection.items}


def pack(root: dict[str, Any], wanted: dict[str, Any], *, fds: list[int]) -> None:
    """Write what `wanted` takes from a root to the descriptor `fds[0]`."""
    selection = _select(root, wanted)
    try:
        selection.write(fds[0])
    except BrokenPipeError:
        pass  # whoever reads has found something wrong, and says so


def _select(root: dict[str, Any], wanted: dict[str, Any]) -> Selection:
    hidden = Ignored(_only_ours(root["overlays"]))
    changes.enter_root(root, None)
    selection = Selection(Tree("/", hidden), wanted["keep_owners"])
    for source in wanted["sources"]:
        selection.add_source(source, wanted["parents"], wanted["exclude"])
    return selection


def _only_ours(overlays: list[dict[str, Any]]) -> list[str]:
    """What of the init layer no layer of the stage has: it is there for containers' mounts, and no content."""
    found = []
    for path, directories, files in os.walk(rootfs.INIT_LAYER):
        for name in (*directories, *files):
            inner = os.path.join(path, name)[len(rootfs.INIT_LAYER) :]
            places = [
                lower + inner[len(one["prefix"].rstrip("/")) :]
                for one in overlays
                if f"{inner}/".startswith(one["prefix"].rstrip("/") + "/")
                for lower in one["lowers"]
            ]
            if not any(map(os.path.lexists, places)):
                found.append(inner[1:])
    return found


# -- RUN --mount


def mount_root(root: dict[str, Any], name: str, source: str) -> str:
    """Mount a root in the lab itself; where `source`, a path in it, then is, no link outside followed.

    Raises `InvalidArgument` when it is not there.
    """
    place = f"{PLACE}/{name}"
    os.makedirs(place)
    if root["driver"] == "overlay":
        rootfs.mount(place, root["overlays"])
    else:
        mounts.mount(root["overlays"][0]["upper"], place, None, mounts.MS_BIND)
    tree = Tree(place)
    try:
        found = tree.find(source)
    finally:
        tree.close()
    if found is None:
        unmount(name)
        raise InvalidArgument(f'failed to calculate checksum: "{source}": not found')
    return f"{place}/{found}".rstrip("/")


def unmount(name: str) -> None:
    """Undo `mount_root`, with all that is mounted below it, as far as it came."""
    place = f"{PLACE}/{name}"
    if not os.path.isdir(place):
        return
    if os.path.ismount(place):
        mounts.umount(place, mounts.MNT_DETACH)
    os.rmdir(place)


def write_file(name: str, mode: int, uid: int, gid: int, *, fds: list[int]) -> str:
    """A file in memory with what `fds[0]` holds; its path in the lab."""
    os.makedirs(f"{PLACE}/{name}", mode=0o700)
    path = f"{PLACE}/{name}/file"
    with os.fdopen(os.dup(fds[0]), "rb") as source, open(path, "wb") as file:
        source.seek(0)
        while piece := source.read(1 << 20):
            file.write(piece)
    _own(path, mode, uid, gid)
    return path


def remove_file(name: str) -> None:
    """Undo `write_file`, as far as it came."""
    remove_tree(f"{PLACE}/{name}")


def make_cache(path: str, mode: int, uid: int, gid: int) -> None:
    """The directory of a cache mount, once."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    _own(path, mode, uid, gid)


def remove_cache(path: str) -> int:
    """Remove a cache mount's directory; bytes of its files."""
    size = 0
    for directory, _, files in os.walk(path):
        size += sum(os.lstat(os.path.join(directory, name)).st_size for name in files)
    remove_tree(path)
    return size


def _own(path: str, mode: int, uid: int, gid: int) -> None:
    if uid or gid:
        try:
            os.chown(path, uid, gid)
        except OSError:
            pass  # an id that this lab does not have
    os.chmod(path, mode)


def missing(root: dict[str, Any], targets: list[str]) -> list[list[Any]]:
    """Of mount points and what is above them: `[path, 0]` for what is not there, `[path, mtime]` for where it goes."""
    changes.enter_root(root, None)
    found: dict[str, int] = {}
    for target in targets:
        path = os.path.realpath(target)
        while not os.path.lexists(path):
            found[path] = 0
            path = os.path.dirname(path)
        if os.path.dirname(target) != target and os.path.isdir(path):
            found.setdefault(path, os.stat(path).st_mtime_ns)
    return [[path, time] for path, time in found.items()]


def remove_stubs(root: dict[str, Any], before: list[list[Any]]) -> None:
    """Take away the empty files and directories that mounts needed, and give directories their times back."""
    changes.enter_root(root, None)
    for path, time in sorted(before, key=lambda pair: len(pair[0]), reverse=True):
        try:
            info = os.lstat(path)
            if time:
                os.utime(path, ns=(time, time))
            elif stat.S_ISDIR(info.st_mode):
                os.rmdir(path)
            elif info.st_size == 0:
                os.unlink(path)
        except OSError:
            continue  # the command has put something there, or taken it away
