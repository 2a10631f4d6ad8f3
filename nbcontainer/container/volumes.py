"""Volumes: directories of a lab that outlive containers and, in a lab with a name, the notebook's process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbcontainer.container.names import NAME
from nbcontainer.container.state import now, write
from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.lab import files
from nbcontainer.lab.directory import make
from nbcontainer.lab.handle import Handle


@dataclass(frozen=True)
class Volume:
    """One volume. `path` is its directory, which containers have mounted."""

    name: str
    path: Path
    created: str
    labels: Mapping[str, str]
    anonymous: bool = False

    def inspect(self) -> dict[str, Any]:
        """Docker's JSON."""
        return {
            "CreatedAt": self.created,
            "Driver": "local",
            "Labels": dict(self.labels) or None,
            "Mountpoint": str(self.path),
            "Name": self.name,
            "Options": None,
            "Scope": "local",
        }

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"


class Volumes:
    """The volumes of a lab. `users` names the containers that use one."""

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self.directory = lab.directory / "volumes"
        self.users: Callable[[str], Sequence[str]] = lambda name: ()
        self._anonymous = 0

    def create(self, name: str | None = None, labels: Mapping[str, str] | None = None) -> Volume:
        """Make a volume, or give back the one that has this name. Raises `InvalidArgument`."""
        anonymous = name is None
        if name is None:
            self._anonymous += 1
            name = hashlib.sha256(f"{self.lab.seed}/volume/{self._anonymous}".encode()).hexdigest()
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                f'create {name}: "{name}" includes invalid characters for a local volume name, '
                'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
                "If you intended to pass a host directory, use absolute path"
            )
        if not (self.directory / name).is_dir():
            path = self.directory / name / "_data"
            for directory in (self.directory, path.parent, path):
                if not directory.is_dir():
                    make(directory, 0o755)
            own(self.lab, path)
            record = {"created": now(), "labels": dict(labels or {}), "anonymous": anonymous}
            write(self.directory / name / "volume.json", record)
        return self.get(name)

    def get(self, name: str) -> Volume:
        """The volume `name`. Raises `NotFound`."""
        try:
            record = json.loads((self.directory / name / "volume.json").read_text())
        except (OSError, ValueError):
            raise NotFound(f"get {name}: no such volume") from None
        path = self.directory / name / "_data"
        return Volume(name, path, record["created"], record["labels"], record["anonymous"])

    def list(self) -> list[Volume]:
        """Every volume, by name."""
        if not self.directory.is_dir():
            return []
        return [self.get(name) for name in sorted(os.listdir(self.directory))]

    def remove(self, name: str, force: bool = False) -> None:
        """Remove a volume and what it holds. Raises `NotFound` (not with `force`), `Conflict` when it is used."""
        try:
            volume = self.get(name)
        except NotFound:
            if force:
                return
            raise
        users = self.users(name)
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        self.lab.call(files.remove_tree, str(volume.path))
        shutil.rmtree(self.directory / name, ignore_errors=True)

    def prune(self, everything: bool = False) -> Iterable[str]:
        """Remove the anonymous volumes nobody uses (with `everything`, the named ones too); their names."""
        removed = []
        for volume in self.list():
            if (volume.anonymous or everything) and not self.users(volume.name):
                self.remove(volume.name)
                removed.append(volume.name)
        return removed


def own(lab: Handle, path: Path | str) -> None:
    """Give `path`, made by this process, to the lab's root."""
    if os.geteuid() == 0:
        os.chown(path, lab.idmap.uid_outside(0) or 0, lab.idmap.gid_outside(0) or 0)
