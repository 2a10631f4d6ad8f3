"""The graph as a picture that is saved with the notebook."""

from __future__ import annotations

from nbcontainer.view import svg
from nbcontainer.view.html import escape
from nbcontainer.view.lab_topology.graph import Edge, Graph, Node
from nbcontainer.view.layout import layout

MARGIN, HEAD = 16, 34
BOX_X, BOX_Y = 58, 19
#: What the places of `view.layout` are stretched by, so that names and addresses fit.
STRETCH_X, STRETCH_Y = 1.45, 1.0
COLOURS = {
    "lab": "c7", "bridge": "c0", "container": "c2", "netns": "c3", "device": "c4", "machine": "c7", "remote": "c1",
}  # fmt: skip


def graph_svg(graph: Graph, description: str) -> str:
    """The picture. Dots with names where there are many."""
    placed = layout(list(graph.nodes), [(edge.a, edge.b) for edge in graph.edges.values()])
    across = 1.0 if placed.dots else STRETCH_X
    width = max(240.0, placed.width * across + 2 * MARGIN)
    height = placed.height * STRETCH_Y + HEAD + MARGIN
    at = {
        name: (round(x * across + (width - placed.width * across) / 2, 1), round(y * STRETCH_Y + HEAD, 1))
        for name, (x, y) in placed.places.items()
    }
    parts = [svg.text(MARGIN, 22, graph.title, size=13, bold=True)]
    parts += [_edge(edge, at, placed.dots) for edge in graph.edges.values()]
    draw = _dot if placed.dots else _box
    parts += [draw(node, *at[name]) for name, node in graph.nodes.items()]
    return svg.drawing(width, height, graph.title, description, "".join(parts))


def _edge(edge: Edge, at: dict[str, tuple[float, float]], dots: bool) -> str:
    (x1, y1), (x2, y2) = at[edge.a], at[edge.b]
    dash = {"port": "1 4", "tunnel": "6 4", "shared": "2 3"}.get(edge.kind, "" if edge.up else "4 4")
    dashed = f' stroke-dasharray="{dash}" stroke-linecap="round"' if dash else ""
    line = f'<line class="line" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke-width="1.5"{dashed}>'
    return f"{line}<title>{escape(edge.label)}</title></line>"


def _box(node: Node, x: float, y: float) -> str:
    colour = COLOURS[node.kind]
    rounded = {"bridge": 3, "device": 3, "lab": 12, "machine": 12}.get(node.kind, 9)
    dash = ' stroke-dasharray="4 3"' if node.state in ("paused", "down") else ""
    shape = (
        f'<rect class="shape" x="{x - BOX_X:g}" y="{y - BOX_Y:g}" width="{2 * BOX_X}" height="{2 * BOX_Y}" '
        f'rx="{rounded}" stroke-width="1.5"{dash}/>'
    )
    label = _short(node.label, 15)
    size = 12 if len(label) <= 12 else 10.5
    name = svg.text(x, y - 2 if node.note else y + 4, label, size=size, anchor="middle", bold=True)
    note = svg.text(x, y + 12, _short(node.note, 18), size=10, kind="quiet code", anchor="middle") if node.note else ""
    return f'<g class="{colour}">{_hint(node)}{shape}{name}{note}</g>'


def _dot(node: Node, x: float, y: float) -> str:
    colour = COLOURS[node.kind]
    shape = f'<circle class="fill" cx="{x:g}" cy="{y:g}" r="5"/>'
    name = svg.text(x, y - 9, _short(node.label, 8), size=8, kind="quiet", anchor="middle")
    return f'<g class="{colour}">{_hint(node)}{shape}{name}</g>'


def _hint(node: Node) -> str:
    return f"<title>{escape(f'{node.kind} {node.label} {node.note}'.strip())}</title>"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
