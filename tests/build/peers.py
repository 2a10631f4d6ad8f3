"""The same Dockerfile built by us and by Docker: what is compared of the two."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

#: What a container has of its own, whatever its image.
OWN = ("dev", "proc", "sys", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")
#: Bytes of a file that are compared as they are; of longer ones the digests are.
LONGEST = 64
#: What both say of an image.
FIELDS = (
    "Env", "Cmd", "Entrypoint", "ExposedPorts", "Volumes", "WorkingDir", "Labels", "OnBuild", "Healthcheck", "Shell",
    "StopSignal", "User",
)  # fmt: skip


def tree(archive: bytes) -> dict[str, tuple[Any, ...]]:
    """What a root filesystem holds: by path its type, mode, owner, and content or where it leads."""
    found: dict[str, tuple[Any, ...]] = {}
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = os.path.normpath(member.name)
            if name == "." or any(f"{name}/".startswith(f"{own}/") for own in OWN):
                continue
            content: Any = None
            if member.isfile():
                file = tar.extractfile(member)
                assert file is not None
                content = contents[name] = file.read()
            elif member.issym():
                content = member.linkname
            elif member.islnk():
                content = contents[name] = contents[os.path.normpath(member.linkname)]
            kind = "file" if member.islnk() or member.isfile() else member.type
            mode = 0o777 if member.issym() else member.mode & 0o7777
            if isinstance(content, bytes) and len(content) > LONGEST:
                content = hashlib.sha256(content).hexdigest()
            found[name] = (kind, oct(mode), member.uid, member.gid, content)
    return found


def ours(lab: Any, image: Any, place: Path) -> dict[str, tuple[Any, ...]]:
    """The tree of an image of ours."""
    container = lab.containers.create(image, ["x"])
    try:
        container.export(place)
        return tree(place.read_bytes())
    finally:
        container.remove()
        place.unlink(missing_ok=True)


def theirs(docker: Any, image: str) -> dict[str, tuple[Any, ...]]:
    """The tree of an image of Docker's."""
    container = docker.docker("create", image, "x").strip()
    try:
        return tree(docker.run("export", container).stdout)
    finally:
        docker.docker("rm", container)


def fields(config: dict[str, Any]) -> dict[str, Any]:
    """What is compared of a config: nothing and empty are the same."""
    found = {name: config.get(name) for name in FIELDS}
    return {name: value for name, value in found.items() if value}
