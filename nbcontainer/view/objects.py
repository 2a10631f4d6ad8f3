"""Containers, images, volumes and the lab as cards: what a notebook shows when one is a cell's last value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbcontainer.view import html, words
from nbcontainer.view.html import Fact
from nbcontainer.view.rows import command_text, ports_text, short_image, status_text

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.options import RunOptions
    from nbcontainer.container.volumes import Volume
    from nbcontainer.image.images import Image
    from nbcontainer.network.network import Network
    from nbcontainer.runtime import Lab


def container_html(container: Container) -> str:
    """A container: what it runs, from what, where it can be reached and what holds it."""
    facts = [
        Fact("Command", command_text(container), code=True),
        Fact("Image", short_image(container), code=True),
    ]
    facts += [Fact("Address", f"{endpoint.ip} on {name}", code=True) for name, endpoint in container.endpoints.items()]
    if ports_text(container):
        facts.append(Fact("Ports", ports_text(container), code=True))
    limits = limits_text(container.options)
    if limits:
        facts.append(Fact("Limits", limits))
    facts += _labels(container.labels)
    status, short_id = status_text(container), container.short_id
    return html.card(container.name, facts, status=status, short_id=short_id)


def limits_text(options: RunOptions) -> str:
    """`64MiB memory, 0.5 CPUs`: what it was limited to."""
    said = []
    if options.memory:
        said.append(f"{words.binary_size(options.memory)} memory")
    if options.cpus:
        said.append(f"{options.cpus:g} CPUs")
    if options.pids_limit and options.pids_limit > 0:
        said.append(f"{options.pids_limit} pids")
    return ", ".join(said)


def _labels(labels: Mapping[str, str]) -> list[Fact]:
    if not labels:
        return []
    return [Fact("Labels", ", ".join(f"{key}={labels[key]}" for key in sorted(labels)), code=True)]


def image_html(image: Image) -> str:
    """An image: its names, its size, its layers and what it runs."""
    command = [*(image.config.get("Entrypoint") or []), *(image.config.get("Cmd") or [])]
    facts = [
        Fact("Platform", f"linux/{image.architecture}"),
        Fact("Size", words.size(image.size)),
        Fact("Layers", str(len(image.layers))),
        Fact("Command", " ".join(command) or "none", code=bool(command)),
    ]
    if len(image.tags) > 1:
        facts.insert(0, Fact("Tags", ", ".join(image.tags), code=True))
    return html.card(image.tags[0] if image.tags else "untagged", facts, short_id=image.short_id)


def volume_html(volume: Volume) -> str:
    """A volume: where it is, and its labels."""
    facts = [
        Fact("Driver", "local"),
        Fact("Mountpoint", str(volume.path), code=True),
        *_labels(volume.labels),
    ]
    return html.card(volume.name, facts, aside="volume")


def network_html(network: Network) -> str:
    """A network: where its addresses come from, what it keeps apart, and who is on it."""
    facts = [Fact("Driver", network.driver)]
    for pool in network.pools:
        facts.append(Fact("Subnet", f"{pool.subnet}, gateway {pool.gateway}", code=True))
    if network.pools:
        facts.append(Fact("Bridge", network.bridge, code=True))
    if network.internal:
        facts.append(Fact("Internal", "nothing leads out of it"))
    if not network.icc:
        facts.append(Fact("Containers", "do not reach each other"))
    attached = sorted(network.attached.values(), key=lambda there: there.name)
    if attached:
        facts.append(Fact("On it", ", ".join(f"{there.name} {there.endpoint.ip}" for there in attached), code=True))
    facts += _labels(network.labels)
    return html.card(network.name, facts, aside="network", short_id=network.short_id)


def lab_facts(lab: Lab) -> list[Fact]:
    """What a lab is made of; nothing in it changes from one run to the next on the same machine."""
    ids = "one id" if lab.idmap.single else f"{sum(extent.count for extent in lab.idmap.uids)} ids"
    running, every = len(lab.containers.list()), len(lab.containers.list(all=True))
    return [
        Fact("Namespaces", "user, mount, pid, network, ipc, uts"),
        Fact("Ids", f"{ids}, root inside is {lab.idmap.uid_outside(0)} outside"),
        Fact("Cgroups", lab.cgroups.mode if lab.cgroups.mode != "none" else f"none: {lab.cgroups.why}"),
        Fact("Storage", lab.containers.driver),
        Fact("Network", "docker0, 172.17.0.1/16"),
        Fact("Containers", f"{running} running of {every}"),
    ]


def lab_html(lab: Lab) -> str:
    """The lab as a card."""
    aside = "stays when its kernel ends" if lab.name else "ends with its kernel"
    return html.card(f"Lab {lab.name or lab.id}", lab_facts(lab), aside=aside)


def lab_text(lab: Lab) -> str:
    """The same on a terminal."""
    facts = lab_facts(lab)
    width = max(len(fact.what) for fact in facts) + 2
    lines = [f"  {(fact.what + ':').ljust(width)}{fact.value}" for fact in facts]
    return "\n".join([f"Lab {lab.name or lab.id}", *lines])
