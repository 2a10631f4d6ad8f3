"""A network as it is meant: hosts, switches, routers, and the links between them. Nothing here touches the kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.topology import shapes
from nbcontainer.topology.quality import PERFECT, Quality

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab
    from nbcontainer.topology.network import TopologyNetwork

Kind = Literal["host", "switch", "router"]

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
#: IFNAMSIZ less the NUL: the name of a link, such as a switch's port s1-eth1.
LINK_NAME = 15
#: A bridge of Linux has so many ports (net/bridge/br_private.h, BR_MAX_PORTS, less port 0).
PORTS = 1023


@dataclass(frozen=True)
class Node:
    """A host, a switch or a router.

    `ip` is the address of a host's first link, with its prefix length; without it the plan gives one. With `image` a
    host is a container, which runs `command`; else it is a bare network namespace. `stp` is the spanning tree
    protocol of a switch: None is on where the switches form a loop.
    """

    name: str
    kind: Kind
    ip: IPv4Interface | None = None
    image: str | None = None
    command: tuple[str, ...] = ()
    stp: bool | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Link:
    """A cable between two nodes, by their names."""

    a: str
    b: str
    quality: Quality = PERFECT

    @property
    def ends(self) -> tuple[str, str]:
        """Both names."""
        return (self.a, self.b)

    def __str__(self) -> str:
        return f"{self.a} -- {self.b}"


class Topology:
    """Hosts, switches, routers and links, in the order in which they were added.

    >>> net = Topology("office")
    >>> s1 = net.switch("s1")
    >>> net.link(net.host("h1"), s1)
    >>> net.link(net.host("h2"), s1, rate="10mbit")

    `with net as up:` makes all of it in the lab, and takes it down at the end.
    """

    def __init__(self, name: str = "topology") -> None:
        _check_name("a topology", name)
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.links: list[Link] = []
        self._degrees: dict[str, int] = {}
        self._up: list[TopologyNetwork] = []

    # -- describe

    def host(
        self, name: str, *, ip: str | None = None, image: str | None = None, command: str | Sequence[str] = ()
    ) -> Node:
        """Add a host: a bare network namespace, or with `image` a container. Raises `InvalidArgument`, `Conflict`."""
        if command and not image:
            raise InvalidArgument(f"host {name} has a command but no image: only a container runs one")
        words = tuple(command.split()) if isinstance(command, str) else tuple(command)
        return self._add(Node(name, "host", ip=_interface(name, ip), image=image, command=words))

    def switch(self, name: str, *, stp: bool | None = None) -> Node:
        """Add a switch: a Linux bridge on the lab's host. Raises `InvalidArgument`, `Conflict`."""
        if len(name) > LINK_NAME - len("-eth1"):
            raise InvalidArgument(
                f"the name of switch {name} is too long: {name}-eth1, a port of it, has at most 15 letters"
            )
        return self._add(Node(name, "switch", stp=stp))

    def router(self, name: str) -> Node:
        """Add a router: a network namespace that forwards. Raises `InvalidArgument`, `Conflict`."""
        return self._add(Node(name, "router"))

    def _add(self, node: Node) -> Node:
        _check_name(f"a {node.kind}", node.name)
        if node.name in self.nodes:
            raise Conflict(f"there is a {self.nodes[node.name].kind} {node.name} already")
        self.nodes[node.name] = node
        return node

    def link(
        self,
        a: Node | str,
        b: Node | str,
        *,
        rate: str | None = None,
        delay: str | None = None,
        jitter: str | None = None,
        loss: str | None = None,
    ) -> Link:
        """Add a link; what it is like holds for each direction. Raises `InvalidArgument`, `NotFound`."""
        quality = Quality.parse({"rate": rate, "delay": delay, "jitter": jitter, "loss": loss})
        return self.add_link(Link(str(a), str(b), quality))

    def add_link(self, link: Link) -> Link:
        """Add a link that there is already as an object."""
        if link.a == link.b:
            raise InvalidArgument(f"link {link}: a node has no link to itself")
        for name in link.ends:
            ports = self.degree(self.node(name).name) + 1
            if self.nodes[name].kind == "switch":
                if ports > PORTS:
                    raise InvalidArgument(f"switch {name} has too many links: a Linux bridge has at most {PORTS} ports")
                if len(f"{name}-eth{ports}") > LINK_NAME:
                    raise InvalidArgument(
                        f"the name of switch {name} is too long for port {name}-eth{ports}: at most 15 letters"
                    )
        for name in link.ends:
            self._degrees[name] = self._degrees.get(name, 0) + 1
        self.links.append(link)
        return link

    # -- look

    def node(self, name: str) -> Node:
        """The node of this name. Raises `NotFound`."""
        if name not in self.nodes:
            raise NotFound(f"no node {name} in {self.name}: a host, switch or router of that name is not there")
        return self.nodes[name]

    def degree(self, name: str) -> int:
        """How many links a node has."""
        return self._degrees.get(name, 0)

    def of_kind(self, *kinds: Kind) -> list[Node]:
        """The nodes of these kinds, in order."""
        return [node for node in self.nodes.values() if node.kind in kinds]

    @property
    def hosts(self) -> list[str]:
        """The names of the hosts."""
        return [node.name for node in self.of_kind("host")]

    @property
    def switches(self) -> list[str]:
        """The names of the switches."""
        return [node.name for node in self.of_kind("switch")]

    @property
    def routers(self) -> list[str]:
        """The names of the routers."""
        return [node.name for node in self.of_kind("router")]

    def __repr__(self) -> str:
        counts = [(len(self.hosts), "host"), (len(self.switches), "switch"), (len(self.routers), "router")]
        said = [f"{n} {_plural(word, n)}" for n, word in (*counts, (len(self.links), "link")) if n]
        return f"<Topology {self.name}: {', '.join(said) or 'empty'}>"

    # -- shapes

    @classmethod
    def line(cls, n: int, *, hosts: int = 1, routers: bool = False, **link: str) -> Self:
        """`n` switches (or routers) in a row, each with `hosts` hosts; `link` is what every link is like."""
        return cls._shaped(shapes.line(n, hosts, routers), link)

    @classmethod
    def ring(cls, n: int, *, hosts: int = 1, routers: bool = False, **link: str) -> Self:
        """`n` switches (or routers) in a circle, each with `hosts` hosts."""
        return cls._shaped(shapes.ring(n, hosts, routers), link)

    @classmethod
    def star(cls, n: int, **link: str) -> Self:
        """One switch with `n` hosts."""
        return cls._shaped(shapes.star(n), link)

    @classmethod
    def tree(cls, depth: int, fanout: int = 2, **link: str) -> Self:
        """Switches `depth` deep, each with `fanout` below it; those at the bottom have hosts."""
        return cls._shaped(shapes.tree(depth, fanout), link)

    @classmethod
    def mesh(cls, n: int, *, hosts: int = 1, routers: bool = False, **link: str) -> Self:
        """`n` switches (or routers), each linked to every other, each with `hosts` hosts."""
        return cls._shaped(shapes.mesh(n, hosts, routers), link)

    @classmethod
    def _shaped(cls, shape: shapes.Shape, link: dict[str, str], name: str | None = None) -> Self:
        made = cls(name or shape.name)
        quality = Quality.parse(link)
        for name, kind in shape.nodes:
            made._add(Node(name, kind))
        for a, b in shape.links:
            made.add_link(Link(a, b, quality))
        return made

    @classmethod
    def shape(cls, text: str, *, name: str | None = None, **link: str) -> Self:
        """From a line: `tree 3 4`, `tree,3,4` or `tree(3, 4)`; `ring 4 routers`. Raises `InvalidArgument`."""
        return cls._shaped(shapes.parse(text), link, name)

    @classmethod
    def yaml(cls, text: str, name: str | None = None) -> Topology:
        """From a YAML document (`document.read`), which may say its name itself. Raises `InvalidArgument`."""
        from nbcontainer.topology import document

        return document.read(text, name)

    # -- in the lab

    def up(self, lab: Lab | None = None) -> TopologyNetwork:
        """Make it, in `lab` or this process's lab; `down()` of the result takes it away.

        Raises `Conflict` where a name is taken, `Unavailable` for a link that this kernel cannot make.
        """
        if lab is None:
            from nbcontainer.runtime import current_lab  # a script that names no lab has one all the same

            lab = current_lab()
        return lab.topologies.up(self)

    def __enter__(self) -> TopologyNetwork:
        network = self.up()
        self._up.append(network)
        return network

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._up.pop().down()


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}es" if word == "switch" else f"{word}s"


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > 63:
        raise InvalidArgument(f"invalid name {name!r} for {what}: letters, digits, '_', '.' and '-', at most 63")


def _interface(name: str, ip: str | None) -> IPv4Interface | None:
    if ip is None:
        return None
    try:
        found = IPv4Interface(ip)
    except ValueError:
        raise InvalidArgument(f"invalid ip {ip!r} of host {name}: such as 192.168.1.5/24") from None
    if "/" not in ip:
        raise InvalidArgument(f"invalid ip {ip!r} of host {name}: it needs a prefix length, such as {ip}/24")
    if found.ip in (found.network.network_address, found.network.broadcast_address) and found.network.prefixlen < 31:
        raise InvalidArgument(f"invalid ip {ip!r} of host {name}: it is the network's own")
    return found
