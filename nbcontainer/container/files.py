"""A container's files from outside: what it changed, copies in and out, archives, an OCI bundle."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nbcontainer.container import changes, rootfs, spec
from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.image import contents, host
from nbcontainer.image.overlay import Overlay
from nbcontainer.image.stack import Entry, Layer, Stack

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def _request(container: Container) -> dict[str, Any]:
    return {"overlays": container.overlays, "driver": container.owner.driver}


def _pidfds(container: Container) -> list[int]:
    return [container.entry.pidfd] if container.entry is not None else []


def written(container: Container) -> list[dict[str, Any]]:
    """Where what it wrote lies, for `Images.commit_layer`: its overlays, and what each of them lies on."""
    return [
        {"prefix": one["prefix"], "lowers": [rootfs.init_layer(one["prefix"]), *one["lowers"]], "upper": one["upper"]}
        for one in container.overlays
    ]


def diff(container: Container) -> list[tuple[str, str]]:
    """`(kind, path)` for all that changed below the root, sorted by path; kind is A, C or D."""
    return [(kind, path) for kind, path in container.lab.call(changes.compare, _request(container))]


def layers(container: Container) -> Stack:
    """The layers of its image, and on top of them its own, which is writable."""
    below = container.image.layers
    image, images = container.image, container.owner.images
    if container.owner.driver == "overlay":
        counted = container.lab.call(contents.count, [one["upper"] for one in container.overlays])
    else:
        counted = container.lab.call(contents.count_changes, container.root, diff(container))

    def find(path: str) -> Sequence[str]:
        if container.owner.driver == "overlay":
            uppers = tuple(Overlay(one["prefix"], (one["upper"],)) for one in container.overlays)
            return images.where(image, path, host.places(uppers, path))
        changed = any(kind != "D" and where == path for kind, where in diff(container))
        return [*images.where(image, path), "seen" if changed else ""]

    command = " ".join(container.spec["process"]["args"])
    own = Layer("", counted["size"], command, "writable", lambda: counted, lambda: _listing(container))
    return Stack(container.name, [*below, own], find)


def _listing(container: Container) -> list[Entry]:
    return [Entry(*one) for one in container.lab.call(changes.listing, _request(container))]


def copy_out(container: Container, path: str) -> bytes:
    """`path` as a tar archive with one top entry. Raises `NotFound`."""
    with _packed(container, path, contents=path.endswith("/.")) as (file, _):
        return file.read()


class _packed:
    """`path` of a container, packed into an unnamed file; with the name of its top entry."""

    def __init__(self, container: Container, path: str, contents: bool) -> None:
        self.file = cast(BinaryIO, os.fdopen(os.memfd_create("archive", os.MFD_CLOEXEC), "w+b"))
        try:
            self.name = container.lab.call(
                changes.pack,
                _request(container),
                posixpath.join("/", path),
                contents,
                fds=[self.file.fileno(), *_pidfds(container)],
            )
        except OSError:
            self.file.close()
            raise NotFound(f"Could not find the file {path} in container {container.name}") from None
        self.file.seek(0)

    def __enter__(self) -> tuple[BinaryIO, str]:
        return self.file, self.name

    def __exit__(self, *_: object) -> None:
        self.file.close()


def copy_in(container: Container, archive: bytes, path: str) -> None:
    """Unpack a tar archive below the directory `path`. Raises `NotFound`, `InvalidArgument`."""
    fd = os.memfd_create("archive", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(archive)
        os.lseek(fd, 0, os.SEEK_SET)
        container.lab.call(
            changes.unpack, _request(container), posixpath.join("/", path), fds=[fd, *_pidfds(container)]
        )
    except FileNotFoundError:
        raise NotFound(f"Could not find the file {path} in container {container.name}") from None
    except OSError as error:
        raise InvalidArgument(f"cannot copy to {path} in container {container.name}: {error.strerror}") from None
    finally:
        os.close(fd)


def copy_to_machine(container: Container, source: str, target: Path) -> None:
    """`docker cp CONTAINER:source target`, with the same rules for directories and trailing slashes."""
    contents = source.endswith("/.")
    with _packed(container, source, contents) as (file, name), tarfile.open(fileobj=file) as tar:
        directory = tar.getmember(name).isdir()
        if target.is_dir():
            parent, renamed = (target, ".") if contents else (target, name)
        elif target.exists() and directory:
            raise InvalidArgument(f"cannot copy directory {source} to file {target}")
        elif not target.parent.is_dir():
            raise NotFound(f"invalid output path: directory {str(target.parent)!r} does not exist")
        else:
            parent, renamed = target.parent, target.name
        tar.extraction_filter = _as_it_is
        for member in tar:
            rest = member.name[len(name) :] if name != "." else "/" + member.name.removeprefix("./").removeprefix(".")
            member.name = posixpath.normpath(renamed + rest)
            if member.islnk():
                member.linkname = posixpath.normpath(renamed + member.linkname[len(name) :])
            if member.isdev():
                continue
            # Owners of the lab mean nothing here, and nobody asked for set-id programs.
            member.uid, member.gid, member.mode = os.geteuid(), os.getegid(), member.mode & 0o777
            tar.extract(member, parent, numeric_owner=True)


def copy_from_machine(container: Container, source: Path, target: str, contents: bool) -> None:
    """`docker cp source CONTAINER:target`; `contents` when the source was written with a trailing `/.`."""
    if not source.exists():
        raise NotFound(f"lstat {source}: no such file or directory")
    place = container.lab.call(
        changes.kind, _request(container), posixpath.join("/", target), fds=[0, *_pidfds(container)]
    )
    if place == "file" and source.is_dir():
        raise InvalidArgument(f"cannot copy directory {source} to file {target}")
    if place == "directory":
        parent, name = target, "." if contents and source.is_dir() else source.resolve().name
    elif target.endswith("/") and not source.is_dir():
        raise NotFound(f"Could not find the directory {target} in container {container.name}")
    else:
        parent, name = posixpath.split(posixpath.join("/", target.rstrip("/")))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(source, name, filter=_as_root)
    copy_in(container, archive.getvalue(), parent)


def _as_it_is(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    # The archive is one that we have just written: no name in it leads through a link.
    return member


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # docker cp gives the container's root what comes from outside; ids of the machine mean nothing there.
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def export(container: Container, target: Path) -> None:
    """The root as a tar archive, as `docker export` writes it."""
    with target.open("wb") as file:
        container.lab.call(changes.pack_root, _request(container), fds=[file.fileno()])


def export_bundle(container: Container, target: Path) -> None:
    """An OCI bundle in the directory `target`: config.json and rootfs/, for `runc run -b target`."""
    import json

    if target.exists() and any(target.iterdir()):
        raise Conflict(f"{target} is not empty: a bundle needs a directory of its own")
    (target / "rootfs").mkdir(parents=True)
    archive = target / "rootfs.tar"
    try:
        export(container, archive)
        with tarfile.open(archive) as tar:
            tar.extraction_filter = _as_it_is
            # As root the owners are kept; an ordinary user owns what they unpack. Device files are in neither.
            tar.extractall(target / "rootfs", numeric_owner=True)
    finally:
        archive.unlink(missing_ok=True)
    (target / "config.json").write_text(json.dumps(spec.for_bundle(container.spec), indent=2))
