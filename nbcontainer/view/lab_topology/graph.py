"""The graph: nodes, edges, and what is known of each. Plain data; the same lab gives the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Node:
    """Something in the lab. `kind` is lab, bridge, container, netns, device, machine or remote; `state` is a word for
    how it is ("" where nothing can be said); `facts` are pairs of what and value."""

    id: str
    kind: str
    label: str
    note: str = ""
    state: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Edge:
    """A connection from `a` to `b`. `kind` is link, own (a bridge or device of a namespace), port, tunnel or shared.

    `meter` names the host's link whose traffic is this edge's.
    """

    id: str
    a: str
    b: str
    kind: str
    label: str = ""
    up: bool = True
    meter: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass
class Graph:
    """Nodes and edges by id, in the order in which they are drawn and listed."""

    title: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[str, Edge] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For a page."""
        return {
            "title": self.title,
            "nodes": [asdict(node) for node in self.nodes.values()],
            "edges": [asdict(edge) for edge in self.edges.values()],
        }

    def neighbours(self) -> Mapping[str, list[tuple[str, Edge]]]:
        """What each node is connected to."""
        found: dict[str, list[tuple[str, Edge]]] = {name: [] for name in self.nodes}
        for edge in self.edges.values():
            found[edge.a].append((edge.b, edge))
            found[edge.b].append((edge.a, edge))
        return found


def difference(before: Graph, after: Graph) -> dict[str, Any] | None:
    """What a page must do to show `after` instead of `before`; None when that is nothing."""
    put = [
        *({"node": asdict(node)} for name, node in after.nodes.items() if before.nodes.get(name) != node),
        *({"edge": asdict(edge)} for name, edge in after.edges.items() if before.edges.get(name) != edge),
    ]
    drop = [
        *(name for name in before.edges if name not in after.edges),
        *(name for name in before.nodes if name not in after.nodes),
    ]
    return {"put": put, "drop": drop} if put or drop else None
