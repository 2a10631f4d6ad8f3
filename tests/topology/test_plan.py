"""Addresses, names and routes: what they are, and that every topology has ones that work."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import NbcontainerError
from nbcontainer.topology.graph import Topology
from nbcontainer.topology.plan import Plan


def addresses(plan: Plan) -> dict[str, list[str]]:
    return {name: list(map(str, plan.addresses(name))) for name in plan.topology.nodes if plan.addresses(name)}


def test_one_segment_has_the_addresses_of_mininet() -> None:
    plan = Plan.of(Topology.tree(2, 2))
    assert addresses(plan) == {f"h{n}": [f"10.0.0.{n}/8"] for n in (1, 2, 3, 4)}
    assert plan.interfaces["h3"][0].mac == "02:42:0a:00:00:03"
    assert [port.name for port in plan.interfaces["s2"]] == ["s2-eth1", "s2-eth2", "s2-eth3"]
    assert plan.routes["h1"] == []


def test_routers_have_the_last_addresses_and_hosts_a_default_route() -> None:
    net = Topology()
    for name in ("s1", "s2"):
        net.switch(name)
    for host, switch in (("h1", "s1"), ("h2", "s1"), ("h3", "s2")):
        net.link(net.host(host), switch)
    net.router("r1")
    net.link("r1", "s1")
    net.link("r1", "s2")
    plan = Plan.of(net)
    assert addresses(plan) == {
        "h1": ["10.0.1.1/24"],
        "h2": ["10.0.1.2/24"],
        "h3": ["10.0.2.1/24"],
        "r1": ["10.0.1.254/24", "10.0.2.254/24"],
    }
    assert [route.to_json() for route in plan.routes["h3"]] == [{"to": "0.0.0.0/0", "via": "10.0.2.254"}]
    assert plan.routes["r1"] == []


def test_the_addresses_that_were_asked_for() -> None:
    net = Topology()
    s1 = net.switch("s1")
    net.link(net.host("a", ip="192.168.7.9/24"), s1)
    net.link(net.host("b"), s1)
    net.link(net.router("r"), s1)
    assert addresses(Plan.of(net)) == {
        "a": ["192.168.7.9/24"],
        "b": ["192.168.7.1/24"],
        "r": ["192.168.7.254/24"],
    }


@pytest.mark.parametrize(
    ("ips", "why"),
    [
        (("10.1.0.1/24", "10.2.0.1/24"), "no router between them"),
        (("10.1.0.1/24", "10.1.0.1/24"), "belongs to both h0 and h1"),
        (("10.1.0.1/30", None, None), "has no address left for h2"),
    ],
)
def test_addresses_that_cannot_be(ips: tuple[str | None, ...], why: str) -> None:
    net = Topology()
    net.switch("s1")
    for number, ip in enumerate(ips):
        net.link(net.host(f"h{number}", ip=ip), "s1")
    with pytest.raises(NbcontainerError, match=why):
        Plan.of(net)


def test_overlapping_subnets_are_refused() -> None:
    net = Topology()
    net.router("r")
    net.link(net.host("a", ip="10.1.0.1/16"), "r")
    net.link(net.host("b", ip="10.1.2.1/24"), "r")
    with pytest.raises(NbcontainerError, match=r"subnets 10.1.0.0/16 and 10.1.2.0/24 overlap"):
        Plan.of(net)


def test_only_switches_in_a_loop_speak_stp() -> None:
    ring = Topology.ring(3)
    ring.switch("quiet", stp=False)
    assert [Plan.of(ring).looped(name) for name in ring.switches] == [True, True, True, False]
    assert not any(map(Plan.of(Topology.tree(3, 3)).looped, Topology.tree(3, 3).switches))


def test_two_cables_between_two_switches_are_a_loop() -> None:
    net = Topology()
    net.switch("s1")
    net.switch("s2")
    net.link("s1", "s2")
    net.link("s1", "s2")
    assert Plan.of(net).looped("s1")


def test_a_thousand_hosts_do_not_fit_a_24() -> None:
    net = Topology()
    net.router("r")
    for number in range(1, 5):
        net.link(net.switch(f"s{number}"), "r")
    for number in range(300):
        net.link(net.host(f"h{number}"), "s2")
    for number in (1, 3, 4):
        net.link(net.host(f"x{number}"), f"s{number}")
    plan = Plan.of(net)
    assert [str(subnet) for subnet in plan.subnets] == ["10.0.2.0/23", "10.0.1.0/24", "10.0.4.0/24", "10.0.5.0/24"]


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Any graph of hosts, switches and routers."""
    net = Topology()
    for number in range(draw(st.integers(0, 6))):
        net.host(f"h{number}")
    for number in range(draw(st.integers(0, 4))):
        net.switch(f"s{number}")
    for number in range(draw(st.integers(0, 4))):
        net.router(f"r{number}")
    names = list(net.nodes)
    if len(names) > 1:
        for _ in range(draw(st.integers(0, 14))):
            a, b = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
            net.link(a, b)
    return net


@given(topologies())
def test_routes_lead_where_a_way_is(net: Topology) -> None:
    """Follow the routes from every node to every address: they arrive exactly where the graph says there is a way."""
    plan = Plan.of(net)
    every = [end for name in net.nodes for end in plan.interfaces[name] if end.ip is not None]
    assert len({end.ip.ip for end in every if end.ip}) == len(every), "an address is given twice"
    for start in [*net.hosts, *net.routers]:
        for target in every:
            assert target.ip is not None
            wanted = target.segment in reachable(plan, start)
            assert follows(plan, start, target.ip.ip) == wanted, (start, target)


def follows(plan: Plan, start: str, address: IPv4Address) -> bool:
    here = start
    for _ in range(20):
        if address in [ip.ip for ip in plan.addresses(here)]:
            return True
        if any(address in ip.network for ip in plan.addresses(here)):
            return True  # a neighbour: its owner is on the same segment
        if here != start and plan.topology.nodes[here].kind == "host":
            return False
        route = next((route for route in plan.routes[here] if route.to and address in route.to), None)
        route = route or next((route for route in plan.routes[here] if route.to is None), None)
        if route is None:
            return False
        owner = plan.owner(route.via)
        assert owner is not None
        assert any(owner.segment == end.segment for end in plan.interfaces[here]), "a router out of reach"
        here = owner.node
    return False


def reachable(plan: Plan, start: str) -> set[int]:
    """The segments that routers lead to; hosts do not forward."""
    found: set[int] = set()
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for end in plan.interfaces[here]:
            found.add(end.segment)
            for other in plan.segment(end.segment):
                if other.node not in seen and plan.topology.nodes[other.node].kind == "router":
                    seen.add(other.node)
                    waiting.append(other.node)
    return found
