"""`RUN --mount`: what each kind mounts, and what of it counts in the cache. Dockerfile reference, "RUN --mount"."""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbcontainer.build import inside, root
from nbcontainer.build.context import Context
from nbcontainer.build.sources import FromContext, transfer
from nbcontainer.container.container import Container
from nbcontainer.container.containers import Containers
from nbcontainer.container.volumes import own
from nbcontainer.errors import InvalidArgument
from nbcontainer.image import locks
from nbcontainer.image.dockerfile.instructions import Mount
from nbcontainer.lab import handle
from nbcontainer.lab.handle import Handle

#: Where a script of a here-document is found by the container: in its own /dev, so never in a layer.
SCRIPTS = "/dev/pipes"
SECRETS = "/run/secrets"


@dataclass
class Mounts:
    """The mounts of one RUN. `documents(name)` is the image config of a stage or an image."""

    containers: Containers
    context: Context | None
    documents: Callable[[str], dict[str, Any]]
    secrets: Mapping[str, bytes]
    workdir: str
    mounts: tuple[Mount, ...]
    scripts: Mapping[str, bytes] = field(default_factory=dict)

    def key(self) -> list[Any]:
        """What of them would change the result. Neither secrets nor what a cache holds is part of it."""
        return [self._key(mount) for mount in self.mounts if mount.kind != "ssh"]

    def _key(self, mount: Mount) -> list[Any]:
        known: list[Any] = [mount.kind, self._target(mount), mount.read_only, mount.size]
        if mount.kind == "cache":
            return [*known, mount.id, mount.source, mount.mode, mount.uid, mount.gid]
        if mount.kind == "bind" and mount.origin:
            document = self.documents(mount.origin)
            return [*known, mount.source, document["rootfs"]["diff_ids"], document.get("io.nbcontainer.base")]
        if mount.kind == "bind":
            sources = self._from_context(mount)
            try:
                return [*known, mount.source, sources.digest()]
            finally:
                sources.close()
        return [*known, mount.id or mount.source, mount.env]

    def _from_context(self, mount: Mount) -> FromContext:
        sources = FromContext(self.context.tree if self.context is not None else None)
        sources.add_paths(mount.source or ".", False, ())
        return sources

    def _target(self, mount: Mount) -> str:
        if mount.kind in ("secret", "ssh") and not mount.target:
            return "" if mount.env else f"{SECRETS}/{posixpath.basename(mount.id or mount.source)}"
        return "/" + posixpath.normpath(posixpath.join("/", self.workdir, mount.target)).lstrip("/")

    def targets(self) -> list[str]:
        """Where something is mounted that may need a mount point."""
        return [target for mount in self.mounts if mount.kind != "ssh" and (target := self._target(mount))]

    def environment(self) -> dict[str, str]:
        """The secrets that are given as variables."""
        found = {}
        for mount in self.mounts:
            if mount.kind == "secret" and mount.env:
                secret = self._secret(mount)
                if secret is not None:
                    found[mount.env] = secret.decode(errors="surrogateescape")
        return found

    def used_secrets(self) -> list[bytes]:
        """The secrets that the command can see."""
        return [secret for mount in self.mounts if mount.kind == "secret" and (secret := self._secret(mount))]

    def _secret(self, mount: Mount) -> bytes | None:
        name = mount.id or mount.source or posixpath.basename(mount.target)
        if name in self.secrets:
            return self.secrets[name]
        if mount.required:
            raise InvalidArgument(f"secret {name}: not found: give it with --secret id={name},src=FILE")
        return None

    # -- for one run

    def prepare(self, container: Container, stack: ExitStack) -> None:
        """Add them to the spec of `container`, which has not started; `stack` takes what must be undone."""
        entries: list[dict[str, Any]] = []
        for number, mount in enumerate(self.mounts):
            if mount.kind == "ssh":
                if mount.required:
                    raise InvalidArgument("RUN --mount=type=ssh: no SSH agent is forwarded to a build")
                continue
            options = ["rbind", *(["ro"] if mount.read_only else [])]
            target, name = self._target(mount), f"{container.short_id}-{number}"
            if mount.kind == "tmpfs":
                limits = ["mode=1777"] + ([f"size={mount.size}"] if mount.size else [])
                entries.append(_entry(target, "tmpfs", "tmpfs", ["nosuid", "nodev", *limits]))
                continue
            source = {"bind": self._bind, "cache": self._cache, "secret": self._file}[mount.kind](mount, name, stack)
            if source is not None and target:
                entries.append(_entry(target, "bind", source, options))
        for number, (path, content) in enumerate(self.scripts.items()):
            name = f"{container.short_id}-script-{number}"
            source = self._write(name, content, 0o755, 0, 0, stack)
            entries.append(_entry(path, "bind", source, ["rbind", "ro"]))
        entries.sort(key=lambda entry: entry["destination"].count("/"))
        given = {entry["destination"] for entry in entries}
        kept = [entry for entry in container.spec["mounts"] if entry["destination"] not in given]
        container.spec["mounts"] = [*kept, *entries]

    def _bind(self, mount: Mount, name: str, stack: ExitStack) -> str:
        lab = self.containers.lab
        if mount.origin:
            held = stack.enter_context(root.step_container(self.containers, self.documents(mount.origin)))
            stack.callback(root.uninterrupted, lambda: lab.call(inside.unmount, name))
            found: list[str] = []
            there = mount.source or "/"
            root.uninterrupted(lambda: found.append(lab.call(inside.mount_root, root.request(held), name, there)))
            return found[0]
        sources = self._from_context(mount)
        stack.callback(sources.close)
        held = stack.enter_context(root.step_container(self.containers, root.scratch()))
        transfer(lab, sources, held, "/context" + ("/" if sources.items[0]["kind"] == "file" else ""))
        inner = "/" + str(sources.items[0]["name"]) if sources.items[0]["kind"] == "file" else ""
        return f"{held.root}/context{inner}"

    def _cache(self, mount: Mount, name: str, stack: ExitStack) -> str:
        if mount.origin or mount.source:
            raise InvalidArgument("RUN --mount=type=cache: a cache that begins with files of a stage is not supported")
        lab = self.containers.lab
        place = _caches(lab)
        for directory in (place.parent, place):
            directory.mkdir(mode=0o711, exist_ok=True)
        own(lab, place)
        identity = hashlib.sha256((mount.id or self._target(mount)).encode()).hexdigest()[:24]
        path = stack.enter_context(_held(place.parent, identity, mount.sharing))
        mode = 0o755 if mount.mode is None else mount.mode
        lab.call(inside.make_cache, str(place / path), mode, mount.uid or 0, mount.gid or 0)
        return str(place / path)

    def _file(self, mount: Mount, name: str, stack: ExitStack) -> str | None:
        secret = self._secret(mount)
        if secret is None or not self._target(mount):
            return None
        mode = 0o400 if mount.mode is None else mount.mode
        return self._write(name, secret, mode, mount.uid or 0, mount.gid or 0, stack)

    def _write(self, name: str, content: bytes, mode: int, uid: int, gid: int, stack: ExitStack) -> str:
        lab = self.containers.lab
        stack.callback(root.uninterrupted, lambda: lab.call(inside.remove_file, name))
        made: list[str] = []
        fd = handle.memfd(content)
        try:
            root.uninterrupted(lambda: made.append(lab.call(inside.write_file, name, mode, uid, gid, fds=[fd])))
        finally:
            os.close(fd)
        return made[0]


def _caches(lab: Handle) -> Path:
    """Where the cache mounts of labs with the same ids are kept."""
    return lab.home.images / "mounts" / lab.idmap.key


def prune(lab: Handle) -> int:
    """Remove what cache mounts hold, but for those that a build is using; bytes of their files."""
    size = 0
    for path in sorted(_caches(lab).glob("*")):
        try:
            with _held(path.parent.parent, path.name, "pruned"):
                size += lab.call(inside.remove_cache, str(path))
        except BlockingIOError:
            continue
    return size


def _entry(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


class _held(AbstractContextManager[str]):
    """A cache's directory by name, held against other builds as `sharing` says: `private` takes another one instead.

    For "pruned" raises `BlockingIOError` when a build is using it.
    """

    def __init__(self, place: Path, identity: str, sharing: str) -> None:
        self._place, self._identity, self._sharing = place, identity, sharing

    def __enter__(self) -> str:
        name, turn = self._identity, 0
        while True:
            lock = str(self._place / f"{name}.lock")
            try:
                how = fcntl.LOCK_SH if self._sharing == "shared" else fcntl.LOCK_EX
                self._fd = locks.hold(lock, how | (0 if self._sharing in ("shared", "locked") else fcntl.LOCK_NB))
                return name
            except BlockingIOError:
                if self._sharing == "pruned":
                    raise
                turn += 1
                name = f"{self._identity}-{turn}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
