"""Topologies and what was measured in them: figures, matrices, tables; each also as a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbcontainer.errors import NbcontainerError
from nbcontainer.topology.plan import Plan
from nbcontainer.topology.results import rate_text
from nbcontainer.view import html
from nbcontainer.view.html import escape
from nbcontainer.view.layout import Layout, layout
from nbcontainer.view.tables import Column, Table, align

if TYPE_CHECKING:
    from nbcontainer.topology.graph import Node, Topology
    from nbcontainer.topology.network import TopologyNetwork
    from nbcontainer.topology.results import Flow, Flows, Path, Reach

#: Half of a box.
BOX_X, BOX_Y = 34, 15
DOT_RADIUS = 6


def topology_text(topology: Topology) -> str:
    """Every node with its address and its links, as Mininet's `net`; why not, where no addresses can be given."""
    try:
        plan = Plan.of(topology)
    except NbcontainerError as error:
        return f"{topology.name}: {_counts(topology)}; {error}"
    rows: list[Sequence[str]] = [("NODE", "KIND", "ADDRESS", "LINKS")]
    for name, node in topology.nodes.items():
        addresses = " ".join(map(str, plan.addresses(name)))
        links = " ".join(f"{end.name}:{_far(topology, end.far.node, end.far.name)}" for end in plan.interfaces[name])
        rows.append((name, _kind(node), addresses, links))
    return "\n".join([f"{topology.name}: {_counts(topology)}", align(rows)])


def _far(topology: Topology, node: str, interface: str) -> str:
    return interface if topology.nodes[node].kind == "switch" else f"{node}-{interface}"


def _kind(node: Node) -> str:
    return "container" if node.image else node.kind


def _counts(topology: Topology) -> str:
    return repr(topology).partition(": ")[2].rstrip(">")


def network_text(network: TopologyNetwork) -> str:
    """The same of one that is up, and which of its links pass nothing on."""
    links = network.topology.links
    closed = [f"{links[at]}: {_closed(why)}" for at, why in network.closed_links().items()]
    return "\n".join([topology_text(network.topology), *closed])


def _closed(why: str) -> str:
    return "blocked by the spanning tree" if why == "blocked" else why


def network_html(network: TopologyNetwork) -> str:
    """Its figure: links that pass nothing on are dashed."""
    return topology_html(network.topology, network.closed_links())


def topology_html(topology: Topology, closed: Mapping[int, str] | None = None) -> str:
    """A figure: hosts, switches, routers, their addresses, and what their links are like."""
    try:
        plan = Plan.of(topology)
    except NbcontainerError:
        plan = Plan(topology, {name: [] for name in topology.nodes})
    placed = layout(list(topology.nodes), [link.ends for link in topology.links])
    parts = [
        *_lines(topology, placed, closed or {}),
        *(_node(node, placed, _said(plan, node)) for node in topology.nodes.values()),
    ]
    width, height = max(placed.width, 1), max(placed.height, 1)
    shown = min(1.0, 1100 / width)
    title = escape(f"Topology {topology.name}: {_counts(topology)}")
    return html.framed(
        f'<svg class="nbc-graph" role="img" aria-label="{title}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width * shown:.0f}" height="{height * shown:.0f}">{"".join(parts)}</svg>'
    )


def _said(plan: Plan, node: Node) -> str:
    """What is under a node's name: its address, or of several the last."""
    addresses = plan.addresses(node.name)
    return str(addresses[0].ip) if len(addresses) == 1 else f"{len(addresses)} addresses" if addresses else ""


def _lines(topology: Topology, placed: Layout, closed: Mapping[int, str]) -> list[str]:
    made = []
    for at, link in enumerate(topology.links):
        (x1, y1), (x2, y2) = placed.places[link.a], placed.places[link.b]
        quality = str(link.quality)
        said = ", ".join(filter(None, (quality, _closed(closed.get(at, "")))))
        hint = escape(f"{link}: {said}" if said else str(link))
        kind = f' class="nbc-{closed[at]}"' if at in closed else ""
        made.append(f'<line{kind} x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"><title>{hint}</title></line>')
        if quality and not placed.dots:
            middle = f'x="{(x1 + x2) / 2:g}" y="{(y1 + y2) / 2 + 3:g}"'
            made.append(f'<text class="nbc-note" {middle}>{escape(quality)}</text>')
    return made


def _node(node: Node, placed: Layout, address: str) -> str:
    x, y = placed.places[node.name]
    kind = _kind(node)
    hint = escape(", ".join(filter(None, (f"{kind} {node.name}", address))))
    name = f'<text x="{x:g}" y="{y + (-1 if address else 4):g}">{escape(_short(node.name))}</text>'
    if placed.dots:
        name = f'<text class="nbc-note" x="{x:g}" y="{y - DOT_RADIUS - 2:g}">{escape(_short(node.name))}</text>'
        shape = f'<circle cx="{x:g}" cy="{y:g}" r="{DOT_RADIUS}"/>'
        if kind == "switch":
            side = 2 * DOT_RADIUS
            shape = f'<rect x="{x - DOT_RADIUS:g}" y="{y - DOT_RADIUS:g}" width="{side}" height="{side}"/>'
        address = ""
    else:
        rounded = {"switch": 2, "router": BOX_Y}.get(kind, 7)
        box = f'x="{x - BOX_X:g}" y="{y - BOX_Y:g}" width="{2 * BOX_X}" height="{2 * BOX_Y}" rx="{rounded}"'
        shape = f"<rect {box}/>"
    below = f'<text class="nbc-note" x="{x:g}" y="{y + 10:g}">{escape(address)}</text>' if address else ""
    return f'<g class="nbc-{kind}"><title>{hint}</title>{shape}{name}{below}</g>'


def _short(name: str) -> str:
    return name if len(name) <= 10 else f"{name[:9]}…"


# -- measured


def reach_html(reach: Reach) -> str:
    """The matrix: rows ask, columns are asked."""
    names = reach.hosts
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(a)}</th>{"".join(_cell(reach, a, b) for b in names)}</tr>' for a in names
    )
    caption = f"Who reaches whom by ping: {reach.summary}"
    return html.framed(
        f'<table class="nbc-table nbc-matrix"><caption>{escape(caption)}</caption>'
        f'<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table><p class="nbc-aside">'
        f"{escape(reach.summary)}</p>"
    )


def _cell(reach: Reach, a: str, b: str) -> str:
    text = reach.cell(a, b)
    kind = {"ok": "nbc-yes", "X": "nbc-no", "-": "nbc-self"}.get(text, "nbc-part")
    shown = {"ok": "✓", "X": "✗", "-": ""}.get(text, text)
    words = {"ok": "reached", "X": "lost", "-": ""}.get(text, f"{text} answered")
    label = f' aria-label="{words}"' if words else ""
    return f'<td class="{kind}"{label}>{shown}</td>'


def path_html(path: Path) -> str:
    """The hops as a table."""
    columns = (
        Column("hop", "HOP", "number"),
        Column("node", "NODE"),
        Column("address", "ADDRESS", "code"),
        Column("through", "THROUGH"),
    )
    rows = tuple(dict(zip(("hop", "node", "address", "through"), row, strict=True)) for row in path.rows())
    return Table(f"The way from {path.source} to {path.target}", columns, rows)._repr_html_()


def flow_html(flow: Flow) -> str:
    """A line of a table."""
    return _flows([flow])


def flows_html(flows: Flows) -> str:
    """One line each."""
    return _flows(list(flows))


def _flows(flows: list[Flow]) -> str:
    columns = (Column("from", "FROM"), Column("to", "TO"), Column("rate", "THROUGHPUT", "number"))
    rows = tuple({"from": flow.sender, "to": flow.receiver, "rate": rate_text(flow.rate)} for flow in flows)
    return Table("What TCP carries", columns, rows)._repr_html_()
