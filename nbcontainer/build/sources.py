"""Where COPY and ADD take their files from: the context, the Dockerfile itself, the web, another stage's root."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from nbcontainer.build import archives, download, inside, receive
from nbcontainer.build.root import request, step_container
from nbcontainer.build.selection import Selection
from nbcontainer.build.tree import Tree
from nbcontainer.container.container import Container
from nbcontainer.container.containers import Containers
from nbcontainer.errors import InvalidArgument
from nbcontainer.image import host
from nbcontainer.image.steps import Step
from nbcontainer.lab import handle
from nbcontainer.lab.handle import Handle

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"git@[\w.-]+:|(?:git|ssh)://|https?://[^#?]+\.git(?:[#?].*)?$")


class Sources(Protocol):
    """What one COPY or ADD takes: the items for the receiving side, a digest of their content, an archive of them."""

    @property
    def items(self) -> list[dict[str, Any]]:
        """See `Selection.items`."""

    def digest(self) -> str:
        """See `Selection.digest`."""

    def write(self, fd: int) -> None:
        """See `Selection.write`."""

    def close(self) -> None:
        """Let go of files."""


class FromContext:
    """Files of the context, of here-documents, and, for ADD, of the web. Raises `InvalidArgument`."""

    def __init__(self, tree: Tree | None) -> None:
        self._selection = Selection(
            tree, keep_owners=False, where=" in the build context, or excluded by .dockerignore"
        )
        self._files: list[int] = []

    @property
    def items(self) -> list[dict[str, Any]]:
        return self._selection.items

    def add_text(self, name: str, text: str) -> None:
        """A here-document."""
        fd = handle.memfd(text.encode())
        self._files.append(fd)
        self._selection.add_file(name, fd, 0o644)

    def add_paths(self, source: str, parents: bool, exclude: Sequence[str]) -> None:
        """What `source` means in the context."""
        if self._selection.tree is None:
            raise InvalidArgument(f"there is no build context, so nothing to copy from: {source}")
        self._selection.add_source(source, parents, exclude)

    def add_archives(self, source: str, exclude: Sequence[str], workspace: Path) -> None:
        """As `add_paths`; each file that is an archive is one to be unpacked."""
        tree, first = self._selection.tree, len(self.items)
        self.add_paths(source, False, exclude)
        assert tree is not None
        for number in range(first, len(self.items)):
            path = self._selection.path_of(number)
            if self.items[number]["kind"] != "file" or path is None:
                continue
            fd = tree.open(path)
            self._files.append(fd)
            unpacked = archives.opened(fd, workspace)
            if unpacked is not None:
                if unpacked != fd:
                    self._files.append(unpacked)
                self._selection.give(number, unpacked)

    def add_url(self, url: str, checksum: str, unpack: bool, name_needed: bool, home: Path, workspace: Path) -> None:
        """What the web has at `url`: a file that its owner only can read, as Docker has it."""
        got = download.fetch(url, home, workspace)
        self._files.append(got.fd)
        if checksum:
            _check(got.fd, checksum)
        if name_needed and not got.name:
            raise InvalidArgument(f"cannot determine filename from url: {url}")
        opened = archives.opened(got.fd, workspace) if unpack else None
        if opened is not None:
            self._files.append(opened) if opened != got.fd else None
            self._selection.add_file(got.name, opened, 0o600, got.mtime, archive=True)
        else:
            self._selection.add_file(got.name or "download", got.fd, 0o600, got.mtime)

    def digest(self) -> str:
        """See `Selection.digest`."""
        return self._selection.digest()

    def write(self, fd: int) -> None:
        """See `Selection.write`."""
        self._selection.write(fd)

    def close(self) -> None:
        """Let go of files."""
        for fd in self._files:
            os.close(fd)
        self._files.clear()


def _check(fd: int, checksum: str) -> None:
    kind, _, wanted = checksum.partition(":")
    if kind not in ("sha256", "sha384", "sha512") or not re.fullmatch(r"[0-9a-f]{64,128}", wanted):
        raise InvalidArgument(f"checksum should have the form sha256:<hexadecimal digits>, and is {checksum}")
    digest = hashlib.new(kind)
    at = 0
    while piece := os.pread(fd, 1 << 20, at):
        digest.update(piece)
        at += len(piece)
    if digest.hexdigest() != wanted:
        raise InvalidArgument(f"digest mismatch {kind}:{digest.hexdigest()}: {checksum}")


class FromStage:
    """Files of the root of another stage, or of an image, which `document` describes. Raises `InvalidArgument`.

    A root of the same layers always gives the same, so what it gives is looked for once and kept with the steps.
    """

    def __init__(
        self,
        containers: Containers,
        document: dict[str, Any],
        sources: Sequence[str],
        parents: bool,
        exclude: Sequence[str],
    ) -> None:
        self._containers = containers
        self._document = document
        # Files of the machine's own root belong to ids that mean nothing in an image, and change under us.
        on_host = host.is_base_of(document)
        self._wanted = {
            "sources": list(sources),
            "parents": parents,
            "exclude": list(exclude),
            "keep_owners": not on_host,
        }
        single = containers.lab.idmap.single
        whole = json.dumps(["survey", 1, single, document["rootfs"]["diff_ids"], self._wanted])
        key = hashlib.sha256(whole.encode()).hexdigest()
        steps = containers.images.steps
        known = steps.find(key) if not on_host else None
        if known is None:
            with step_container(containers, document) as container:
                found = containers.lab.call(inside.survey, request(container), self._wanted)
            known = Step(key, "", json.dumps(found), "")
            if not on_host:
                steps.note(known)
        found = json.loads(known.log)
        self._items: list[dict[str, Any]] = found["items"]
        self._digest = str(found["digest"])

    @property
    def items(self) -> list[dict[str, Any]]:
        """See `Selection.items`."""
        return self._items

    def digest(self) -> str:
        """See `Selection.digest`."""
        return self._digest

    def write(self, fd: int) -> None:
        """See `Selection.write`."""
        with step_container(self._containers, self._document) as container:
            container.lab.call(inside.pack, request(container), self._wanted, fds=[fd])

    def close(self) -> None:
        """Nothing is held."""


def is_url(source: str) -> bool:
    """Whether a source of ADD is to be downloaded. Raises `InvalidArgument` for a git repository."""
    if _GIT.match(source):
        raise InvalidArgument(
            f"ADD {source}: git repositories are not supported; clone it in a RUN or into the context"
        )
    return bool(_URL.match(source))


def transfer(
    lab: Handle, sources: Sources, container: Container, target: str, chown: str = "", chmod: str = ""
) -> None:
    """Write the items of `sources` into the root of `container`. Raises `InvalidArgument`, `ImageError`."""
    read, write = os.pipe2(os.O_CLOEXEC)
    with _Writing(sources, write) as writing:
        try:
            lab.call(receive.receive, request(container), sources.items, target, chown, chmod, fds=[read])
        except BaseException:
            os.close(read)
            read = -1
            writing.finish()
            raise
        finally:
            if read >= 0:
                os.close(read)


class _Writing:
    """A thread that writes into the pipe. What goes wrong there is raised by `finish`, or at the end."""

    def __init__(self, sources: Sources, fd: int) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, args=(sources, fd), daemon=True)

    def _write(self, sources: Sources, fd: int) -> None:
        try:
            sources.write(fd)
        except BrokenPipeError:
            pass  # the reader has given up, and says why
        except BaseException as error:
            self._error = error
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Wait for it; raises what went wrong."""
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            with contextlib.suppress(BaseException):
                self.finish()


def target_of(workdir: str, target: str) -> str:
    """A target as an absolute path; a slash at its end stays."""
    joined = posixpath.join("/", workdir, target)
    ends = joined.endswith(("/", "/.", "/.."))
    clean = "/" + posixpath.normpath(joined).lstrip("/")
    return clean + ("/" if ends and clean != "/" else "")
