"""Where nodes go in a figure."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.topology.graph import Topology
from nbcontainer.view.layout import Layout, layout
from nbcontainer.view.topology import topology_html, topology_text


def placed(topology: Topology) -> Layout:
    return layout(list(topology.nodes), [link.ends for link in topology.links])


def test_a_small_tree_is_drawn_from_the_top() -> None:
    places = placed(Topology.tree(2, 2)).places
    assert places["s1"][1] < places["s2"][1] == places["s3"][1] < places["h1"][1]
    assert places["h1"][0] < places["h2"][0] < places["h3"][0] < places["h4"][0]
    assert places["s1"][0] == (places["s2"][0] + places["s3"][0]) / 2


def test_a_ring_is_a_circle_with_its_hosts_outside() -> None:
    places = placed(Topology.ring(4)).places
    middle = (sum(places[f"s{n}"][0] for n in range(1, 5)) / 4, sum(places[f"s{n}"][1] for n in range(1, 5)) / 4)
    radii = [math.dist(places[f"s{n}"], middle) for n in range(1, 5)]
    assert max(radii) - min(radii) < 0.5
    assert all(math.dist(places[f"h{n}"], middle) > math.dist(places[f"s{n}"], middle) + 50 for n in range(1, 5))
    assert places["s1"][1] == min(places[f"s{n}"][1] for n in range(1, 5))


@pytest.mark.parametrize("shape", ["tree 3 4", "ring 6", "mesh 5 2", "line 7 2", "star 40", "ring 40 2"])
def test_no_two_nodes_are_on_top_of_each_other(shape: str) -> None:
    made = placed(Topology.shape(shape))
    least = 20 if made.dots else 40
    assert all(math.dist(a, b) >= least for a, b in itertools.combinations(made.places.values(), 2))
    assert all(0 < x < made.width and 0 < y < made.height for x, y in made.places.values())


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]), max_size=14))
def test_every_graph_has_a_layout_that_repeats(pairs: list[tuple[int, int]]) -> None:
    names = [f"n{number}" for number in range(8)]
    links = [(f"n{a}", f"n{b}") for a, b in pairs]
    made = layout(names, links)
    assert set(made.places) == set(names)
    assert made == layout(names, links)
    assert all(math.isfinite(x + y) for x, y in made.places.values())


def test_a_figure_escapes_and_says_what_links_are_like() -> None:
    net = Topology("slow")
    net.link(net.host("a"), net.router("b"), rate="10mbit", delay="5ms")
    page = topology_html(net)
    assert "<title>a -- b: 10mbit, 5ms</title>" in page
    assert "<title>host a, 10.0.0.1</title>" in page
    assert topology_text(net).splitlines()[0] == "slow: 1 host, 1 router, 1 link"


def test_what_cannot_be_planned_is_a_figure_all_the_same() -> None:
    net = Topology("torn")
    net.link(net.host("a", ip="10.1.0.1/24"), net.host("b", ip="10.2.0.1/24"))
    assert topology_html(net).count("<rect ") == 2
    assert "no router between them" in topology_text(net)


def test_nothing_is_a_figure_too() -> None:
    assert "<svg" in topology_html(Topology())
