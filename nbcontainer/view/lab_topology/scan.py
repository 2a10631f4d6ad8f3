"""From the kernel and the lab's own books to the graph: links and addresses by netlink, containers, ports, names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbcontainer.errors import NbcontainerError
from nbcontainer.network import links
from nbcontainer.network.links import Link
from nbcontainer.network.netlink import Netlink
from nbcontainer.view.lab_topology.graph import Edge, Graph, Node
from nbcontainer.view.objects import limits_text
from nbcontainer.view.rows import short_image, status_text

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.runtime import Lab

HOST = "lab"
#: What a namespace has by itself, and nobody draws.
NOT_SHOWN = ("lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0")


@dataclass
class Place:
    """A network namespace: its node, its links, and a netlink socket in it."""

    node: str
    netlink: Netlink
    fd: int = -1
    links: dict[int, Link] = field(default_factory=dict)


class Scan:
    """Keeps a netlink socket in the host's namespace and in each named one, and reads them again when asked."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._host = Place(HOST, Netlink(lab.netns.opener.netlink()))
        self._named: dict[str, Place] = {}

    def close(self) -> None:
        """Give up the sockets."""
        self._host.netlink.close()
        for name in list(self._named):
            self._forget(name)

    def _forget(self, name: str) -> None:
        place = self._named.pop(name)
        place.netlink.close()
        os.close(place.fd)

    @property
    def named(self) -> list[str]:
        """The namespaces with a name, as of the last `graph`."""
        return list(self._named)

    def traffic(self) -> dict[str, tuple[int, int]]:
        """Bytes received and sent on each link of the host."""
        return {link.name: link.traffic for link in links.read(self._host.netlink).values()}

    def graph(self) -> Graph:
        """The lab as it is now."""
        self._read()
        lab = self.lab
        graph = Graph(f"Lab {lab.name or lab.id}")
        containers = [c for c in reversed(lab.containers.list()) if c.state.running]
        _put(graph, Node(HOST, "lab", lab.name or "lab", facts=_host_facts(self._host)))
        for place in [self._host, *self._named.values()]:
            self._bridges(graph, place)
        for container in containers:
            _put(graph, _container(container))
        for name, place in self._named.items():
            addresses = tuple(("Address", f"{a} on {link.name}") for link in _shown(place) for a in link.addresses)
            note = next((a for link in _shown(place) for a in link.addresses), "")
            _put(graph, Node(f"netns:{name}", "netns", name, note, "", (("Network namespace", name), *addresses)))
        self._pairs(graph, containers)
        for place in [self._host, *self._named.values()]:
            self._devices(graph, place)
        for container in containers:
            _shared(graph, container, containers)
            _ports(graph, container)
        return graph

    def _read(self) -> None:
        names = self.lab.netns.names()
        for gone in [name for name in self._named if name not in names]:
            self._forget(gone)
        for name in names:
            known = self._named.get(name)
            try:
                if known is not None and os.fstat(known.fd).st_ino != self.lab.netns.inode(name):
                    self._forget(name)  # deleted, and made anew by the same name
                if name not in self._named:
                    fd = self.lab.netns.open(name)
                    netlink = Netlink(self.lab.netns.opener.netlink(netns=fd))
                    self._named[name] = Place(f"netns:{name}", netlink, fd)
            except (NbcontainerError, OSError):
                continue  # gone meanwhile
        self._named = {name: self._named[name] for name in sorted(self._named)}
        for place in [self._host, *self._named.values()]:
            try:
                place.links = dict(sorted(links.read(place.netlink).items()))
            except OSError:
                place.links = {}

    def _bridges(self, graph: Graph, place: Place) -> None:
        networks = {network.bridge: network for network in self.lab.networks.list() if network.bridge_index}
        for link in place.links.values():
            if link.kind != "bridge":
                continue
            name = _of_link(place, link)
            network = networks.get(link.name) if place is self._host else None
            facts = [("Bridge", link.name), *(("Address", address) for address in link.addresses), ("MAC", link.mac)]
            if network is not None:
                facts.insert(1, ("Network", network.name))
            note = link.addresses[0] if link.addresses else ""
            _put(graph, Node(name, "bridge", link.name, note, "" if link.up else "down", tuple(facts)))
            _join(graph, Edge(f"own:{name}", place.node, name, "own", up=link.up))

    # -- veth pairs

    def _pairs(self, graph: Graph, containers: list[Container]) -> None:
        ends = [(place, link) for place in [self._host, *self._named.values()] for link in place.links.values()]
        veths = [(place, link) for place, link in ends if link.kind == "veth"]
        done: set[tuple[str, int]] = set()
        by_veth = {e.veth: (c, e) for c in containers for e in c.endpoints.values()}
        for place, link in veths:
            if (place.node, link.index) in done:
                continue
            done.add((place.node, link.index))
            near = _attached_to(place, link)
            known = by_veth.get(link.name) if place is self._host else None
            if known is not None:
                container, endpoint = known
                label = f"{endpoint.link} {endpoint.ip}/{endpoint.prefixlen}"
                facts = (
                    ("In the lab", link.name), ("In the container", endpoint.link), ("Address", endpoint.ip),
                    ("MAC", endpoint.mac), ("MTU", str(link.mtu)),
                )  # fmt: skip
                edge = Edge(
                    f"veth:{link.name}", near, f"container:{container.id}", "link", label, link.up, link.name, facts
                )
                _join(graph, edge)
                continue
            far = self._other_end(place, link, veths, containers)
            if far is None:
                continue
            other, end = far
            if end is not None and isinstance(other, Place):
                done.add((other.node, end.index))
            to = _attached_to(other, end) if isinstance(other, Place) and end is not None else str(other)
            if to == near and isinstance(other, Place) and other is place:
                continue  # both ends on one bridge, or on none
            said = " ── ".join(_end_text(one) for one in (link, end) if one is not None)
            said_of_ends = tuple(
                fact for one in (link, end) if one is not None
                for fact in (("End", one.name), *(("Address", a) for a in one.addresses), ("MAC", one.mac))
            )  # fmt: skip
            up = link.up and (end is None or end.up)
            meter = link.name if place is self._host else ""
            _join(graph, Edge(f"veth:{place.node}:{link.name}", near, to, "link", said, up, meter, said_of_ends))

    def _other_end(
        self, place: Place, link: Link, veths: list[tuple[Place, Link]], containers: list[Container]
    ) -> tuple[Place | str, Link | None] | None:
        if link.peer_netns is None:
            end = place.links.get(link.peer)
            return (place, end) if end is not None else None
        fits = [
            (other, end) for other, end in veths
            if other is not place and end.index == link.peer and end.peer == link.index and end.peer_netns is not None
        ]  # fmt: skip
        for other, end in fits:
            if self._calls(place, other) == link.peer_netns:
                return other, end
        for container in containers:
            process = container.process
            if process is None:
                continue
            try:
                found = place.netlink.netns_id_of_process(process.outside_pid())
            except OSError:
                continue  # it has just ended
            if found == link.peer_netns:
                return f"container:{container.id}", None
        return None

    def _calls(self, place: Place, other: Place) -> int | None:
        """By which number `place` calls the namespace of `other`."""
        fd = other.fd if other.fd >= 0 else self.lab.netns.opener.netns()
        try:
            return place.netlink.netns_id(fd)
        except OSError:
            return None
        finally:
            if other.fd < 0:
                os.close(fd)

    # -- other links

    def _devices(self, graph: Graph, place: Place) -> None:
        for link in place.links.values():
            if link.kind in ("bridge", "veth") or link.name in NOT_SHOWN:
                continue
            name, near = _of_link(place, link), _attached_to(place, link)
            what = f"{link.kind or 'link'}{f' {link.tag}' if link.tag is not None else ''}"
            facts = (("Link", link.name), ("Kind", what), *(("Address", a) for a in link.addresses), ("MAC", link.mac))
            note = link.addresses[0] if link.addresses else what
            _put(graph, Node(name, "device", link.name, note, "" if link.up else "down", facts))
            _join(graph, Edge(f"own:{name}", near, name, "own", up=link.up))
            if link.remote:
                remote = f"remote:{link.remote}"
                _put(graph, Node(remote, "remote", link.remote, "", "", (("Remote", link.remote),)))
                meter = link.name if place is self._host else ""
                _join(graph, Edge(f"tunnel:{name}", name, remote, "tunnel", what, link.up, meter, facts))


def _put(graph: Graph, node: Node) -> None:
    graph.nodes.setdefault(node.id, node)


def _join(graph: Graph, edge: Edge) -> None:
    if edge.a in graph.nodes and edge.b in graph.nodes:
        graph.edges[edge.id] = edge


def _of_link(place: Place, link: Link) -> str:
    return f"link:{place.node}:{link.name}"


def _attached_to(place: Place, link: Link) -> str:
    """The node on this side of a link: the bridge it is a port of, else its namespace."""
    master = place.links.get(link.master)
    return _of_link(place, master) if master is not None and master.kind == "bridge" else place.node


def _end_text(link: Link) -> str:
    return " ".join([link.name, *link.addresses[:1]])


def _shown(place: Place) -> list[Link]:
    return [link for link in place.links.values() if link.name not in NOT_SHOWN]


def _host_facts(place: Place) -> tuple[tuple[str, str], ...]:
    addresses = tuple(("Address", f"{address} on {link.name}") for link in _shown(place) for address in link.addresses)
    return (("Links", str(len(_shown(place)))), *addresses)


def _container(container: Container) -> Node:
    addresses = tuple(("Address", f"{e.ip}/{e.prefixlen} on {e.network}") for e in container.endpoints.values())
    limits = limits_text(container.options)
    facts = [("Container", container.short_id), ("Image", short_image(container)), ("Status", status_text(container))]
    facts += [*addresses, *([("Limits", limits)] if limits else [])]
    note = container.endpoint.ip if container.endpoint is not None else ""
    return Node(f"container:{container.id}", "container", container.name, note, container.status, tuple(facts))


def _shared(graph: Graph, container: Container, containers: list[Container]) -> None:
    network = container.options.network
    to = HOST if network == "host" else ""
    if network.startswith("container:"):
        wanted = network.partition(":")[2]
        to = next((f"container:{c.id}" for c in containers if wanted == c.name or c.id.startswith(wanted)), "")
    if to:
        name = f"container:{container.id}"
        _join(graph, Edge(f"shared:{container.id}", to, name, "shared", "same network namespace"))


def _ports(graph: Graph, container: Container) -> None:
    bindings = container.owner.publisher.bindings(container.id)
    if not bindings:
        return
    _put(graph, Node("machine", "machine", "this machine", facts=(("What", "the machine that the lab is on"),)))
    said = [f"{binding.address} → {binding.key}" for binding in bindings]
    facts = tuple(("Port", text) for text in said)
    name = f"container:{container.id}"
    _join(graph, Edge(f"port:{container.id}", "machine", name, "port", ", ".join(said), facts=facts))
