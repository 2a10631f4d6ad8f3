"""Containers, images and volumes as rows of tables: the words and the keys are Docker's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbcontainer.container import connection
from nbcontainer.network import ports
from nbcontainer.view import words
from nbcontainer.view.tables import Column

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.volumes import Volume
    from nbcontainer.image.images import Image
    from nbcontainer.network.network import Network

#: As many letters of a command as `docker ps` shows.
COMMAND_WIDTH = 20
#: As many of a layer's history as `docker history` shows.
CREATED_BY_WIDTH = 45


def ellipsis(text: str, width: int) -> str:
    """At most `width` letters, the last an ellipsis where some were left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


def status_text(container: Container) -> str:
    """`Up 5 minutes (healthy)`, `Exited (137) Less than a minute ago`, `Created`."""
    state = container.state
    if state.running:
        up = f"Up {words.duration(words.since(state.started_at))}"
        if state.status == "paused":
            return f"{up} (Paused)"
        if state.health in ("", "none"):
            return up
        return f"{up} ({'health: ' if state.health == 'starting' else ''}{state.health})"
    if state.status == "created":
        return "Created"
    if state.status == "removing":
        return "Removal In Progress"
    how = "Restarting" if state.status == "restarting" else "Exited"
    return f"{how} ({state.exit_code}) {words.ago(words.since(state.finished_at))}"


def command_text(container: Container) -> str:
    """What it runs, in one line."""
    return " ".join(container.spec["process"]["args"])


def short_image(container: Container) -> str:
    """The image by the name it was asked for, without the tag everybody means."""
    return str(container.options.image)


CONTAINER_COLUMNS = (
    Column("ID", "CONTAINER ID", "code"),
    Column("Image", "IMAGE"),
    Column("Command", "COMMAND", "code"),
    Column("RunningFor", "CREATED"),
    Column("Status", "STATUS", "state"),
    Column("Ports", "PORTS"),
    Column("Names", "NAMES"),
)


def container_row(container: Container, trunc: bool, sized: bool = False) -> dict[str, Any]:
    """One container as `docker ps` has it; its size is measured only when it is `sized`."""
    command = command_text(container)
    labels = container.labels
    return {
        "Command": json.dumps(ellipsis(command, COMMAND_WIDTH) if trunc else command, ensure_ascii=False),
        "CreatedAt": docker_time(container.created),
        "ID": container.short_id if trunc else container.id,
        "Image": short_image(container),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "Names": container.name,
        "Networks": ",".join(container.attachments) or container.options.network,
        "Ports": ports_text(container),
        "RunningFor": words.ago(words.since(container.created)),
        "Size": size_text(container) if sized else "0B",
        "State": container.status,
        "Status": status_text(container),
    }


def size_text(container: Container) -> str:
    """`0B (virtual 4.2MB)`: what it has written, and with its image. Takes a walk over its files."""
    written = container.size
    return f"{words.size(written)} (virtual {words.size(written + container.image.size)})"


def ports_text(container: Container) -> str:
    """`127.0.0.1:8080->80/tcp, 443/tcp`: nothing while it does not run."""
    if not container.state.running or not (container.endpoints or container.options.publish):
        return ""
    published = container.owner.publisher.bindings(container.id)
    return ports.column(ports.mapping(published, connection.open_ports(container)))


def docker_time(moment: str) -> str:
    """`2025-01-31 12:00:00 +0000 UTC`, as Docker's CreatedAt."""
    return words.rfc3339(moment).strftime("%Y-%m-%d %H:%M:%S %z UTC")


IMAGE_COLUMNS = (
    Column("Repository", "REPOSITORY"),
    Column("Tag", "TAG"),
    Column("ID", "IMAGE ID", "code"),
    Column("CreatedSince", "CREATED"),
    Column("Size", "SIZE", "number"),
)


IMAGE_COLUMNS_WITH_DIGESTS = (*IMAGE_COLUMNS[:2], Column("Digest", "DIGEST", "code"), *IMAGE_COLUMNS[2:])
NONE = "<none>"


def image_rows(image: Image, trunc: bool, digests: bool = False) -> list[dict[str, Any]]:
    """One image as `docker images` has it: a row for each of its tags, and one for a repository that it has by
    digest alone. With `digests`, a tag has a row for each digest of its repository."""
    by_repository: dict[str, list[str]] = {}
    for name in image.digests:
        repository, _, digest = name.partition("@")
        by_repository.setdefault(repository, []).append(digest)
    names = [tag.rpartition(":")[::2] for tag in image.tags]
    names += [(repository, NONE) for repository in by_repository if repository not in dict(names)]
    rows = []
    for repository, tag in names or [(NONE, NONE)]:
        for digest in by_repository.get(repository, [NONE])[: None if digests else 1]:
            rows.append(
                {
                    "Repository": repository,
                    "Tag": tag,
                    "Digest": digest,
                    "ID": image.short_id if trunc else image.id,
                    "CreatedAt": docker_time(image.created) if image.created else "",
                    "CreatedSince": created_since(image.created),
                    "Size": words.size(image.size),
                }
            )
    return rows


def created_since(moment: str) -> str:
    """When an image was made; nothing is said of one without a time, or with the epoch in its place."""
    if not moment or words.rfc3339(moment).timestamp() <= 0:
        return "N/A"
    return words.ago(words.since(moment))


HISTORY_COLUMNS = (
    Column("ID", "IMAGE", "code"),
    Column("CreatedSince", "CREATED"),
    Column("CreatedBy", "CREATED BY", "code"),
    Column("Size", "SIZE", "number"),
    Column("Comment", "COMMENT"),
)


def history_rows(image: Image, trunc: bool, human: bool = True) -> list[dict[str, Any]]:
    """How an image came about, newest first. Only the newest step has an id: the image's own."""
    layers = iter([layer for layer in image.layers if layer.diff_id])
    rows = []
    for entry in image.history:
        size = 0 if entry.get("empty_layer") else getattr(next(layers, None), "size", 0)
        created_by = entry.get("created_by", "")
        rows.append(
            {
                "ID": "<missing>",
                "CreatedAt": entry.get("created", ""),
                "CreatedSince": created_since(entry.get("created", "")),
                "CreatedBy": ellipsis(created_by, CREATED_BY_WIDTH) if trunc else created_by,
                "Size": words.size(size) if human else str(size),
                "Comment": entry.get("comment", ""),
            }
        )
    if rows:
        rows[-1]["ID"] = image.short_id if trunc else image.id
    return rows[::-1]


SIZE_COLUMN = Column("Size", "SIZE")

VOLUME_COLUMNS = (Column("Driver", "DRIVER"), Column("Name", "VOLUME NAME"))


def volume_row(volume: Volume) -> dict[str, Any]:
    """One volume as `docker volume ls` has it."""
    labels = volume.labels
    return {
        "Driver": "local",
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "Mountpoint": str(volume.path),
        "Name": volume.name,
        "Scope": "local",
    }


NETWORK_COLUMNS = (
    Column("ID", "NETWORK ID", "code"),
    Column("Name", "NAME"),
    Column("Driver", "DRIVER"),
    Column("Scope", "SCOPE"),
)


def network_row(network: Network, trunc: bool) -> dict[str, Any]:
    """One network as `docker network ls` has it."""
    labels = network.labels
    return {
        "CreatedAt": docker_time(network.created),
        "Driver": network.driver,
        "ID": network.short_id if trunc else network.id,
        "IPv4": "true",
        "IPv6": "true" if network.ipv6 else "false",
        "Internal": "true" if network.internal else "false",
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "Name": network.name,
        "Scope": network.scope,
    }
