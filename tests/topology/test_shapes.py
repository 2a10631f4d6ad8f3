"""Shapes, and what links are like."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument, NbcontainerError
from nbcontainer.topology.graph import Topology
from nbcontainer.topology.quality import Quality


def links(topology: Topology) -> list[str]:
    return [str(link) for link in topology.links]


def test_a_line_as_in_mininet() -> None:
    line = Topology.line(3)
    assert (line.hosts, line.switches) == (["h1", "h2", "h3"], ["s1", "s2", "s3"])
    assert links(line) == ["h1 -- s1", "h2 -- s2", "h3 -- s3", "s1 -- s2", "s2 -- s3"]


def test_a_ring_of_routers() -> None:
    ring = Topology.ring(3, hosts=0, routers=True)
    assert links(ring) == ["r1 -- r2", "r2 -- r3", "r3 -- r1"]


def test_a_tree_is_numbered_as_mininet_does() -> None:
    tree = Topology.tree(2, 2)
    assert list(tree.nodes) == ["s1", "s2", "h1", "h2", "s3", "h3", "h4"]
    assert links(tree) == ["s2 -- h1", "s2 -- h2", "s1 -- s2", "s3 -- h3", "s3 -- h4", "s1 -- s3"]
    large = Topology.tree(3, 4)
    assert (len(large.hosts), len(large.switches), len(large.links)) == (64, 21, 84)


def test_a_star_and_a_mesh() -> None:
    assert links(Topology.star(3)) == ["h1 -- s1", "h2 -- s1", "h3 -- s1"]
    assert len(Topology.mesh(5, hosts=0).links) == 10


@pytest.mark.parametrize("text", ["tree 2 3", "tree,2,3", "tree(2, 3)", "  tree  2,3 "])
def test_a_shape_in_a_line(text: str) -> None:
    assert links(Topology.shape(text)) == links(Topology.tree(2, 3))


def test_every_link_of_a_shape_can_be_slow() -> None:
    assert {str(link.quality) for link in Topology.ring(3, rate="10mbit", delay="5ms").links} == {"10mbit, 5ms"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("blob 3", "there are line SIZE"),
        ("tree", "it is tree DEPTH"),
        ("tree 2 2 2", "it is tree DEPTH"),
        ("star 3 routers", "it is star HOSTS"),
        ("ring 2", "at least 3"),
        ("tree 99 9", "more than 20000"),
        ("star 2000", "at most 1023 ports"),
    ],
)
def test_a_shape_that_cannot_be(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        Topology.shape(text)


ALMOST = st.from_regex(r"(tree|ring|mesh|line|star)[ ,(]{0,3}\d{0,7}[ ,]{0,2}\d{0,4}\)?", fullmatch=True)


@given(st.text(max_size=40) | ALMOST)
def test_any_text_is_a_shape_or_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert Topology.shape(text).nodes


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"rate": "10mbit"}, Quality(rate=10_000_000)),
        ({"rate": "1.5Gbit", "delay": "5ms"}, Quality(rate=1_500_000_000, delay=5000)),
        ({"rate": "100kbps"}, Quality(rate=800_000)),
        ({"delay": "100us", "jitter": "10us", "loss": "0.5%"}, Quality(delay=100, jitter=10, loss=0.5)),
    ],
)
def test_the_units_are_those_of_tc(said: dict[str, str], wanted: Quality) -> None:
    assert Quality.parse(said) == wanted


@given(
    st.builds(
        Quality,
        rate=st.just(0) | st.integers(8, 10**13),
        delay=st.integers(1, 250 * 10**6),
        jitter=st.integers(0, 250 * 10**6),
        loss=st.integers(0, 100).map(float),
    )
)
def test_what_a_link_is_like_is_read_as_it_is_written(quality: Quality) -> None:
    assert Quality.parse(quality.to_json()) == quality


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"rate": "10"}, "it needs a unit"),
        ({"delay": "5 parsecs"}, "such as 5ms"),
        ({"loss": "101%"}, "in percent"),
        ({"loss": "1"}, "in percent"),
        ({"jitter": "1ms"}, "give the link a delay"),
        ({"rate": "0mbit"}, "from 8bit"),
        ({"colour": "red"}, "it has rate, delay, jitter, loss"),
    ],
)
def test_what_a_link_cannot_be(said: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        Quality.parse(said)


def test_names() -> None:
    net = Topology("office")
    net.host("h1")
    for name, why in (("../x", "invalid name"), ("", "invalid name"), ("a" * 64, "invalid name")):
        with pytest.raises(InvalidArgument, match=why):
            net.host(name)
    with pytest.raises(InvalidArgument, match="at most 15 letters"):
        net.switch("averyverylong")
    with pytest.raises(NbcontainerError, match="there is a host h1 already"):
        net.router("h1")
    with pytest.raises(NbcontainerError, match="no node h9 in office"):
        net.link("h1", "h9")
    with pytest.raises(InvalidArgument, match="no link to itself"):
        net.link("h1", "h1")
    assert net.links == []
