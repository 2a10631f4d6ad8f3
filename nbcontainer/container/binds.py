"""What `-v`, `--mount` and `--volumes-from` bring into a container: volumes of the lab, directories of the machine.

A directory of the machine mounted by root keeps its owners: it is id-mapped here (mount_setattr(2),
MOUNT_ATTR_IDMAP) and handed over as a detached mount. An ordinary user's own files are theirs inside anyway.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbcontainer.container.volumes import Volumes
from nbcontainer.errors import InvalidArgument, Unavailable
from nbcontainer.lab.handle import Handle
from nbcontainer.syscalls import mounts

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


class Binds:
    """The bind mounts of the containers of `lab`."""

    def __init__(self, lab: Handle, volumes: Volumes) -> None:
        self.lab = lab
        self.volumes = volumes

    def prepare(self, container: Container) -> None:
        """Give each entry of the spec's `mounts` that names a volume its directory, and check the others.

        The image's VOLUMEs become anonymous volumes. A named volume that is empty is filled, at the first start,
        with what the image has at its place. Raises `InvalidArgument`.
        """
        entries: list[dict[str, Any]] = container.spec["mounts"]
        for reference in container.options.volumes_from:
            self._borrow(container, reference, entries)
        given = {entry["destination"] for entry in entries}
        for path in container.image.config.get("Volumes") or {}:
            if path not in given:
                entries.append({"destination": path, "type": "volume", "source": "", "options": ["rbind"]})
        for index, entry in enumerate(entries):
            if entry["type"] == "volume":
                volume = self.volumes.create(entry["source"] or None)
                if volume.name not in container.volumes:
                    container.volumes.append(volume.name)
                entry["type"], entry["source"] = "bind", str(volume.path)
            elif entry["type"] == "bind":
                self._check_source(entry)
                container.bind_sources[str(index)] = entry["source"]

    def _borrow(self, container: Container, reference: str, entries: list[dict[str, Any]]) -> None:
        name, _, mode = reference.partition(":")
        if mode not in ("", "ro", "rw"):
            raise InvalidArgument(f'invalid mode "{mode}" for --volumes-from {reference}: it is ro or rw')
        other = container.owner.get(name)
        own = {entry["destination"] for entry in entries}
        for entry in other.spec["mounts"]:
            if entry["type"] == "bind" and entry["destination"] not in own:
                options = [*entry["options"], *(["ro"] if mode == "ro" else [])]
                volume = next((v for v in other.volumes if str(self.volumes.get(v).path) == entry["source"]), None)
                if volume is not None:
                    entries.append({**entry, "type": "volume", "source": volume, "options": options})
                else:
                    entries.append({**entry, "options": options})

    @staticmethod
    def _check_source(entry: dict[str, Any]) -> None:
        source = entry["source"]
        if not os.path.exists(source):
            if "create" not in entry["options"]:
                raise InvalidArgument(
                    f'invalid mount config for type "bind": bind source path does not exist: {source}'
                )
            os.makedirs(source)  # as Docker does for -v, not for --mount
        entry["options"] = [option for option in entry["options"] if option != "create"]

    def descriptors(self, container: Container) -> dict[int, int]:
        """Detached, id-mapped mounts of the machine's directories, by index in `mounts`: only where root asks."""
        if os.geteuid() != 0 or self.lab.idmap.single:
            return {}
        found: dict[int, int] = {}
        try:
            for index, source in container.bind_sources.items():
                options = container.spec["mounts"][int(index)]["options"]
                found[int(index)] = self._idmapped(source, "rbind" in options)
        except BaseException:
            for fd in found.values():
                os.close(fd)
            raise
        return found

    def _idmapped(self, source: str, recursive: bool) -> int:
        flags = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC
        fd = mounts.open_tree(source, flags | (mounts.AT_RECURSIVE if recursive else 0))
        userns = os.open(f"/proc/{self.lab.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            mounts.mount_setattr("", mounts.MOUNT_ATTR_IDMAP, dirfd=fd, recursive=recursive, userns_fd=userns)
        except OSError as error:
            os.close(fd)
            raise Unavailable(
                f"cannot map the owners of {source}: {error.strerror}; its file system has no id-mapped mounts: "
                "copy it to one that has (ext4, xfs, btrfs), or use a volume"
            ) from None
        finally:
            os.close(userns)
        return fd
