"""Topologies as YAML."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import NbcontainerError
from nbcontainer.topology import document
from nbcontainer.topology.graph import Link, Topology
from nbcontainer.topology.quality import Quality

OFFICE = """
name: office
hosts:
  h1:
  h2: {ip: 192.168.1.20/24}
  web: {image: busybox, command: httpd -f}
switches: [s1]
routers: [r1]
every link: {rate: 100mbit}
links:
  - h1 -- s1
  - h2 -- s1: {rate: 10mbit, delay: 5ms}
  - [s1, r1]
  - web -- r1
"""


def test_a_document() -> None:
    office = document.read(OFFICE)
    assert repr(office) == "<Topology office: 3 hosts, 1 switch, 1 router, 4 links>"
    assert (office.nodes["web"].image, office.nodes["web"].command) == ("busybox", ("httpd", "-f"))
    assert str(office.nodes["h2"].ip) == "192.168.1.20/24"
    assert [str(link.quality) for link in office.links] == ["100mbit", "10mbit, 5ms", "100mbit", "100mbit"]


def test_a_shape_can_be_added_to() -> None:
    net = document.read("shape: star 2\nhosts: [extra]\nlinks: [extra -- s1: {rate: 1mbit}]")
    assert (net.name, net.hosts) == ("star", ["h1", "h2", "extra"])
    assert str(net.links[-1].quality) == "1mbit"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the topology is empty"),
        ("a: b: c", "this is no YAML: line 1"),
        ("hosts: [h1]\n  indented", "this is no YAML: line 2"),
        ("hosts: {h1: , h1: }", "h1 is given twice"),
        ("hosts: [h1, h1]", "hosts has h1 twice"),
        ("hosts: h1", r"hosts is a list, such as \[h1\]"),
        ("host: [h1]", "a topology has no 'host': it has name, shape, hosts"),
        ("hosts: [h1]\nlinks: [h1]", "a link is 'h1 -- s1'"),
        ("hosts: [h1]\nlinks: [h1 -- h2]", "no node h2"),
        ("hosts: {h1: {ip: 10.0.0.1}}", "it needs a prefix length"),
        ("hosts: {h1: {command: sleep 9}}", "has a command but no image"),
        ("switches: {s1: {stp: maybe}}", "true or false"),
        ("a: &a [*a]", "aliases are not taken"),
        ("x: !!python/object:os.system 1", "could not determine a constructor"),
        ("\0", "this is no YAML"),
    ],
)
def test_one_line_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(NbcontainerError, match=why) as raised:
        document.read(text)
    assert "\n" not in str(raised.value)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
QUALITIES = st.builds(
    Quality, rate=st.just(0) | st.integers(8, 10**12), delay=st.integers(1, 10**6), loss=st.integers(0, 100).map(float)
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    net = Topology(draw(NAMES))
    for name in draw(st.lists(NAMES, unique=True, max_size=8)):
        kind = draw(st.sampled_from(("host", "container", "switch", "router")))
        if kind == "host":
            net.host(name, ip=draw(st.none() | st.just("10.9.8.7/16")))
        elif kind == "container":
            net.host(name, image="busybox", command=draw(st.lists(NAMES, max_size=2)))
        elif kind == "switch":
            net.switch(name, stp=draw(st.none() | st.booleans()))
        else:
            net.router(name)
    if len(net.nodes) > 1:
        for _ in range(draw(st.integers(0, 5))):
            a, b = draw(st.lists(st.sampled_from(sorted(net.nodes)), min_size=2, max_size=2, unique=True))
            net.add_link(Link(a, b, draw(st.just(Quality()) | QUALITIES)))
    return net


@given(topologies())
def test_what_is_written_is_read_again(net: Topology) -> None:
    again = document.read(document.write(net))
    assert (again.name, again.links) == (net.name, net.links)
    assert again.nodes == net.nodes


ALMOST = st.from_regex(r"(hosts|switches|links|shape|name): ?[\[{]?[ \w:,{}*&!-]{0,40}", fullmatch=True)


@given(st.text(max_size=200) | ALMOST)
def test_any_text_is_a_topology_or_refused(text: str) -> None:
    with suppress(NbcontainerError):
        document.read(text)
