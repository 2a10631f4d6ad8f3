"""A layer on its way into the lab: the notebook's process feeds plain bytes, a process of the lab unpacks them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from nbcontainer.errors import ImageError
from nbcontainer.image import unpack
from nbcontainer.image.arriving import Reader
from nbcontainer.lab.handle import Handle

#: Bytes that may be on the way; without privilege there are no more (pipe(7), /proc/sys/fs/pipe-max-size).
_PIPE = 1 << 20


class Unpacking:
    """`write` what comes, then `finish`; leaving the `with` block before that leaves nothing behind.

    The layer appears below `directory` under the name that `finish` gives it. A `name` known before keeps several
    processes from doing the same work. All raise `ImageError`, with the cause alone.
    """

    def __init__(self, lab: Handle, directory: Path, name: str | None) -> None:
        self._lab = lab
        self._done: dict[str, int] | None = None
        self._error: BaseException | None = None
        taken, self._data = os.pipe()
        heard, self._verdict = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._data, fcntl.F_SETPIPE_SZ, _PIPE)
        self._thread = threading.Thread(
            target=self._unpack, args=(str(directory), name, taken, heard), name="unpack", daemon=True
        )
        self._thread.start()

    def _unpack(self, directory: str, name: str | None, taken: int, heard: int) -> None:
        try:
            self._done = self._lab.call(unpack.unpack, directory, name, fds=[taken, heard])
        except BaseException as error:
            self._error = error
        finally:
            # Whoever is writing now gets EPIPE.
            os.close(taken)
            os.close(heard)

    def write(self, data: bytes) -> None:
        """Feed it."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._data, view) :]
        except BrokenPipeError:
            self._result()

    def pour(self, file: Reader) -> str:
        """Feed it all of a plain file, as that arrives; the file's digest."""
        try:
            return file.pour(self._data)
        except BrokenPipeError:
            self._result()
            raise

    def finish(self, name: str) -> int:
        """All has come, and was right: the bytes of its files, once it is there under `name`."""
        self._close("_data")
        try:
            os.write(self._verdict, name.encode())
        except BrokenPipeError:
            pass  # it has failed, and its result says why
        self._close("_verdict")
        return self._result()["size"]

    def _result(self) -> dict[str, int]:
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._done is None:
            raise ImageError("it ended before all of it had come")
        return self._done

    def _close(self, end: str) -> None:
        fd: int = getattr(self, end)
        if fd >= 0:
            setattr(self, end, -1)
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close("_data")
        self._close("_verdict")
        self._thread.join()
