"""The graph as text: a tree from the lab's host, the same letters each time."""

from __future__ import annotations

from nbcontainer.view.lab_topology.graph import Edge, Graph

ORDER = ("lab", "bridge", "container", "netns", "device", "remote", "machine")


def graph_text(graph: Graph) -> str:
    """Each node once, below what it is connected to; connections that the tree leaves out follow it."""
    neighbours = graph.neighbours()
    seen: set[str] = set()
    used: set[str] = set()
    lines: list[str] = []

    def walk(name: str, edge: Edge | None, indent: str, branch: str) -> None:
        seen.add(name)
        lines.append(f"{indent}{branch}{_said(graph, name, edge)}")
        below = []
        for other, through in neighbours[name]:
            if through.kind != "port" and other not in seen and other not in below:
                below.append(other)
        # A node that is deeper in the tree of an earlier one is listed there.
        deeper = indent + {"├── ": "│   ", "└── ": "    "}.get(branch, "")
        waiting = [other for other in below if other not in seen]
        for number, other in enumerate(waiting):
            if other in seen:
                continue
            through = next(edge for far, edge in neighbours[name] if far == other and edge.id not in used)
            used.add(through.id)
            last = all(later in seen for later in waiting[number + 1 :])
            walk(other, through, deeper, "└── " if last else "├── ")

    for kind in ORDER:
        for name, node in graph.nodes.items():
            if node.kind == kind and name not in seen and kind != "machine":
                walk(name, None, "", "")
    rest = [edge for edge in graph.edges.values() if edge.id not in used and edge.kind not in ("port", "own")]
    lines += [f"{graph.nodes[edge.a].label} ── {graph.nodes[edge.b].label}  {_edge(edge)}".rstrip() for edge in rest]
    return "\n".join(lines)


def _said(graph: Graph, name: str, edge: Edge | None) -> str:
    node = graph.nodes[name]
    words = [node.label]
    if node.kind in ("netns", "container", "remote"):
        words.append({"netns": "(netns)", "container": "(container)", "remote": "(remote)"}[node.kind])
    if edge is not None and edge.kind in ("link", "tunnel", "shared"):
        words.append(_edge(edge))
    if node.note and (edge is None or node.note not in _edge(edge)):
        words.append(node.note)
    if node.state in ("paused", "down"):
        words.append(node.state)
    ports = [port.label for port in graph.edges.values() if port.kind == "port" and port.b == name]
    return "  ".join(filter(None, [*words, ", ".join(ports)]))


def _edge(edge: Edge) -> str:
    return f"{edge.label}{'' if edge.up else ' down'}".strip()
