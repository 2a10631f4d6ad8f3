"""Where the nodes of a graph go in a figure. The same graph gives the same places.

A small tree is drawn from the top; a large one around its middle. Where the graph has loops, those nodes that are on
one stand in a circle, and what hangs on them points outwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Room for a node, in the figure's units.
WIDTH, HEIGHT = 92, 84
#: The same where a figure has so many nodes that they are dots with a name.
DOT = 34
#: More leaves than this do not fit a row.
ROW = 10
#: More nodes than this are dots.
BOXES = 30


@dataclass
class Layout:
    """`places` are the middles of nodes, from 0, 0 at the top left; `dots` says that nodes are small."""

    width: float
    height: float
    dots: bool
    places: dict[str, tuple[float, float]] = field(default_factory=dict)


def layout(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> Layout:
    """Place every node: parts that are not connected stand side by side."""
    made = Layout(0, 0, len(nodes) > BOXES)
    neighbours: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in links:
        if b not in neighbours[a]:
            neighbours[a].append(b)
            neighbours[b].append(a)
    seen: set[str] = set()
    for name in nodes:
        if name not in seen:
            part = _reach(neighbours, name)
            seen |= set(part)
            _add(made, _places(part, neighbours, made.dots))
    return made


def _add(made: Layout, places: dict[str, tuple[float, float]]) -> None:
    """Move a part to the right of those before."""
    room_x, room_y = (DOT, DOT) if made.dots else (WIDTH, HEIGHT)
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    for name, (x, y) in places.items():
        made.places[name] = (round(made.width + x - left + room_x / 2, 1), round(y - top + room_y / 2, 1))
    made.width = round(made.width + max(x for x, _ in places.values()) - left + room_x, 1)
    made.height = max(made.height, round(max(y for _, y in places.values()) - top + room_y, 1))


def _reach(neighbours: dict[str, list[str]], start: str) -> list[str]:
    found = [start]
    for name in found:
        found += [other for other in neighbours[name] if other not in found]
    order = {name: at for at, name in enumerate(neighbours)}
    return sorted(found, key=order.__getitem__)


def _places(part: list[str], neighbours: dict[str, list[str]], dots: bool) -> dict[str, tuple[float, float]]:
    core = _core(part, neighbours)
    if core:
        return _around(_circle(core, neighbours), neighbours, dots)
    middle = _middle(part, neighbours)
    children = _children(middle, None, neighbours)
    if len(part) == 1 or _leaves(middle, children) <= ROW:
        return _rows(middle, children)
    return _around([middle], neighbours, dots)


def _core(part: list[str], neighbours: dict[str, list[str]]) -> list[str]:
    """What is left when leaves are taken away again and again: the nodes of loops, and those between two of them."""
    left = {name: len(neighbours[name]) for name in part}
    leaves = [name for name in part if left[name] <= 1]
    while leaves:
        name = leaves.pop()
        del left[name]
        for other in neighbours[name]:
            if other in left:
                left[other] -= 1
                if left[other] == 1:
                    leaves.append(other)
    return [name for name in part if name in left]


def _circle(core: list[str], neighbours: dict[str, list[str]]) -> list[str]:
    """The core in an order that follows its links."""
    chosen, waiting = [core[0]], list(core[1:])
    while waiting:
        following = next((name for name in neighbours[chosen[-1]] if name in waiting), waiting[0])
        waiting.remove(following)
        chosen.append(following)
    return chosen


def _middle(part: list[str], neighbours: dict[str, list[str]]) -> str:
    """The node from which the farthest is nearest."""
    left, degrees = list(part), {name: len(neighbours[name]) for name in part}
    while len(left) > 2:
        leaves = [name for name in left if degrees[name] <= 1]
        for name in leaves:
            for other in neighbours[name]:
                degrees[other] -= 1
        left = [name for name in left if name not in leaves]
    return left[0]


def _children(
    root: str, parent: str | None, neighbours: dict[str, list[str]], but: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Each node of the tree below `root` and its children; `but` are not of it."""
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, str | None]] = [(root, parent)]
    for name, above in waiting:
        found[name] = [other for other in neighbours[name] if other != above and other not in but]
        waiting += [(other, name) for other in found[name]]
    return found


def _leaves(name: str, children: dict[str, list[str]]) -> int:
    return sum(_leaves(child, children) for child in children[name]) or 1


def _rows(root: str, children: dict[str, list[str]]) -> dict[str, tuple[float, float]]:
    """A tree from the top: leaves side by side, a node in the middle above its children."""
    places: dict[str, tuple[float, float]] = {}
    columns = 0

    def place(name: str, depth: int) -> float:
        nonlocal columns
        if children[name]:
            below = [place(child, depth + 1) for child in children[name]]
            x = (below[0] + below[-1]) / 2
        else:
            x = columns * WIDTH
            columns += 1
        places[name] = (x, depth * HEIGHT)
        return x

    place(root, 0)
    return places


def _around(core: list[str], neighbours: dict[str, list[str]], dots: bool) -> dict[str, tuple[float, float]]:
    """The core in a circle (alone: in the middle), trees outwards, each in a sector as wide as it has leaves."""
    room = DOT if dots else WIDTH
    trees = {name: _children(name, None, neighbours, core) for name in core}
    leaves = {name: _leaves(name, trees[name]) for name in core}
    depth = max(_depth(name, trees[name]) for name in core)
    inner = 0.0 if len(core) == 1 else max(room, len(core) * room / math.tau)
    step = max(room, (sum(leaves.values()) * room / math.tau - inner) / max(1, depth))
    places: dict[str, tuple[float, float]] = {}

    def place(name: str, tree: dict[str, list[str]], level: int, start: float, width: float) -> None:
        angle, radius = start + width / 2, inner + level * step
        places[name] = (radius * math.sin(angle), -radius * math.cos(angle))
        total = _leaves(name, tree)
        for child in tree[name]:
            part = width * _leaves(child, tree) / total
            place(child, tree, level + 1, start, part)
            start += part

    # The first node of the core is at the top.
    at = -math.tau * leaves[core[0]] / sum(leaves.values()) / 2 if len(core) > 1 else 0.0
    for name in core:
        width = math.tau * leaves[name] / sum(leaves.values())
        place(name, trees[name], 0, at, width)
        at += width
    return places


def _depth(name: str, tree: dict[str, list[str]]) -> int:
    return max((1 + _depth(child, tree) for child in tree[name]), default=0)
