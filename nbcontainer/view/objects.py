"""Containers, images, volumes and the lab as cards: what a notebook shows when one is a cell's last value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbcontainer.view import html, words
from nbcontainer.view.rows import command_text, short_image, status_text

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.image.images import Image

Fact = tuple[str, str, bool]


def container_html(container: Container) -> str:
    """A container: what it runs, from what, where it can be reached and what holds it."""
    facts: list[Fact] = [
        ("Command", command_text(container), True),
        ("Image", short_image(container), True),
    ]
    if container.endpoint is not None:
        facts.append(("Address", f"{container.endpoint.ip} on {container.endpoint.network}", True))
    facts += _limits(container)
    if container.labels:
        facts.append(("Labels", ", ".join(f"{key}={value}" for key, value in container.labels.items()), True))
    return html.card(container.name, status_text(container), container.short_id, facts)


def _limits(container: Container) -> list[Fact]:
    options = container.options
    said = []
    if options.memory:
        said.append(f"{words.binary_size(options.memory)} memory")
    if options.cpus:
        said.append(f"{float(options.cpus):g} CPUs")
    if options.pids_limit and options.pids_limit > 0:
        said.append(f"{options.pids_limit} pids")
    return [("Limits", ", ".join(said), False)] if said else []


def image_html(image: Image) -> str:
    """An image: its names, its size, its layers and what it runs."""
    config = image.config
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    facts: list[Fact] = [
        ("Platform", f"{image.os}/{image.architecture}", False),
        ("Size", words.size(image.size), False),
        ("Layers", str(len(image.layers)), False),
        ("Command", " ".join(command) or "none", True),
    ]
    if len(image.tags) > 1:
        facts.insert(0, ("Tags", ", ".join(image.tags), True))
    return html.card(image.tags[0] if image.tags else "untagged", "", image.short_id, facts)


def volume_html(volume: Any) -> str:
    """A volume: where it is, and its labels."""
    facts: list[Fact] = [("Driver", "local", False), ("Mountpoint", str(volume.mountpoint), True)]
    if volume.labels:
        facts.append(("Labels", ", ".join(f"{key}={value}" for key, value in volume.labels.items()), True))
    return html.card(volume.name, "", "volume", facts)


def facts_html(title: str, aside: str, facts: list[tuple[str, str]]) -> str:
    """Any list of facts, such as the lab's."""
    return html.card(title, "", aside, [(what, value, False) for what, value in facts])
