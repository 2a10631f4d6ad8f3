"""A container's places on networks: given out when it starts, changed while it runs, given back when it has ended."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from nbcontainer.container.network_options import Attachment
from nbcontainer.errors import Conflict, InvalidArgument, LabGone, StartFailed
from nbcontainer.lab.files import overwrite
from nbcontainer.network import ports, resolve, wire
from nbcontainer.network.endpoint import Endpoint
from nbcontainer.network.names import Names
from nbcontainer.network.ports import Asked

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def allocate(container: Container) -> None:
    """Addresses on every network that it is to be on. Raises `NotFound`, `Conflict`, `InvalidArgument`."""
    for attachment in container.attachments.values():
        _allocate(container, attachment)


def _allocate(container: Container, attachment: Attachment) -> Endpoint:
    networks = container.owner.networks
    routed = next((e for e in container.endpoints.values() if e.routed), None)
    used = {endpoint.interface for endpoint in container.endpoints.values()}
    endpoint = networks.allocate(
        container.id,
        container.name,
        attachment.network,
        ip=attachment.ip,
        ip6=attachment.ip6,
        mac=attachment.mac,
        aliases=(*attachment.aliases, container.short_id, container.spec.get("hostname", "")),
        interface=next(number for number in range(len(used) + 1) if number not in used),
        routed=routed is None,
        counted=container.counted,
    )
    container.endpoints[endpoint.network] = endpoint
    return endpoint


def wire_up(container: Container, netns: int, netlink: socket.socket) -> None:
    """Make its links, in a namespace that it alone has; then what answers to names, and its published ports.

    Raises `StartFailed`, `Conflict` where a port is taken.
    """
    for endpoint in container.endpoints.values():
        try:
            container.owner.networks.wire(endpoint, netns, netlink)
        except OSError as error:
            raise StartFailed(
                f"setting up the container failed at {error.filename}: {os.strerror(error.errno or 0)}"
            ) from None
    if answers_names(container):
        _serve_names(container, netns)
    publish(container)


def answers_names(container: Container) -> bool:
    """Whether it has the answerer at 127.0.0.11: on a network of the user's it does, as in Docker."""
    return any(network not in ("bridge", "host", "none") for network in container.endpoints)


def _serve_names(container: Container, netns: int) -> None:
    links = dict(_link(text) for attachment in container.attachments.values() for text in attachment.links)
    container.names = Names(container.owner.networks, container.id, links, container.options.dns)
    container.names.serve(netns)


def _link(text: str) -> tuple[str, str]:
    name, _, alias = text.partition(":")
    return alias or name, name


def publish(container: Container) -> None:
    """Publish what was asked for at the container's address, again when that has changed."""
    target = target_of(container)
    asked = asked_ports(container)
    if target is not None and asked:
        container.owner.publisher.publish(container.id, container.name, asked, target.ip)


def asked_ports(container: Container) -> list[Asked]:
    """What is to be published: by `-p`, and by `-P` everything that is exposed."""
    asked = [port for text in container.options.publish for port in ports.parse(text)]
    if container.options.publish_all:
        named = {(port.container_port, port.protocol) for port in asked}
        more = [port for port in _exposed(container) if port not in named and port[1] in ports.PROTOCOLS]
        asked += [Asked(protocol, port, (), 0, 0) for port, protocol in more]
    return asked


def open_ports(container: Container) -> list[tuple[int, str]]:
    """The ports that it is known to listen on: those exposed, and those to be published."""
    return sorted({*_exposed(container), *((port.container_port, port.protocol) for port in asked_ports(container))})


def _exposed(container: Container) -> list[tuple[int, str]]:
    """What the image and `--expose` say."""
    texts = [*(container.image.config.get("ExposedPorts") or {}), *container.options.expose]
    return sorted({port for text in texts for port in ports.exposed(text)})


def target_of(container: Container) -> Endpoint | None:
    """The endpoint that published ports lead to: the routed one. An internal network has none."""
    return next((endpoint for endpoint in container.endpoints.values() if endpoint.routed), None)


def release(container: Container) -> None:
    """It does not run (any more): its addresses, names and ports are free again."""
    names, container.names = container.names, None
    if names is not None:
        names.close()
    container.owner.publisher.withdraw(container.id)
    endpoints, container.endpoints = list(container.endpoints.values()), {}
    for endpoint in endpoints:
        container.owner.networks.release(endpoint)


# -- while it runs


def connect(container: Container, reference: str, **raw: Any) -> None:
    """`network connect`: now, when it runs, and from now on at each start.

    Raises `NotFound`, `Conflict`, `InvalidArgument`.
    """
    network = container.owner.networks.get(reference)
    attachment = Attachment.parse(network.name, **raw)
    _check_connect(container, attachment)
    if container.state.running:
        _connect_running(container, attachment)
    container.attachments[network.name] = attachment
    container.owner.save(container)


def _check_connect(container: Container, attachment: Attachment) -> None:
    mode, name = container.options.network, attachment.network
    if mode.startswith("container:") or mode == "host":
        raise Conflict(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
    if name == "host":
        raise Conflict("container cannot be disconnected from host network or connected to host network")
    if name == "none" or "none" in container.attachments:
        raise Conflict(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if name in container.attachments:
        raise Conflict(f"endpoint with name {container.name} already exists in network {name}")
    if attachment.aliases and name == "bridge":
        raise InvalidArgument("network-scoped alias is supported only for containers in user defined networks")


def _connect_running(container: Container, attachment: Attachment) -> None:
    networks = container.owner.networks
    endpoint = _allocate(container, attachment)
    try:
        netns = _netns(container)
        try:
            with networks.sockets.netlink(netns=netns) as netlink:
                networks.wire(endpoint, netns, netlink)
            if answers_names(container) and container.names is None:
                _serve_names(container, netns)
        finally:
            os.close(netns)
    except OSError as error:
        _forget(container, endpoint)
        raise Conflict(
            f"{container.name} cannot be connected to {endpoint.network}: {error.filename}: "
            f"{os.strerror(error.errno or 0)}"
        ) from None
    except BaseException:
        _forget(container, endpoint)
        raise
    if endpoint.routed:
        publish(container)
    _rewrite(container)


def _netns(container: Container) -> int:
    entry = container.entry
    if entry is None:
        raise Conflict(f"Container {container.id} is not running")
    return container.owner.networks.sockets.netns(entry.pidfd)


def _forget(container: Container, endpoint: Endpoint) -> None:
    container.endpoints.pop(endpoint.network, None)
    container.owner.networks.unwire(endpoint)
    container.owner.networks.release(endpoint)


def disconnect(container: Container, reference: str, force: bool = False) -> None:
    """`network disconnect`. Raises `NotFound`, `Conflict` when it is not on the network."""
    network = container.owner.networks.get(reference)
    if network.name == "host" or container.options.network == "host":
        raise Conflict("container cannot be disconnected from host network or connected to host network")
    if network.name not in container.attachments:
        raise Conflict(f"container {container.name} is not connected to network {network.name}")
    container.attachments.pop(network.name)
    endpoint = container.endpoints.get(network.name)
    if endpoint is not None:
        _forget(container, endpoint)
        if endpoint.routed:
            _route_elsewhere(container)
        _rewrite(container)
    container.owner.save(container)


def _route_elsewhere(container: Container) -> None:
    """The default route went with its link: the next network that leads somewhere takes it over, ports too."""
    networks = container.owner.networks
    next_ = next((endpoint for endpoint in container.endpoints.values() if endpoint.gateway), None)
    container.owner.publisher.withdraw(container.id)
    if next_ is None:
        return
    routed = networks.reroute(next_)
    container.endpoints[routed.network] = routed
    try:
        netns = _netns(container)
        with networks.sockets.netlink(netns=netns) as netlink:
            wire.route(routed.to_json(), netlink)
        os.close(netns)
    except OSError:
        pass  # its link was deleted by hand: the container has none that leads anywhere
    publish(container)


def etc(container: Container) -> dict[str, str]:
    """The texts of its /etc/hosts, /etc/hostname and /etc/resolv.conf."""
    options = container.options
    endpoints = list(container.endpoints.values())
    linked = []
    for attachment in container.attachments.values():
        for text in attachment.links:
            linked += _linked_hosts(container, attachment.network, *_link(text))
    return resolve.files(
        hostname=container.spec.get("hostname", ""),
        domainname=options.domainname,
        ips=[ip for endpoint in endpoints for ip in (endpoint.ip, endpoint.ip6) if ip],
        add_host=[*options.add_host, *linked],
        dns=options.dns,
        search=options.dns_search,
        options=options.dns_option,
        answerer=answers_names(container),
        otherwise=container.owner.networks.uplink.resolver if target_of(container) else None,
    )


def _linked_hosts(container: Container, network: str, alias: str, name: str) -> list[str]:
    """On docker0 a link is a line in /etc/hosts; on other networks the answerer knows it."""
    if network != "bridge":
        return []
    endpoint = container.owner.get(name).endpoints.get(network)
    if endpoint is None:
        raise Conflict(f"Cannot link to a non running container: /{name} AS /{container.name}/{alias}")
    return [f"{alias}={endpoint.ip}"] + ([f"{name}={endpoint.ip}"] if name != alias else [])


def _rewrite(container: Container) -> None:
    """Its networks have changed: so do /etc/hosts and /etc/resolv.conf in it."""
    texts = etc(container)
    entry = container.entry
    for name in ("hosts", "resolv.conf"):
        text = texts[f"/etc/{name}"]
        if entry is not None and text != container.etc.get(f"/etc/{name}"):
            try:
                container.lab.call(overwrite, entry.pid, "etc", name, text)
            except (OSError, LabGone):
                continue  # it has ended, or has made something else of it
    container.etc = texts
