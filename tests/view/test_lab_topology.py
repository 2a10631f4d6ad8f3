"""The lab as a graph: text, picture, and what a page is told."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import Any

from nbcontainer.container import on_host
from nbcontainer.view.lab_topology.graph import Graph, Node, difference
from nbcontainer.view.lab_topology.topology import LabTopology

SCRIPT = """
ip netns add r1; ip netns add r2
ip link add v1 type veth peer name v2; ip link set v1 netns r1; ip link set v2 netns r2
ip -n r1 address add 10.1.0.1/24 dev v1; ip -n r2 address add 10.1.0.2/24 dev v2
ip -n r1 link set v1 up; ip -n r2 link set v2 up
ip link add h1 type veth peer name eth0 netns r1; ip address add 10.9.0.1/24 dev h1
ip link set h1 up; ip -n r1 link set eth0 up
"""


def test_the_text_repeats(lab: Any, busybox: Any) -> None:
    lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="web")
    lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="sidecar", network="container:web")
    lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="alone", network="none")
    assert on_host.run(lab, ["sh", "-ec", SCRIPT]).exit_code == 0
    view = LabTopology(lab)
    assert view.text() == repr(view) == LabTopology(lab).text()
    assert view.text().splitlines() == [
        "lab",
        "├── docker0  172.17.0.1/16",
        "│   └── web  (container)  eth0 172.17.0.2/16",
        "│       └── sidecar  (container)  same network namespace",
        "└── r1  (netns)  h1 10.9.0.1/24 ── eth0  10.1.0.1/24",
        "    └── r2  (netns)  v1 10.1.0.1/24 ── v2 10.1.0.2/24",
        "alone  (container)",
    ]


def test_the_picture_is_svg_without_scripts(lab: Any, busybox: Any) -> None:
    lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="web")
    forms = LabTopology(lab)._repr_mimebundle_()
    assert set(forms) == {"text/plain", "image/svg+xml"}
    tree = ElementTree.fromstring(forms["image/svg+xml"])
    names = {element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"lab", "docker0", "web", "172.17.0.2"} <= names
    assert "<script" not in forms["image/svg+xml"]


def test_a_page_is_told_what_happens_and_nothing_when_nobody_looks(lab: Any, busybox: Any) -> None:
    view = LabTopology(lab)
    told: list[Mapping[str, Any]] = []
    came = threading.Condition()

    def emit(message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        with came:
            told.append(message)
            came.notify_all()

    def labels(kind: str) -> set[str]:
        return {node.label for node in view.graph.nodes.values() if node.kind == kind}

    end = lab.loop.do(view.begin, emit)
    web = lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="web")
    with came:
        assert came.wait_for(lambda: "web" in labels("container"), 60)
    lab.netns.add("r1")
    with came:
        assert came.wait_for(lambda: "r1" in labels("netns"), 60)
    # By hand, in a namespace of its own: netlink says it.
    assert on_host.run(lab, "ip -n r1 link add d0 type bridge".split()).exit_code == 0
    with came:
        assert came.wait_for(lambda: "d0" in labels("bridge"), 60)
    web.remove(force=True)
    with came:
        assert came.wait_for(lambda: "web" not in labels("container"), 60)
    lab.loop.do(end)
    assert lab.containers._watchers == []
    assert lab.networks._watchers == []


def test_the_difference_of_two_graphs() -> None:
    one, two = Node("a", "netns", "a"), Node("b", "netns", "b")
    before, after = Graph(nodes={"a": one}), Graph(nodes={"b": two})
    change = difference(before, after)
    assert change is not None
    assert [item["node"]["id"] for item in change["put"]] == ["b"]
    assert change["drop"] == ["a"]
    assert difference(after, after) is None
