"""The shapes that networks are made in, with Mininet's names: s1, s2… are switches, r1… routers, h1… hosts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from nbcontainer.errors import InvalidArgument

#: More nodes are a slip of the finger.
MOST = 20_000
DEEPEST = 100


@dataclass
class Shape:
    """Nodes as (name, kind), links as pairs of names."""

    name: str
    nodes: list[tuple[str, Literal["host", "switch", "router"]]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)

    def add_core(self, number: int, routers: bool) -> str:
        """Another switch, or router."""
        name = f"{'r' if routers else 's'}{number}"
        self.nodes.append((name, "router" if routers else "switch"))
        return name

    def add_hosts(self, first: int, count: int, core: str) -> None:
        """`count` hosts, each linked to `core`."""
        for number in range(first, first + count):
            self.nodes.append((f"h{number}", "host"))
            self.links.append((f"h{number}", core))


def line(n: int, hosts: int = 1, routers: bool = False) -> Shape:
    """`n` in a row."""
    shape, cores = _cores("line", n, hosts, routers, least=1)
    shape.links += pairwise(cores)
    return shape


def ring(n: int, hosts: int = 1, routers: bool = False) -> Shape:
    """`n` in a circle."""
    shape, cores = _cores("ring", n, hosts, routers, least=3)
    shape.links += zip(cores, [*cores[1:], cores[0]], strict=True)
    return shape


def mesh(n: int, hosts: int = 1, routers: bool = False) -> Shape:
    """Each linked to every other."""
    shape, cores = _cores("mesh", n, hosts, routers, least=2, links=n * n // 2)
    shape.links += [(a, b) for at, a in enumerate(cores) for b in cores[at + 1 :]]
    return shape


def star(n: int) -> Shape:
    """One switch with `n` hosts."""
    shape, _ = _cores("star", 1, _count("star", "hosts", n, 1), False, least=1)
    return shape


def tree(depth: int, fanout: int = 2) -> Shape:
    """Switches `depth` deep, each with `fanout` below it; numbered as they are met going down first."""
    _count("tree", "depth", depth, 1)
    _count("tree", "fanout", fanout, 1)
    _bound("tree", MOST + 1 if depth > DEEPEST else fanout**depth)
    shape = Shape("tree")
    counted = {"s": 0, "h": 0}

    def grow(levels: int) -> str:
        kind = "s" if levels else "h"
        counted[kind] += 1
        name = f"{kind}{counted[kind]}"
        shape.nodes.append((name, "switch" if levels else "host"))
        if levels:
            for _ in range(fanout):
                shape.links.append((name, grow(levels - 1)))
        return name

    grow(depth)
    return shape


def _cores(what: str, n: int, hosts: int, routers: bool, *, least: int, links: int = 0) -> tuple[Shape, list[str]]:
    _count(what, "size", n, least)
    _count(what, "hosts", hosts, 0)
    _bound(what, n + n * hosts + links)
    shape = Shape(what)
    cores = [shape.add_core(number, routers) for number in range(1, n + 1)]
    for at, core in enumerate(cores):
        shape.add_hosts(1 + at * hosts, hosts, core)
    return shape, cores


def _count(what: str, name: str, value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgument(f"invalid {name} {value!r} of a {what}: a whole number, at least {least}")
    return value


def _bound(what: str, number: int) -> None:
    if number > MOST:
        raise InvalidArgument(f"a {what} of that size has more than {MOST} nodes and links")


SHAPES: dict[str, tuple[Callable[..., Shape], tuple[str, ...]]] = {
    "line": (line, ("SIZE", "[HOSTS]", "[routers]")),
    "ring": (ring, ("SIZE", "[HOSTS]", "[routers]")),
    "star": (star, ("HOSTS",)),
    "tree": (tree, ("DEPTH", "[FANOUT]")),
    "mesh": (mesh, ("SIZE", "[HOSTS]", "[routers]")),
}


def parse(text: str) -> Shape:
    """`tree 3 4`, `tree,3,4` or `tree(3, 4)`. Raises `InvalidArgument`."""
    name, *words = re.split(r"[\s,()]+", text.strip(" ,()"))
    if name not in SHAPES:
        raise InvalidArgument(f"invalid shape {text!r}: there are {', '.join(usages())}")
    make, arguments = SHAPES[name]
    routers = "[routers]" in arguments and words[-1:] == ["routers"]
    if routers:
        words.pop()
    least = sum(not argument.startswith("[") for argument in arguments)
    most = len(arguments) - ("[routers]" in arguments)
    if not least <= len(words) <= most or not all(re.fullmatch(r"\d{1,6}", word) for word in words):
        raise InvalidArgument(f"invalid shape {text!r}: it is {name} {' '.join(arguments)}")
    numbers = [int(word) for word in words]
    return make(*numbers, **({"routers": True} if routers else {}))


def usages() -> list[str]:
    """Each shape as it is typed."""
    return [f"{name} {' '.join(arguments)}" for name, (_, arguments) in SHAPES.items()]
