"""A plan as `build` takes it: the order in which links are made, their indexes, and which end begins."""

from __future__ import annotations

from typing import Any

from nbcontainer.topology.plan import Interface, Plan, bridge_mac

#: In each namespace lo is 1, and its links follow; switches come before their ports.
FIRST_INDEX = 2


def wiring(plan: Plan) -> dict[str, Any]:
    """JSON for `build.make`. The switches live in a network namespace that has the topology's name."""
    nodes = plan.topology.nodes
    switches = {name: number for number, name in enumerate(plan.topology.switches)}
    indexes: dict[Interface, int] = {}
    ports = FIRST_INDEX + len(switches)
    for name, interfaces in plan.interfaces.items():
        for at, interface in enumerate(interfaces):
            if name in switches:
                indexes[interface] = ports
                ports += 1
            else:
                indexes[interface] = FIRST_INDEX + at

    def end(interface: Interface) -> dict[str, Any]:
        of_switch = interface.node in switches
        return {
            "name": interface.name,
            "index": indexes[interface],
            "mac": interface.mac,
            "netns": None if of_switch else interface.node,
            "master": FIRST_INDEX + switches[interface.node] if of_switch else 0,
            "quality": _quality(interface),
            "link": str(interface.link),
        }

    links, late = [], []
    for a, b in plan.ends:
        # A pair begins at a switch: only its first end gets its bridge when it is made.
        first, second = (b, a) if a.node not in switches and b.node in switches else (a, b)
        links.append({"name": str(a.link), "a": end(first), "b": end(second)})
        if second.node in switches:
            late.append(second)
    return {
        "home": plan.topology.name,
        "switches": [
            {"name": name, "index": FIRST_INDEX + at, "mac": bridge_mac(at + 1), "stp": plan.looped(name)}
            for name, at in switches.items()
        ],
        "links": links,
        "ports": [
            {**end(interface), "late": interface in late} for name in switches for interface in plan.interfaces[name]
        ],
        "nodes": [
            {
                "name": name,
                "container": node.image is not None,
                "forwards": node.kind == "router",
                "interfaces": [{**end(interface), **_address(interface)} for interface in plan.interfaces[name]],
                "routes": [
                    {**route.to_json(), "index": FIRST_INDEX + _leaves_by(plan, name, str(route.via))}
                    for route in plan.routes[name]
                ],
            }
            for name, node in nodes.items()
            if node.kind != "switch"
        ],
    }


def _quality(interface: Interface) -> dict[str, Any] | None:
    quality = interface.link.quality
    if not quality.rate and not quality.needs_netem:
        return None
    return {"rate": quality.rate, "delay": quality.delay, "jitter": quality.jitter, "loss": quality.loss}


def _address(interface: Interface) -> dict[str, Any]:
    assert interface.ip is not None
    network = interface.ip.network
    broadcast = str(network.broadcast_address) if network.prefixlen < 31 else None
    return {"ip": str(interface.ip.ip), "prefixlen": network.prefixlen, "broadcast": broadcast}


def _leaves_by(plan: Plan, node: str, via: str) -> int:
    """Which of a node's links the next router is on."""
    for at, interface in enumerate(plan.interfaces[node]):
        if interface.ip is not None and any(
            end.ip is not None and str(end.ip.ip) == via for end in plan.segment(interface.segment)
        ):
            return at
    raise AssertionError
