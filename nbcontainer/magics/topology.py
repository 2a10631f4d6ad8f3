"""The tree of `%topology`, and `%%topology`: networks of hosts, switches and routers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbcontainer.errors import UsageError
from nbcontainer.magics.call import Call, one_or_all
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.topology import shapes
from nbcontainer.topology.graph import Topology
from nbcontainer.topology.quality import PARSERS
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.topology.network import TopologyNetwork
    from nbcontainer.topology.results import Flow, Flows, Path, Reach

#: Seconds that a throughput is measured for, unless told otherwise.
SECONDS = 1


def bring_up(call: Call) -> TopologyNetwork:
    """Make what the cell describes, or a shape."""
    name = call.get("name")
    if call.cell is not None:
        if call.arguments:
            raise UsageError("a cell describes the whole topology: write the shape in it, as 'shape: tree 2 2'")
        topology = Topology.yaml(call.cell, name)
    elif call.arguments:
        link = {key: call.values[key] for key in PARSERS if key in call.values}
        topology = Topology.shape(" ".join(call.arguments), name=name, **link)
    else:
        raise UsageError(f"which shape? There are {', '.join(shapes.usages())}; or a cell: %%topology")
    return call.show(call.lab.topologies.up(topology))


def overview(call: Call) -> object:
    """A cell is brought up; a line shows what is up."""
    return bring_up(call) if call.cell is not None else ls(call)


COLUMNS = (
    Column("Name", "NAME"),
    Column("Hosts", "HOSTS", "number"),
    Column("Switches", "SWITCHES", "number"),
    Column("Routers", "ROUTERS", "number"),
    Column("Links", "LINKS", "number"),
)


def ls(call: Call) -> Table:
    """Those that are up."""
    rows = tuple(
        {
            "Name": up.name,
            "Hosts": len(up.topology.hosts),
            "Switches": len(up.topology.switches),
            "Routers": len(up.topology.routers),
            "Links": len(up.topology.links),
        }
        for up in call.lab.topologies.list()
    )
    return call.show_table(Table("Topologies", COLUMNS, rows))


def chosen(call: Call) -> TopologyNetwork:
    """The one that was named, or the only one."""
    return call.lab.topologies.get(call.get("name"))


def show(call: Call) -> TopologyNetwork:
    """Its figure."""
    return call.show(call.lab.topologies.get(call.arguments[0] if call.arguments else None))


def ping(call: Call) -> Reach:
    """Everybody pings everybody, or those that are named each other."""
    names = call.arguments or None
    if names is not None and len(names) < 2:
        raise UsageError(f"whom does {names[0]} ping? Name two nodes or more, or none for all hosts")
    return call.show(chosen(call).pingall(names, count=call.get("count", 1)))


def iperf(call: Call) -> Flow | Flows:
    """What TCP carries from the first to the second; of more, between each two of them."""
    seconds, network = call.get("time", SECONDS), chosen(call)
    if len(call.arguments) > 2:
        return call.show(network.flows(call.arguments, seconds=seconds))
    return call.show(network.iperf(*call.arguments, seconds=seconds))


def trace(call: Call) -> Path:
    """The way from the first to the second."""
    return call.show(chosen(call).trace(*call.arguments))


def link(call: Call) -> None:
    """Mininet's `link s1 s2 down`."""
    a, b, state = call.arguments
    if state not in ("up", "down"):
        raise UsageError(f"a link is up or down, not {state}")
    network = chosen(call)
    (network.mend if state == "up" else network.cut)(a, b)


def down(call: Call) -> object:
    """Take the only one down, those that are named, or all."""
    topologies = call.lab.topologies
    names = call.arguments or ([up.name for up in topologies.list()] if call.get("all") else [topologies.get().name])
    return one_or_all(call.each(names, lambda name: _down(call, name)))


def _down(call: Call, name: str) -> TopologyNetwork:
    network = call.lab.topologies.get(name)
    network.down()
    return network


NAME = Option("name", "n", "string", "Which topology, when several are up", completes="topology")
TWO = (Argument("FROM", completes="node"), Argument("TO", completes="node"))

TOPOLOGY = Command(
    "%topology",
    "Make and measure networks of hosts, switches and routers",
    commands=(
        Command(
            "up", "Make a shape (line, ring, star, tree, mesh), or what the cell describes",
            (
                Option("name", "n", "string", "What to call it"),
                Option("rate", "", "string", "The rate of every link, such as 10mbit"),
                Option("delay", "", "string", "The delay of every link and direction, such as 5ms"),
                Option("jitter", "", "string", "How much the delay varies, such as 1ms"),
                Option("loss", "", "string", "How much every link loses, such as 1%"),
            ),
            (Argument("SHAPE", required=False, completes="shape"), Argument("SIZE", required=False, repeats=True)),
            action=bring_up, cell="the topology, as YAML",
        ),
        Command("ls", "List the topologies that are up", aliases=("list",), action=ls),
        Command(
            "show", "Show a topology as a figure", (),
            (Argument("TOPOLOGY", required=False, completes="topology"),), action=show,
        ),
        Command(
            "ping", "Ping from every host to every other, or between those that are named",
            (NAME, Option("count", "c", "int", "Pings of each pair", default="1")),
            (Argument("NODE", required=False, repeats=True, completes="node"),), aliases=("pingall",), action=ping,
        ),
        Command(
            "iperf", "Measure what TCP carries from the first host to the last, or between those that are named",
            (NAME, Option("time", "t", "int", "For how many seconds", default=str(SECONDS))),
            (Argument("NODE", required=False, repeats=True, completes="node"),), action=iperf,
        ),
        Command("trace", "Show the way from one host to another, through routers and switches", (NAME,), TWO,
                action=trace),
        Command(
            "link", "Take the links between two nodes down, or bring them up again", (NAME,),
            (Argument("A", completes="node"), Argument("B", completes="node"), Argument("up|down", completes="updown")),
            action=link,
        ),
        Command(
            "down", "Take topologies away", (Option("all", "a", help="All of them"),),
            (Argument("TOPOLOGY", required=False, repeats=True, completes="topology"),), action=down,
        ),
    ),
    action=overview, cell="the topology, as YAML",
)  # fmt: skip
