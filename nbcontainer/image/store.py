"""The store: blobs by digest, and a small database of images, names and layers.

Shared by all kernels of a user. Blobs appear by rename, whole, together with the row that speaks of them: the lock
of the database's writer (SQLite, WAL) orders whoever adds and whoever removes, so a kill at any moment loses nothing
that was committed and shows nothing that was not. What nothing speaks of is removed by the next removal.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import ImageError
from nbcontainer.image import locks
from nbcontainer.image.config import diff_ids_of

#: Seconds that an interrupted download is kept.
KEPT = 7 * 86400.0
#: Seconds that a writer waits for another one.
PATIENCE = 60.0
#: Days that what a step of a build has made is kept unused.
STEP_DAYS = 14

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, config TEXT NOT NULL, loaded TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id))",
    "CREATE TABLE IF NOT EXISTS layers (diff_id TEXT PRIMARY KEY, blob TEXT NOT NULL, size INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS manifests (digest TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id),"
    " media_type TEXT NOT NULL, content BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS steps"
    " (key TEXT PRIMARY KEY, diff_id TEXT NOT NULL, log TEXT NOT NULL, created TEXT NOT NULL, used TEXT NOT NULL)",
)


@dataclass(frozen=True)
class StoredLayer:
    """A layer: the digest of its content, that of the blob it is kept in (perhaps compressed), bytes of its files."""

    diff_id: str
    blob: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A manifest as a registry has it: what gives the image the same digest there again."""

    digest: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Step:
    """What a step of a build has made: the layer, "" when it changed nothing; what it printed; when (RFC 3339)."""

    key: str
    diff_id: str
    log: str
    created: str


@dataclass(frozen=True)
class NewImage:
    """An image to record: its config as it came, its layers lowest first, its names."""

    config: bytes
    diff_ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        """The digest of the config."""
        return digest(self.config)


def digest(data: bytes) -> str:
    """The sha256 digest of `data`, as OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Store:
    """The store below `path`. Raises `ImageError` when its files cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layers = path / "layers"
        #: A directory for each layer that is unpacked, held, shared, by every process that uses it.
        self.uses = path / "uses"
        self._ingest = path / "ingest"
        self._partial = path / "partial"
        self._blobs = path / "blobs" / "sha256"
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._db_owner = 0
        #: Connections that a forked child must neither use nor close (sqlite.org, howtocorrupt.html, 2.6).
        self._inherited: list[sqlite3.Connection] = []
        with _told(self.path):
            for directory in (path / "blobs", self._blobs, self._ingest, self._partial, self.uses):
                directory.mkdir(mode=0o700, exist_ok=True)
            # A lab made by root reaches its layers as an id that owns nothing above them.
            self.layers.mkdir(exist_ok=True)
            self.layers.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self._sweep()

    # -- half-done things

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory for half-done things. It goes at the end, or, after a kill, when the next store is opened."""
        with _told(self.path):
            directory = self._ingest / os.urandom(8).hex()
            held = locks.hold(str(directory))
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)
                os.close(held)

    @contextmanager
    def partial(self, digest: str, going_on: Callable[[], object]) -> Iterator[Path]:
        """A directory for the blob with this digest while it is downloaded. What is in it then stays, for next time.

        While another process has it, this waits, and calls `going_on()` now and then.
        """
        with _told(self.path):
            directory = self.partial_blob(digest).parent
            while True:
                try:
                    held = locks.hold(str(directory), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    going_on()
                    time.sleep(0.1)
            os.utime(directory)
            try:
                yield directory
            finally:
                try:
                    directory.rmdir()
                except OSError:
                    pass  # there is something in it
                os.close(held)

    def partial_blob(self, digest: str) -> Path:
        """The file in it that has what there is of the blob."""
        return self._partial / digest.removeprefix("sha256:") / "blob"

    def forget_partials(self, older: float = 0.0) -> None:
        """Remove what interrupted downloads have left, if it is older than so many seconds."""
        for directory in self._partial.iterdir():
            try:
                if time.time() - directory.stat().st_mtime < older:
                    continue
                held = locks.hold(str(directory), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, FileNotFoundError):
                continue  # at work
            shutil.rmtree(directory, ignore_errors=True)
            os.close(held)

    def _sweep(self) -> None:
        self.forget_partials(KEPT)
        for directory in self._ingest.iterdir():
            try:
                held = locks.hold(str(directory), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # at work
            shutil.rmtree(directory, ignore_errors=True)
            os.close(held)

    def blob(self, digest: str) -> Path:
        """Where the blob with this digest is, or would be."""
        return self._blobs / digest.removeprefix("sha256:")

    # -- the database

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._db_owner == os.getpid():
            return self._db
        if self._db is not None:
            self._inherited.append(self._db)
        # One at a time: a database cannot be put into WAL mode by two processes at once.
        held = locks.hold(str(self.path))
        try:
            db = sqlite3.connect(
                self.path / "images.db", timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            for statement in _SCHEMA:
                db.execute(statement)
        finally:
            os.close(held)
        self._db, self._db_owner = db, os.getpid()
        return db

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with self._lock, _told(self.path):
            return self._connection().execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The only writer of the store, whose changes are committed together at the end, or not at all."""
        with self._lock, _told(self.path):
            db = self._connection()
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                # Ctrl-C may come before the beginning, or after the end.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    # -- look

    def image_of(self, name: str) -> str | None:
        """The id of the image with this name."""
        rows = self._rows("SELECT image FROM tags WHERE name = ?", name)
        return rows[0][0] if rows else None

    def names_of(self, image_id: str) -> list[str]:
        """The names of an image."""
        return [name for (name,) in self._rows("SELECT name FROM tags WHERE image = ? ORDER BY name", image_id)]

    def ids(self, start: str = "sha256:") -> list[str]:
        """The ids of the images whose id begins so."""
        return [i for (i,) in self._rows("SELECT id FROM images WHERE id >= ? AND id < ?", start, f"{start}g")]

    def config(self, image_id: str) -> str | None:
        """The config of an image, as it came; None when there is no such image."""
        rows = self._rows("SELECT config FROM images WHERE id = ?", image_id)
        return rows[0][0] if rows else None

    def layer(self, diff_id: str) -> StoredLayer | None:
        """What is known of a layer."""
        rows = self._rows("SELECT diff_id, blob, size FROM layers WHERE diff_id = ?", diff_id)
        return StoredLayer(rows[0][0], rows[0][1], int(rows[0][2])) if rows else None

    def stored_layers(self) -> list[StoredLayer]:
        """Every layer."""
        rows = self._rows("SELECT diff_id, blob, size FROM layers ORDER BY diff_id")
        return [StoredLayer(diff_id, blob, int(size)) for diff_id, blob, size in rows]

    def unused(self) -> list[str]:
        """Blobs that nothing speaks of: left from a kill. One that has just come may be among them."""
        known = {blob.removeprefix("sha256:") for (blob,) in self._rows("SELECT blob FROM layers")}
        return sorted(f"blob {file.name[:12]}" for file in self._blobs.iterdir() if file.name not in known)

    def usage(self) -> int:
        """Bytes of its blobs and those that are on their way, and of the files of the layers that are unpacked, once
        for each map of ids."""
        sizes = {layer_directory(layer.diff_id): layer.size for layer in self.stored_layers()}
        unpacked = sum(sizes.get(path.name, 0) for path in self.layers.glob("*/*"))
        return unpacked + sum(file.stat().st_size for file in (*self._blobs.iterdir(), *self._partial.glob("*/blob")))

    def manifests(self, image_id: str) -> list[Manifest]:
        """Those that registries have of an image, the newest first."""
        query = "SELECT digest, media_type, content FROM manifests WHERE image = ? ORDER BY rowid DESC"
        return [Manifest(one, kind, bytes(content)) for one, kind, content in self._rows(query, image_id)]  # type: ignore[arg-type]

    # -- change

    def add(
        self,
        images: Sequence[NewImage],
        layers: Iterable[StoredLayer],
        files: Mapping[str, Path],
        manifests: Mapping[str, Manifest] | None = None,
        steps: Iterable[Step] = (),
    ) -> None:
        """Record images with their names, their layers, and, by digest, the files that become the layers' blobs.

        `manifests` are those that a registry has, by the image's id. A layer of no image stays for as long as a step
        speaks of it.
        """
        for file in files.values():
            _sync(file)
        with self._writing() as db:
            for blob, file in files.items():
                os.replace(file, self.blob(blob))
            _sync(self._blobs)
            db.executemany(
                "INSERT INTO layers VALUES (?, ?, ?)"
                " ON CONFLICT (diff_id) DO UPDATE SET blob = excluded.blob, size = excluded.size",
                [(layer.diff_id, layer.blob, layer.size) for layer in layers],
            )
            for image in images:
                db.execute(
                    "INSERT OR IGNORE INTO images VALUES (?, ?, datetime('now'))", (image.id, image.config.decode())
                )
                db.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?)", [(n, image.id) for n in image.names])
            db.executemany(
                "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)",
                [(m.digest, image_id, m.media_type, m.content) for image_id, m in (manifests or {}).items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, datetime('now'))",
                [(step.key, step.diff_id, step.log, step.created) for step in steps],
            )
            known = {diff_id for (diff_id,) in db.execute("SELECT diff_id FROM layers")}
            for missing in {diff_id for image in images for diff_id in image.diff_ids} - known:
                # Another process has removed the last image that had this layer since we looked.
                raise ImageError(f"layer {missing[:19]} was removed meanwhile; load its image again")

    def keep_manifest(self, image_id: str, manifest: Manifest, name: str) -> None:
        """Record the manifest that a registry has of an image now, and the name by digest that this gives it."""
        with self._writing() as db:
            if db.execute("SELECT 1 FROM images WHERE id = ?", (image_id,)).fetchall():
                values = (manifest.digest, image_id, manifest.media_type, manifest.content)
                db.execute("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)", values)
                db.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (name, image_id))

    def tag(self, name: str, image_id: str) -> bool:
        """Give an image a name, taken from whatever had it; False when there is no such image."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO tags SELECT ?, id FROM images WHERE id = ?", (name, image_id))
            return bool(db.execute("SELECT 1 FROM images WHERE id = ?", (image_id,)).fetchall())

    def untag(self, names: Iterable[str]) -> None:
        """Take names away."""
        with self._writing() as db:
            db.executemany("DELETE FROM tags WHERE name = ?", [(name,) for name in names])

    def delete(self, image_id: str) -> None:
        """Forget an image and its names, then remove what no image has any more."""
        with self._writing() as db:
            db.execute("DELETE FROM tags WHERE image = ?", (image_id,))
            db.execute("DELETE FROM manifests WHERE image = ?", (image_id,))
            db.execute("DELETE FROM images WHERE id = ?", (image_id,))
        # Only now: had the files gone first, a kill would leave an image without its layers.
        self.collect()

    # -- steps of builds

    def step(self, key: str) -> Step | None:
        """What the step with this key has made, unless its layer is gone. It counts as used now."""
        with self._writing() as db:
            rows = db.execute("SELECT key, diff_id, log, created FROM steps WHERE key = ?", (key,)).fetchall()
            step = Step(*rows[0]) if rows else None
            if step is None or (step.diff_id and not self._has_layer(db, step.diff_id)):
                return None
            db.execute("UPDATE steps SET used = datetime('now') WHERE key = ?", (key,))
            return step

    def _has_layer(self, db: sqlite3.Connection, diff_id: str) -> bool:
        rows = db.execute("SELECT blob FROM layers WHERE diff_id = ?", (diff_id,)).fetchall()
        return bool(rows) and self.blob(rows[0][0]).exists()

    def forget_steps(self) -> tuple[int, int]:
        """Forget what steps have made; how many, and bytes of the layers that only they had. `collect` removes them."""
        with self._writing() as db:
            configs = db.execute("SELECT config FROM images").fetchall()
            wanted = {diff_id for (config,) in configs for diff_id in diff_ids_of(json.loads(config))}
            rows = db.execute("SELECT DISTINCT s.diff_id, l.size FROM steps s JOIN layers l ON s.diff_id = l.diff_id")
            size = sum(size for diff_id, size in rows.fetchall() if diff_id not in wanted)
            return db.execute("DELETE FROM steps").rowcount, size

    def collect(self) -> None:
        """Remove the blobs and the unpacked layers of no image and no step; those in use stay until the next time.

        Steps that no build has used for `STEP_DAYS` are forgotten.
        """
        with self._writing() as db:
            db.execute("DELETE FROM steps WHERE used < datetime('now', ?)", (f"-{STEP_DAYS} days",))
            configs = db.execute("SELECT config FROM images").fetchall()
            wanted = {diff_id for (config,) in configs for diff_id in diff_ids_of(json.loads(config))}
            wanted |= {diff_id for (diff_id,) in db.execute("SELECT diff_id FROM steps")} - {""}
            rows = db.execute("SELECT diff_id, blob FROM layers").fetchall()
            db.executemany("DELETE FROM layers WHERE diff_id = ?", [(d,) for d, _ in rows if d not in wanted])
            blobs = {blob.removeprefix("sha256:") for diff_id, blob in rows if diff_id in wanted}
            for file in self._blobs.iterdir():
                if file.name not in blobs:
                    file.unlink(missing_ok=True)
            names = {layer_directory(diff_id) for diff_id in wanted}
            for name in {found.name for found in self.layers.glob("*/*")} - names:
                if not name.endswith(DISCARDED):
                    self._discard(name)

    def _discard(self, name: str) -> None:
        """Take an unpacked layer out of sight, unless somebody uses it; a lab then removes it."""
        try:
            held = locks.hold(str(self.uses / name), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for unpacked in self.layers.glob(f"*/{name}"):
            unpacked.rename(f"{unpacked}.{os.urandom(4).hex()}{DISCARDED}")
        (self.uses / name).rmdir()
        os.close(held)

    def strays(self) -> bool:
        """Whether there are unpacked layers that no image has: left from a kill, or in use when theirs went."""
        found = {path.name for path in self.layers.glob("*/*")}
        return bool(found) and not found <= {layer_directory(d) for (d,) in self._rows("SELECT diff_id FROM layers")}


#: Digits of a layer's digest in its directory's name: overlayfs takes one page of options, so names are short.
_DIGITS = 24
#: How names end of directories that wait for their removal inside a lab: only it has the ids that own the files.
DISCARDED = ".tmp"


def layer_directory(diff_id: str) -> str:
    """The name of the directory that a layer is unpacked to."""
    return diff_id.removeprefix("sha256:")[:_DIGITS]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ImageError(f"the image store {path} cannot be used: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(f"write {path}: no space left on device; nothing half-done was kept") from None
        raise ImageError(f"the image store {path} cannot be used: {error}") from None


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
