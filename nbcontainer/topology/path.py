"""From what was answered to a path: whose addresses those are, and which switches lie between."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from nbcontainer.topology.plan import Interface, Plan
from nbcontainer.topology.results import Hop, Path


def found_path(
    plan: Plan, source: str, target: str, answers: Sequence[dict[str, Any] | None], learned: Sequence[Sequence[str]]
) -> Path:
    """`answers` are those of `trace.trace`, `learned` the rows of `trace.learned`."""
    ports = {(switch, mac): port for switch, mac, port in learned}
    ends = {interface.name: interface for name in plan.topology.switches for interface in plan.interfaces[name]}
    hops: list[Hop] = []
    before: str | None = source
    for number, answer in enumerate(answers, 1):
        if answer is None:
            hops.append(Hop(number, "", ""))
            before = None
            continue
        owner = plan.owner(IPv4Address(answer["address"])) if answer["address"] else None
        node = owner.node if owner is not None else ""
        switches = _between(plan, before, owner, ports, ends) if before and owner else ()
        hops.append(Hop(number, node, answer["address"], switches, answer["ms"], answer.get("why", "")))
        before = node
    return Path(source, target, tuple(hops))


def _between(
    plan: Plan, start: str, owner: Interface, ports: dict[tuple[str, str], str], ends: dict[str, Interface]
) -> tuple[str, ...]:
    """The switches that a frame from `start` passes on its way to `owner`, as their tables say."""
    # A router may answer from another of its links than the one that the packet came in by.
    arrivals = {end.segment: end for end in plan.interfaces[owner.node]}
    for leaving in plan.interfaces[start]:
        if leaving.segment in arrivals:
            arriving = arrivals[leaving.segment]
            passed: list[str] = []
            end = leaving.far
            while end.node in plan.topology.switches and end.node not in passed:
                passed.append(end.node)
                port = ports.get((end.node, arriving.mac))
                if port is None or port not in ends:
                    return ()
                end = ends[port].far
            return tuple(passed) if end is arriving else ()
    return ()
