"""The containers of a lab: made, found, listed, removed; what each needs to start is put together here."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.limits import Limits
from nbcontainer.container import names, network_options, rootfs, spec
from nbcontainer.container.attendant import Attendants
from nbcontainer.container.binds import Binds
from nbcontainer.container.container import Container
from nbcontainer.container.execute import Sink
from nbcontainer.container.network_options import Attachment
from nbcontainer.container.options import RunOptions
from nbcontainer.container.spare import Spares
from nbcontainer.container.state import State, now, write
from nbcontainer.container.volumes import Volumes, own
from nbcontainer.errors import CommandFailed, Conflict, InvalidArgument, NotFound
from nbcontainer.image.images import Image, Images
from nbcontainer.lab import files
from nbcontainer.lab.directory import make
from nbcontainer.lab.handle import Handle
from nbcontainer.network.network import Network
from nbcontainer.network.networks import Networks
from nbcontainer.network.publish import Publisher

#: Events kept for `events --since`.
EVENTS = 4096


@dataclass(frozen=True)
class Event:
    """Something that happened to a container."""

    time: str
    action: str
    container_id: str
    attributes: dict[str, str] = field(default_factory=dict)


class Containers:
    """The containers of `lab`."""

    def __init__(self, lab: Handle, images: Images, networks: Networks, volumes: Volumes, cgroups: Cgroups) -> None:
        self.lab = lab
        self.images = images
        self.networks = networks
        self.volumes = volumes
        self.cgroups = cgroups
        self.directory = lab.directory / "containers"
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.binds = Binds(lab, volumes)
        self.spares = Spares(lab)
        self.attendants = Attendants(lab)
        self._watchers: list[Callable[[Event], object]] = []
        self._containers: dict[str, Container] = {}
        self._number = 0
        self._lock = threading.RLock()
        self._driver: str | None = None
        self.publisher = Publisher(lab, networks.publish)
        volumes.users = self._users_of_volume
        networks.users = self._users_of_network
        if not self.directory.is_dir():
            make(self.directory, 0o711)
        self._load()

    # -- make

    def create(self, image: str | Image, command: Sequence[str] = (), *, counted: bool = True, **raw: Any) -> Container:
        """Make a container. Options are those of `docker create`, dashes as underscores, as text or values.

        With `counted` false, as for a step of a build, it makes no difference to the ids, names and pids of others,
        is not listed, tells nobody of its life, and is not kept from one process to the next.

        Raises `InvalidArgument`, `NotFound` (no such image), `Conflict` (the name is taken), `Unavailable`.
        """
        self.lab.check_ours()
        found = image if isinstance(image, Image) else None
        options = RunOptions.parse(found.id if found else str(image), command, **raw)
        found = found or self.images.provide(options.image, options.pull, platform=options.platform)
        with self._lock:
            name = self._free_name(options)
            if counted:
                number = self._number + 1
                container_id = names.container_id(self.lab.seed, number)
                name = name or self._generated_name(number)
            else:
                number = self._number
                container_id = os.urandom(32).hex()
                name = name or f"step_{container_id[:12]}"
            self.cgroups.check(self.limits(options))
            asked = self._attachments(options)
            if options.network.startswith("container:"):
                self.get(options.network.partition(":")[2])
            self._number = number
        overlays = found.overlays()
        built = spec.build(
            options,
            found.config,
            hostname=options.hostname or self._shared_hostname(options) or container_id[:12],
            cgroups_path=f"/nbcontainer/{self.lab.scope}/{container_id}",
        )
        container = Container(self, container_id, name, found, options, built, now())
        container.attachments = asked
        container.counted = counted
        try:
            self._make_directories(container, overlays)
            self.binds.prepare(container)
            self._containers[container_id] = container
            self.save(container)
        except BaseException:
            self._delete_files(container)
            raise
        self.event("create", container)
        return container

    def run(
        self,
        image: str | Image,
        command: Sequence[str] = (),
        *,
        detach: bool = False,
        stdin: bytes | None = None,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
        check: bool = True,
        **raw: Any,
    ) -> Container:
        """Make a container and start it; unless `detach`, see it through to its end.

        `stdin` is fed to it; `stdout` and `stderr` are given its output as it comes. Raises what `create` raises,
        `StartFailed`, and with `check` `CommandFailed` when it ends with something other than 0.
        """
        if stdin is not None:
            raw["interactive"] = True
        container = self.create(image, command, **raw)
        container.attached = not detach
        try:
            watcher = container.start(watch=not detach)
        except BaseException:
            if container.options.rm:
                container.remove()
            raise
        if stdin is not None:
            container.write(stdin)
            container.close_input()
        if watcher is None or container.stdio is None:
            return container
        try:
            exit_code = container.relay(watcher, stdout, stderr)
        except BaseException:
            # Whom its output was for is gone.
            if container.state.running:
                container.kill()
            if container.options.rm:
                container.remove(volumes=True)
            raise
        if container.options.rm:
            container.remove(volumes=True)
        if check and exit_code != 0:
            raise CommandFailed(f"{container.name} exited with {exit_code}{self._why(container)}", exit_code)
        return container

    def _why(self, container: Container) -> str:
        if not container.state.oom_killed:
            return ""
        limit = container.options.memory
        return f": out of memory, limit {limit / (1 << 20):g} MiB" if limit else ": out of memory"

    def _attachments(self, options: RunOptions) -> dict[str, Attachment]:
        """The networks that it is to be on, by name. Raises `NotFound`, `InvalidArgument`."""
        found: dict[str, Attachment] = {}
        for attachment in network_options.attachments(options):
            network = self.networks.get(attachment.network)
            if network.driver in ("host", "null") or network.name in found:
                raise InvalidArgument(
                    "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                )
            for text in attachment.links:
                self.get(text.partition(":")[0])
            found[network.name] = replace(attachment, network=network.name)
        return found

    def _users_of_network(self, network: Network) -> Sequence[str]:
        return [c.name for c in self._containers.values() if network.name in c.attachments]

    def _free_name(self, options: RunOptions) -> str | None:
        if options.name is None:
            return None
        name = names.check(options.name)
        taken = next((c for c in self._containers.values() if c.name == name), None)
        if taken is not None:
            if not options.replace:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{taken.id}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )
            taken.remove(force=True)
        return name

    def _generated_name(self, number: int) -> str:
        base = name = names.generated(self.lab.seed, number)
        again = 0
        while any(c.name == name for c in self._containers.values()):
            again += 1
            name = f"{base}{again}"
        return name

    def _shared_hostname(self, options: RunOptions) -> str | None:
        mode = spec.modes(options)["uts"]
        if mode == "host":
            return self.lab.name or "lab"
        if mode.startswith("container:"):
            return str(self.get(mode.partition(":")[2]).spec.get("hostname", ""))
        return None

    def _make_directories(self, container: Container, overlays: Sequence[Any]) -> None:
        directory = str(container.directory)
        for path in (directory, f"{directory}/upper", f"{directory}/work"):
            make(path, 0o711)
        layered = []
        for number, overlay in enumerate(overlays):
            upper, work = f"{directory}/upper/{number}", f"{directory}/work/{number}"
            for path in (upper, work):
                make(path, 0o755)
                own(self.lab, path)
            layered.append({"prefix": overlay.prefix, "lowers": list(overlay.lowers), "upper": upper, "work": work})
        container.overlays = layered
        if self.driver == "copy":
            self.lab.call(rootfs.copy, layered)

    @property
    def driver(self) -> str:
        """`overlay`, or `copy` where this kernel has no overlayfs in a user namespace."""
        with self._lock:
            return self._driver or self._probe_driver()

    def _probe_driver(self) -> str:
        if self._driver is None:
            self.lab.call(rootfs.make_init_layer)
            probe = self.directory / "probe"
            make(probe, 0o755)
            own(self.lab, probe)
            self.driver_refusal = self.lab.call(rootfs.overlay_works, str(probe))
            shutil.rmtree(probe, ignore_errors=True)
            self._driver = "copy" if self.driver_refusal else "overlay"
        return self._driver

    def limits(self, options: RunOptions) -> Limits:
        """The cgroup limits that `options` ask for."""
        return Limits(**spec.limits(options))

    # -- find

    def get(self, reference: str) -> Container:
        """The container with this name, id or unique beginning of an id. Raises `NotFound`, `Conflict`."""
        wanted = reference.removeprefix("/")
        for container in self._containers.values():
            if wanted in (container.name, container.id):
                return container
        found = [c for c in self._containers.values() if wanted and c.id.startswith(wanted)]
        if len(found) > 1:
            raise Conflict(f"Multiple IDs found with provided prefix: {reference}")
        if not found:
            raise NotFound(f"No such container: {reference}")
        return found[0]

    def list(self, all: bool = False) -> list[Container]:
        """The running ones, or all, newest first."""
        return [c for c in reversed(list(self._containers.values())) if c.counted and (all or c.state.running)]

    def prune(self) -> Sequence[Container]:
        """Remove every container that does not run; those removed."""
        ended = [c for c in self.list(all=True) if c.status in ("created", "exited")]
        for container in ended:
            container.remove()
        return ended

    def watch(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback(event)` for every event from now on; the function returned ends that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def event(self, action: str, container: Container, **attributes: str) -> None:
        """Something happened to `container`."""
        if not container.counted:
            return
        labels = {"image": container.options.image, "name": container.name}
        event = Event(now(), action, container.id, {**labels, **attributes})
        self.events.append(event)
        for watcher in list(self._watchers):
            watcher(event)

    def users_of_image(self, image_id: str) -> Sequence[str]:
        """The short ids of the containers made from an image."""
        return [c.short_id for c in self._containers.values() if c.image.id == image_id]

    def _users_of_volume(self, name: str) -> Sequence[str]:
        return [c.id for c in self._containers.values() if name in c.volumes]

    # -- change

    def rename(self, container: Container, name: str) -> None:
        """Give `container` another name. Raises `Conflict`, `InvalidArgument`."""
        bare = names.check(name)
        with self._lock:
            taken = next((c for c in self._containers.values() if c.name == bare), None)
            if taken is not None:
                raise Conflict(
                    f'Conflict. The container name "/{bare}" is already in use by container "{taken.id}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )
            container.name = bare
        self.networks.renamed(container.id, bare)
        self.save(container)
        self.event("rename", container)

    def forget(self, container: Container, volumes: bool) -> None:
        """`container` is being removed: its files go, and with `volumes` its anonymous volumes."""
        self._containers.pop(container.id, None)
        self._delete_files(container)
        if volumes:
            for name in container.volumes:
                if self.volumes.get(name).anonymous and not self._users_of_volume(name):
                    self.volumes.remove(name)
        self.event("destroy", container)

    def _delete_files(self, container: Container) -> None:
        if not _rmdir_unused(container):
            self.lab.call(files.remove_tree, str(container.directory))
            shutil.rmtree(container.directory, ignore_errors=True)

    # -- keep (labs with a name)

    def save(self, container: Container) -> None:
        """Write down what a later kernel needs to have this container again."""
        if self.lab.name is None or not container.counted:
            return
        record = {
            "number": self._number,
            "id": container.id,
            "name": container.name,
            "image": container.image.id,
            "created": container.created,
            "options": container.options.to_json(),
            "overlays": container.overlays,
            "volumes": container.volumes,
            "bind_sources": container.bind_sources,
            "attachments": [attachment.to_json() for attachment in container.attachments.values()],
            "state": container.state.to_json(),
        }
        write(container.directory / "container.json", record)
        write(container.directory / "config.json", container.spec)

    def _load(self) -> None:
        if self.lab.name is None:
            return
        records = []
        for path in self.directory.iterdir():
            try:
                records.append(json.loads((path / "container.json").read_text()))
            except (OSError, ValueError):
                continue  # a creation that a kill cut short
        for record in sorted(records, key=lambda r: r["created"]):
            try:
                image = self.images.get(record["image"])
            except NotFound:
                continue
            options = RunOptions.from_json(record["options"])
            built = json.loads((self.directory / record["id"] / "config.json").read_text())
            container = Container(self, record["id"], record["name"], image, options, built, record["created"])
            container.overlays = record["overlays"]
            container.volumes = record["volumes"]
            container.bind_sources = record["bind_sources"]
            attachments = [Attachment.from_json(kept) for kept in record["attachments"]]
            container.attachments = {attachment.network: attachment for attachment in attachments}
            container.state = State(**record["state"])
            if container.state.status != "created":
                # It was running when its lab ended: everything in it was killed then.
                container.state.exit_code = container.state.exit_code if container.status == "exited" else 137
                container.state.status, container.state.pid = "exited", 0
            self._containers[container.id] = container
            self._number = max(self._number, record["number"])


def _rmdir_unused(container: Container) -> bool:
    """Remove the directory of a container that wrote nothing; False when there is more in it than that."""
    directory = str(container.directory)
    try:
        for overlay in container.overlays:
            for path in (overlay["upper"], f"{overlay['work']}/work", overlay["work"]):
                os.rmdir(path)
        for path in (f"{directory}/upper", f"{directory}/work", directory):
            os.rmdir(path)
    except OSError:
        return False
    return True
