"""An OCI layout in a directory, read as the archive that it would be in a tar file."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nbcontainer.errors import ImageError
from nbcontainer.image.tar import Entry
from nbcontainer.image.tar_writer import TarWriter

_FIRST = ("oci-layout", "index.json", "manifest.json")
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(directory: Path) -> Iterator[BinaryIO]:
    """`directory` as a stream. Raises `ImageError` when it is no layout, or cannot be read."""
    if not (directory / "index.json").is_file():
        raise ImageError(f"{directory} holds no image: a directory must be an OCI layout, with an index.json")
    out, into = os.pipe()
    failed: list[OSError] = []

    def feed() -> None:
        try:
            with os.fdopen(into, "wb", buffering=0) as pipe:
                _write(directory, pipe)
        except BrokenPipeError:
            pass  # nobody wants the rest
        except OSError as error:
            failed.append(error)

    feeder = threading.Thread(target=feed, name="nbcontainer layout", daemon=True)
    feeder.start()
    try:
        with os.fdopen(out, "rb") as stream:
            yield stream
    except ImageError:
        feeder.join()
        if failed:
            raise ImageError(f"open {failed[0].filename}: {str(failed[0].strerror).lower()}") from None
        raise
    feeder.join()


def _write(directory: Path, pipe: BinaryIO) -> None:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(pipe.fileno(), view) :]

    tar = TarWriter(write)
    names = [name for name in _FIRST if (directory / name).exists()]
    names += sorted(str(path.relative_to(directory)) for path in directory.glob("blobs/*/*"))
    for name in names:
        fd = os.open(directory / name, _FILE)
        try:
            info = os.fstat(fd)
            if stat.S_ISREG(info.st_mode):
                tar.add(Entry(name, "file", 0o644, 0, 0, 0, info.st_size), fd)
        finally:
            os.close(fd)
    tar.finish()
