"""The tree of `%network`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbcontainer.errors import InvalidArgument
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import rows
from nbcontainer.view.template import Template, go_json

if TYPE_CHECKING:
    from nbcontainer.network.network import Network
    from nbcontainer.network.networks import Event


def create(call: Call) -> Network:
    """Make a network."""
    raw = dict(call.values)
    for key, form in (("opt", "option"), ("aux_address", "auxiliary address")):
        for text in raw.get(key, []):
            if "=" not in text:
                raise InvalidArgument(f"invalid {form}: {text}: it is NAME=VALUE")
    return call.lab.networks.create(call.arguments[0], **raw)


TRUE = ("1", "true")


def _dangling(call: Call) -> formats.Test:
    networks = call.lab.networks

    def test(network: Network, wanted: str) -> bool:
        unused = not network.predefined and not network.attached and not networks.users(network)
        return unused == (wanted in TRUE)

    return test


def ls(call: Call) -> object:
    """Networks, by name."""
    tests: dict[str, formats.Test] = {
        "dangling": _dangling(call),
        "driver": lambda network, driver: network.driver == driver,
        "id": lambda network, start: network.id.startswith(start),
        "label": lambda network, wanted: formats.label_in(network.labels, wanted),
        "name": lambda network, pattern: formats.matches(network.name, pattern),
        "scope": lambda network, scope: network.scope == scope,
        "type": lambda network, kind: network.predefined == (kind == "builtin"),
    }
    found = formats.filtered(call, call.lab.networks.list(), tests)
    made = [rows.network_row(network, not call.get("no_trunc")) for network in found]
    return formats.show_rows(call, "Networks", rows.NETWORK_COLUMNS, made)


def inspect(call: Call) -> object:
    """Docker's JSON."""
    return show_inspected(call, call.lab.networks.inspect)


def remove(call: Call) -> None:
    """Remove networks that no container is on."""
    networks = call.lab.networks
    known = {name for network in networks.list() for name in (network.name, network.id)}
    names = [name for name in call.arguments if name in known or not call.get("force")]
    call.each(names, networks.remove)


def prune(call: Call) -> None:
    """Remove the networks that no container uses, running or not."""
    tests: dict[str, formats.Test] = {
        "label": lambda network, wanted: formats.label_in(network.labels, wanted),
        "label!": lambda network, wanted: not formats.label_in(network.labels, wanted),
    }
    removed = call.lab.networks.prune(lambda network: bool(formats.filtered(call, [network], tests)))
    if removed:
        call.print("Deleted Networks:")
    for network in removed:
        call.print(network.name)


def connect(call: Call) -> None:
    """Put a container on a network, now when it runs, and from now on when it starts."""
    network, container = call.arguments
    call.lab.containers.get(container).connect(network, **call.values)


def disconnect(call: Call) -> None:
    """Take a container off a network."""
    network, container = call.arguments
    call.lab.containers.get(container).disconnect(network)


EVENT_TESTS: dict[str, formats.Test] = {
    "container": lambda event, container: event.attributes.get("container", "").startswith(container),
    "event": lambda event, action: event.action == action,
    "network": lambda event, network: network == event.attributes["name"] or event.network_id.startswith(network),
}


def events(call: Call) -> None:
    """What happened to the lab's networks, oldest first."""
    wanted = call.get("format", "")
    template = Template(wanted) if wanted not in ("", "json") else None
    for event in formats.filtered(call, list(call.lab.networks.events), EVENT_TESTS):
        call.print(template.render(_event_json(event)) if template else _event_line(event, wanted))


def _event_line(event: Event, wanted: str) -> str:
    if wanted == "json":
        return go_json(_event_json(event))
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
    return f"{event.time} network {event.action} {event.network_id} ({attributes})"


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "Type": "network",
        "Action": event.action,
        "Actor": {"ID": event.network_id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": event.time,
    }


NETWORK_ARGUMENT = Argument("NETWORK", completes="network")
NETWORKS = Argument("NETWORK", repeats=True, completes="network")

NETWORK = Command(
    "%network",
    "Manage networks",
    commands=(
        Command(
            "create", "Create a network",
            (
                Option("attachable", help="Enable manual container attachment"),
                Option("aux-address", "", "list", "Auxiliary IPv4 or IPv6 addresses used by Network driver", "map"),
                Option("driver", "d", "string", "Driver to manage the Network", default="bridge", completes="driver"),
                Option("gateway", "", "list", "IPv4 or IPv6 Gateway for the master subnet"),
                Option("internal", help="Restrict external access to the network"),
                Option("ip-range", "", "list", "Allocate container ip from a sub-range"),
                Option("ipv6", help="Enable IPv6 networking"),
                Option("label", "", "list", "Set metadata on a network"),
                Option(
                    "opt", "o", "list", "Set driver specific options", "map",
                    choices=(
                        "com.docker.network.bridge.name=", "com.docker.network.bridge.enable_icc=",
                        "com.docker.network.bridge.enable_ip_masquerade=", "com.docker.network.driver.mtu=",
                    ),
                ),
                Option("subnet", "", "list", "Subnet in CIDR format that represents a network segment"),
            ),
            (Argument("NETWORK"),), action=create,
        ),
        Command(
            "ls", "List networks",
            (formats.FILTER, formats.FORMAT, formats.NO_TRUNC, Option("quiet", "q", help="Only display network IDs")),
            aliases=("list",), action=ls,
        ),
        Command(
            "inspect", "Display detailed information on one or more networks", (INSPECT_FORMAT,), (NETWORKS,),
            action=inspect,
        ),
        Command(
            "rm", "Remove one or more networks",
            (Option("force", "f", help="Do not complain about a network that is not there"),), (NETWORKS,),
            aliases=("remove",), action=remove,
        ),
        Command(
            "prune", "Remove all unused networks",
            (
                Option("filter", "", "list", 'Provide filter values (e.g. "label=<key>=<value>")', metavar="filter"),
                Option("force", "f", help="Do not prompt for confirmation (we never do)"),
            ),
            action=prune,
        ),
        Command(
            "connect", "Connect a container to a network",
            (
                Option("alias", "", "list", "Add network-scoped alias for the container"),
                Option("ip", "", "string", 'IPv4 address (e.g., "172.30.100.104")'),
                Option("ip6", "", "string", 'IPv6 address (e.g., "2001:db8::33")'),
                Option("link", "", "list", "Add link to another container", completes="container"),
            ),
            (NETWORK_ARGUMENT, Argument("CONTAINER", completes="container")), action=connect,
        ),
        Command(
            "disconnect", "Disconnect a container from a network",
            (Option("force", "f", help="Force the container to disconnect from a network"),),
            (NETWORK_ARGUMENT, Argument("CONTAINER", completes="container")), action=disconnect,
        ),
        Command("events", "Get events of the lab's networks", (formats.FILTER, formats.FORMAT), action=events),
    ),
)  # fmt: skip
