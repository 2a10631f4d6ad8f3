"""The unpacked layers of one lab: a directory for each layer and each map of ids, made once, shared by labs alike."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from pathlib import Path

from nbcontainer.errors import ImageError
from nbcontainer.image import locks, unpack
from nbcontainer.image.content import Content
from nbcontainer.image.store import Store, layer_directory
from nbcontainer.image.tar import Tar
from nbcontainer.lab.handle import Handle


class Layers:
    """The directories that the layers of `store` have for the ids of `lab`."""

    def __init__(self, lab: Handle, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._directory = store.layers / lab.idmap.key
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self._owner_gone = weakref.finalize(self, _close, self._held)

    def path(self, diff_id: str) -> Path:
        """Where a layer is unpacked, or would be."""
        return self._directory / layer_directory(diff_id)

    def hold(self, diff_id: str) -> None:
        """Keep a layer, once unpacked, from being removed by any process, until `release` or our own end."""
        with self._lock:
            if diff_id not in self._held:
                use = self._store.uses / layer_directory(diff_id)
                self._held[diff_id] = locks.hold(str(use), fcntl.LOCK_SH)

    def release(self, diff_ids: list[str]) -> None:
        """Let others remove these layers."""
        with self._lock:
            for diff_id in set(diff_ids) & self._held.keys():
                os.close(self._held.pop(diff_id))

    def unpack(self, diff_id: str, blob: Path) -> int:
        """Unpack a layer from `blob` unless it is; bytes of its files. Raises `ImageError`.

        Either way `blob` is read to its end and found to be what `diff_id` says.
        """
        self.hold(diff_id)
        try:
            fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again") from None
        try:
            done = None
            if not self.path(diff_id).is_dir():
                self._make_directory()
                done = self._lab.call(unpack.unpack, diff_id, str(self.path(diff_id)), fds=[fd])
            return int(done["size"]) if done is not None else _measure(diff_id, fd)
        finally:
            os.close(fd)

    def take(self, diff_id: str, upper: Path) -> None:
        """Make the upper directory of an overlay that nobody has mounted any more the layer's directory.

        Where that cannot be, because it is there already or on another file system, `unpack` will make it.
        """
        self.hold(diff_id)
        self._make_directory()
        try:
            os.rename(upper, self.path(diff_id))
        except OSError:
            pass

    def _make_directory(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            # Every time: a kill may have come between making it and giving it to the lab's root.
            uid, gid = self._lab.idmap.uid_outside(0), self._lab.idmap.gid_outside(0)
            os.chown(self._directory, -1 if uid is None else uid, -1 if gid is None else gid)

    def sweep(self) -> None:
        """Remove what killed processes have left half-unpacked, and what was discarded."""
        if any(path.name.endswith(unpack.UNFINISHED) for path in self._directory.glob("*")):
            self._lab.call(unpack.sweep, str(self._directory))


def _measure(diff_id: str, fd: int) -> int:
    """Bytes of the files of the layer in `fd`. Raises `ImageError` when it is not `diff_id`."""
    with os.fdopen(os.dup(fd), "rb", buffering=0) as file:
        file.seek(0)
        content = Content(file.read)
        size = sum(entry.size for entry in Tar(content.read))
        found = content.finish()
    if found != diff_id:
        raise ImageError(f"layer {diff_id[:19]} is not what its image says, but {found}")
    return size


def _close(held: dict[str, int]) -> None:
    for fd in held.values():
        os.close(fd)
