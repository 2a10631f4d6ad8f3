"""The store: blobs by digest, a small database of images and names, layers unpacked once for each id map.

Shared by all kernels of a user. A blob or a layer appears by rename, whole; SQLite (WAL) keeps the rest, so a kill
at any moment loses nothing that was committed and shows nothing that was not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nbcontainer.errors import ImageError

#: Bytes copied at once.
CHUNK = 1 << 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, config TEXT NOT NULL, loaded TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id));
CREATE TABLE IF NOT EXISTS layers (diff_id TEXT PRIMARY KEY, blob TEXT NOT NULL, size INTEGER NOT NULL);
"""


class Store:
    """The store below `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        mode = 0o711 if os.geteuid() == 0 else 0o700
        for directory in (path, path / "blobs", path / "blobs" / "sha256", path / "ingest", path / "layers"):
            directory.mkdir(mode=mode, exist_ok=True)
        self._connections = threading.local()
        with self.database() as db:
            db.executescript(_SCHEMA)
        self._sweep()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, for one transaction: committed at the end, rolled back by an exception."""
        db: sqlite3.Connection | None = getattr(self._connections, "db", None)
        if db is None:
            db = self._connections.db = sqlite3.connect(self.path / "images.db", timeout=30)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        with db:
            yield db

    # -- blobs

    def blob(self, digest: str) -> Path:
        """Where the blob with this digest is, or would be."""
        return self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory for half-done things. It goes at the end, or, after a kill, when the next store is opened."""
        directory = Path(tempfile.mkdtemp(dir=self.path / "ingest"))
        # An flock that a forked child would keep is no sign of life; a record lock is the process's own: fcntl(2).
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        _ours.add(directory)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            _ours.discard(directory)
            os.close(fd)

    def _sweep(self) -> None:
        """Remove the workspaces of processes that are gone."""
        for directory in (self.path / "ingest").iterdir():
            if directory in _ours:
                continue
            try:
                fd = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            except OSError:
                pass  # somebody is at work there
            finally:
                os.close(fd)

    def add_blob(self, source: BinaryIO, workspace: Path, expected: str | None = None) -> tuple[str, int]:
        """Copy `source` into the store; its digest and size. Raises `ImageError` when it is not `expected`."""
        digest, size = hashlib.sha256(), 0
        fd, name = tempfile.mkstemp(dir=workspace)
        with os.fdopen(fd, "wb") as file:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        found = f"sha256:{digest.hexdigest()}"
        if expected is not None and found != expected:
            raise ImageError(f"a blob is not what its name says: expected {expected}, found {found}")
        os.chmod(name, 0o644)
        target = self.blob(found)
        if target.exists():
            os.unlink(name)
        else:
            os.rename(name, target)
            _sync_directory(target.parent)
        return found, size

    # -- images and names

    def put_image(self, image_id: str, config: bytes, layers: list[tuple[str, str, int]], names: list[str]) -> None:
        """Record an image, its layers `(diff_id, blob, size)` and its names, all at once."""
        with self.database() as db:
            db.executemany("INSERT OR IGNORE INTO layers VALUES (?, ?, ?)", layers)
            db.execute("INSERT OR IGNORE INTO images VALUES (?, ?, datetime('now'))", (image_id, config.decode()))
            db.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?)", [(name, image_id) for name in names])

    def images(self) -> dict[str, dict[str, Any]]:
        """The config of every image by id, newest first."""
        with self.database() as db:
            rows = db.execute("SELECT id, config FROM images ORDER BY loaded DESC, id").fetchall()
        return {row[0]: json.loads(row[1]) for row in rows}

    def tags(self) -> dict[str, str]:
        """Every name and the id of its image."""
        with self.database() as db:
            return dict(db.execute("SELECT name, image FROM tags ORDER BY name").fetchall())

    def layer(self, diff_id: str) -> tuple[str, int]:
        """The blob and the size of a layer. Raises `ImageError` when it is not here."""
        with self.database() as db:
            row = db.execute("SELECT blob, size FROM layers WHERE diff_id = ?", (diff_id,)).fetchone()
        if row is None:
            raise ImageError(f"layer {diff_id} is missing from the store; load or bootstrap its image again")
        return row[0], row[1]

    def tag(self, name: str, image_id: str) -> None:
        """Give an image a name, taken from whatever had it."""
        with self.database() as db:
            db.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (name, image_id))

    def untag(self, name: str) -> None:
        """Take a name away."""
        with self.database() as db:
            db.execute("DELETE FROM tags WHERE name = ?", (name,))

    def delete(self, image_id: str) -> list[str]:
        """Forget an image and its names; the diff ids of the layers that no other image has."""
        with self.database() as db:
            row = db.execute("SELECT config FROM images WHERE id = ?", (image_id,)).fetchone()
            db.execute("DELETE FROM tags WHERE image = ?", (image_id,))
            db.execute("DELETE FROM images WHERE id = ?", (image_id,))
            used = {d for (text,) in db.execute("SELECT config FROM images") for d in _diff_ids(json.loads(text))}
            gone = [d for d in _diff_ids(json.loads(row[0])) if d not in used]
            for diff_id in gone:
                blob = db.execute("SELECT blob FROM layers WHERE diff_id = ?", (diff_id,)).fetchone()
                db.execute("DELETE FROM layers WHERE diff_id = ?", (diff_id,))
                if blob is not None:
                    self.blob(blob[0]).unlink(missing_ok=True)
        self.blob(image_id).unlink(missing_ok=True)
        return gone


#: Workspaces of this process, which its own locks do not guard against itself.
_ours: set[Path] = set()


def _diff_ids(config: dict[str, Any]) -> list[str]:
    return list((config.get("rootfs") or {}).get("diff_ids") or [])


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
