"""The unpacked layers of one lab: a directory for each layer and each map of ids, made once, shared by labs alike."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from nbcontainer.errors import ImageError
from nbcontainer.image import compare, diff, locks, unpack
from nbcontainer.image.arriving import Arriving
from nbcontainer.image.content import MAGIC, Content, compression
from nbcontainer.image.store import Store, layer_directory
from nbcontainer.image.unpacking import Unpacking
from nbcontainer.lab.files import remove_tree
from nbcontainer.lab.handle import Handle
from nbcontainer.lab.home import spread

#: Layers of one image that are unpacked at the same time.
AT_ONCE = 3


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
        try:
            file = blob.open("rb", buffering=0)
        except OSError:
            raise ImageError(f"layer {diff_id[:19]} is missing from the store; load its image again") from None
        with file:
            return self.stream(file.read, diff_id)[1]

    def stream(self, source: Callable[[int], bytes], diff_id: str | None = None) -> tuple[str, int]:
        """Unpack the layer that `source(n)` gives, as it comes: its diff_id and the bytes of its files.

        With `diff_id` it must be that one. It is held until `release`. Raises `ImageError`, with nothing left, and
        whatever `source` raises.
        """

        def feed(unpacking: Unpacking) -> str:
            content = Content(source)
            while data := content.read():
                unpacking.write(data)
            return content.finish()

        return self._fed(feed, diff_id)

    def follow(self, file: Arriving, diff_id: str | None = None) -> tuple[str, int]:
        """`stream` of a file that is still arriving. Where it is plain, its own digest is the diff_id."""
        with file.reader() as reader:
            if compression(reader.start(MAGIC)) is not None:
                return self.stream(reader.read, diff_id)
            return self._fed(lambda unpacking: unpacking.pour(reader), diff_id)

    def _fed(self, feed: Callable[[Unpacking], str], diff_id: str | None) -> tuple[str, int]:
        """Unpack what `feed` gives, whose diff_id it returns."""
        if diff_id is not None:
            self.hold(diff_id)
        self._make_directory()
        name = None if diff_id is None else layer_directory(diff_id)
        try:
            with Unpacking(self._lab, self._directory, name) as unpacking:
                found = feed(unpacking)
                if diff_id is not None and found != diff_id:
                    raise ImageError(f"it is not what its image says, but {found}")
                self.hold(found)  # before it appears
                return found, unpacking.finish(layer_directory(found))
        except ImageError as error:
            raise ImageError(f"layer {(diff_id or 'without a name')[:19]} cannot be unpacked: {error}") from None

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Bring in layers for images that are not recorded yet: at the end, those that are not kept go again."""
        attempt = Attempt(self, frozenset(self._held))
        try:
            yield attempt
        finally:
            attempt.end()

    def discard(self, diff_ids: Iterable[str]) -> None:
        """Let these layers go, and remove them unless an image has them or another process uses them."""
        self.release([*diff_ids])
        self._store.collect()
        self.sweep()

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

    def verify(self, diff_id: str, blob: Path, replace: bool) -> list[str]:
        """Unpack a layer once more from `blob` and compare: what is different in its directory, a line each. With
        `replace`, one that is different is exchanged for the fresh one. Raises `ImageError`."""
        name = f"{layer_directory(diff_id)}{compare.FRESH}"
        fresh = self._directory / name
        held = locks.hold(str(self._store.uses / name))
        try:
            with blob.open("rb", buffering=0) as file, Unpacking(self._lab, self._directory, None) as unpacking:
                if fresh.exists():
                    self._lab.call(remove_tree, str(fresh))  # from a kill
                content = Content(file.read)
                while data := content.read():
                    unpacking.write(data)
                if content.finish() != diff_id:
                    raise ImageError(f"layer {diff_id[:19]} is not what its image says")
                unpacking.finish(name)
            found: list[str] = self._lab.call(compare.compare, str(self.path(diff_id)), str(fresh), replace)
            return found
        finally:
            (self._store.uses / name).rmdir()
            os.close(held)

    def pack(self, diff_id: str, below: list[str], file: Path) -> str:
        """Write the unpacked layer to `file` as the archive that a commit would make; its digest, "" without one."""
        if not self.path(diff_id).is_dir():
            return ""
        lowers = [str(self.path(one)) for one in reversed(below)]
        upper = {"prefix": "/", "lowers": lowers, "upper": str(self.path(diff_id))}
        with file.open("wb") as target:
            return str(self._lab.call(diff.write, [upper], "overlay", None, fds=[target.fileno()])["diff_id"])

    def others_hold(self, diff_id: str) -> bool:
        """Whether another process uses a layer."""
        with self._lock:
            ours = self._held.get(diff_id)
            held = (
                ours
                if ours is not None
                else locks.hold(str(self._store.uses / layer_directory(diff_id)), fcntl.LOCK_SH)
            )
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True
            finally:
                if ours is None:
                    os.close(held)
                else:
                    fcntl.flock(held, fcntl.LOCK_SH)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700)
            spread(self._directory)
        except FileExistsError:
            pass
        if os.geteuid() == 0:
            # Every time: a kill may have come between making it and giving it to the lab's root.
            uid, gid = self._lab.idmap.uid_outside(0), self._lab.idmap.gid_outside(0)
            os.chown(self._directory, -1 if uid is None else uid, -1 if gid is None else gid)

    def sweep(self) -> None:
        """Remove what killed processes have left half-unpacked, and what was discarded."""
        if any(path.name.endswith(unpack.UNFINISHED) for path in self._directory.glob("*")):
            self._lab.call(unpack.sweep, str(self._directory))


class Attempt:
    """Layers that come in before anybody knows whether there will be an image of them, several at once."""

    def __init__(self, layers: Layers, before: frozenset[str]) -> None:
        self._layers = layers
        self._before = before
        self._brought: set[str] = set()
        self._files: list[Arriving] = []
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="layer")

    def unpack(self, file: Arriving, diff_id: str | None = None) -> Future[tuple[str, int]]:
        """Begin to unpack the layer in `file`: its diff_id and the bytes of its files.

        See `Layers.follow`.
        """
        with self._lock:
            self._files.append(file)
        return self._workers.submit(self._unpack, file, diff_id)

    def _unpack(self, file: Arriving, diff_id: str | None) -> tuple[str, int]:
        found, size = self._layers.follow(file, diff_id)
        with self._lock:
            self._brought.add(found)
        return found, size

    def fail(self, error: BaseException) -> None:
        """Files that are still arriving will not be whole: whoever unpacks them gets `error`."""
        with self._lock:
            for file in self._files:
                file.fail(error)

    def keep(self, diff_ids: set[str]) -> None:
        """Images that have these layers are recorded."""
        self._brought -= diff_ids

    def end(self) -> None:
        """Remove what is left over, once nobody is at work any more."""
        self.fail(ImageError("it was given up"))
        self._workers.shutdown(cancel_futures=True)
        unwanted = self._brought - self._before
        if unwanted:
            self._layers.discard(unwanted)


def _close(held: dict[str, int]) -> None:
    for fd in held.values():
        os.close(fd)
