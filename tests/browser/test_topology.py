"""The topology in a page: what the kernel has, within a second of it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, TimeoutError, expect

LAB = """\
%network create back
%container run -d --name web -p 18080:80 --memory 64m busybox sleep 1000
%container run -d --name db --network back busybox sleep 1000
%container run -d --name cache --network back busybox sleep 1000
%container run -d --name sidecar --network container:web busybox sleep 1000
"""
NAMED = """\
%%lab -e
ip netns add r1; ip netns add r2
ip link add v1 type veth peer name v2
ip link set v1 netns r1; ip link set v2 netns r2
ip -n r1 address add 10.1.0.1/24 dev v1; ip -n r2 address add 10.1.0.2/24 dev v2
ip -n r1 link set v1 up; ip -n r2 link set v2 up
ip link add h1 type veth peer name eth0 netns r1
ip address add 10.9.0.1/24 dev h1; ip link set h1 up; ip -n r1 link set eth0 up
"""


BRIDGES = "print(*sorted(link['ifname'] for link in json.loads(on_host.run(lab, IP).stdout)))"
BRIDGES = (
    f"import json\nfrom nbcontainer.container import on_host\nIP = 'ip -j link show type bridge'.split()\n{BRIDGES}"
)


def labels(view: Locator, selector: str = "node") -> list[str]:
    """The names of what is drawn."""
    return list(view.evaluate("(e, s) => e.graph.elements(s).not('.gone').map(x => x.data('label')).sort()", selector))


def until(page: Any, view: Locator, selector: str, wanted: list[str]) -> None:
    """Wait until what `selector` selects has these names."""
    names = "e.graph?.elements(s).not('.gone').map(x => x.data('label')).sort()"
    try:
        page.until(view, f"(e, [s, wanted]) => JSON.stringify({names}) === JSON.stringify(wanted)", [selector, wanted])
    except TimeoutError:
        assert labels(view, selector) == wanted


def test_it_shows_what_there_is_and_what_happens(notebook: Any) -> None:
    page = notebook(LAB, NAMED, "%lab topology", "1")
    page.run(0)
    page.run(1)
    view = page.run(2).locator(".nbc-topology")
    expect(view).to_be_visible()
    until(page, view, 'node[kind = "container"]', ["cache", "db", "sidecar", "web"])
    until(page, view, 'node[kind = "netns"]', ["r1", "r2"])
    # As the kernel has it.
    bridges = page.python("from nbcontainer import runtime\nlab = runtime.current_lab()\n" + BRIDGES).split()
    until(page, view, 'node[kind = "bridge"]', bridges)
    page.drawn(view)
    page.pictures(view, "topology")
    # A change is followed, and what stays stays where it is.
    before = view.evaluate("e => e.graph.nodes().map(n => [n.id(), n.position()])")
    page.python("%container run -d --name late busybox sleep 1000")
    until(page, view, 'node[kind = "container"]', ["cache", "db", "late", "sidecar", "web"])
    page.drawn(view)
    for name, place in before:
        now = view.evaluate("(e, id) => e.graph.getElementById(id).position()", name)
        assert abs(now["x"] - place["x"]) + abs(now["y"] - place["y"]) < 2, name
    page.python("%container rm -f late")
    until(page, view, 'node[kind = "container"]', ["cache", "db", "sidecar", "web"])
    page.python("%container pause db")
    page.until(view, "e => e.graph.nodes('[label = \"db\"]').data('state') === 'paused'")
    page.python(
        "from nbcontainer.container import on_host\nfrom nbcontainer import runtime\n"
        "on_host.run(runtime.current_lab(), ['ip', 'netns', 'add', 'r3']).exit_code"
    )
    until(page, view, 'node[kind = "netns"]', ["r1", "r2", "r3"])
    page.python("on_host.run(runtime.current_lab(), ['ip', '-n', 'r1', 'link', 'del', 'v1']).exit_code")
    until(page, view, 'edge[kind = "link"][label *= "v1"]', [])
    # A click gives the facts; search and filter.
    place = view.evaluate("e => e.graph.nodes('[label = \"web\"]').renderedPosition()")
    stage = view.locator(".nbc-stage")
    stage.click(position=place)
    expect(view.locator(".nbc-facts")).to_contain_text("172.17.0.2/16")
    expect(view.locator(".nbc-facts")).to_contain_text("64MiB memory")
    page.pictures(view, "topology-facts")
    stage.press("Escape")
    expect(view.locator(".nbc-facts")).to_be_hidden()
    view.get_by_role("searchbox").fill("172.18")
    assert labels(view, 'node[kind = "container"]:not(.dim)') == ["cache", "db"] or labels(view, ".dim") != []
    view.get_by_role("searchbox").fill("")
    view.get_by_role("button", name="containers").click()
    assert view.evaluate("e => e.graph.nodes('[kind = \"container\"]:visible').length") == 0
    view.get_by_role("button", name="containers").click()
    # The keyboard goes from node to node.
    stage.press("ArrowDown")
    expect(view.locator(".nbc-facts")).to_be_visible()
    # What is saved: a picture and a text.
    saved = page.save().cells[2].outputs[0].data
    assert "web  (container)  eth0 172.17.0.2/16" in saved["text/plain"]
    assert saved["image/svg+xml"].startswith("<svg")


def test_traffic_is_seen(notebook: Any) -> None:
    page = notebook("%container run -d --name web busybox httpd -f\n%lab topology")
    view = page.run(0).locator(".nbc-topology")
    until(page, view, 'node[kind = "container"]', ["web"])
    page.python("%container run -d --name ping busybox ping -s 1400 -i 0.2 172.17.0.2")
    page.until(view, "e => e.graph.edges('.busy').nonempty()")
    page.pictures(view, "topology-traffic")


def test_a_reader_who_wants_no_motion(notebook: Any) -> None:
    page = notebook(LAB, "%lab topology")
    page.page.emulate_media(reduced_motion="reduce")
    page.run(0)
    view = page.run(1).locator(".nbc-topology")
    page.page.wait_for_function("() => document.querySelector('.nbc-topology')?.graph")
    until(page, view, 'node[kind = "container"]', ["cache", "db", "sidecar", "web"])
    # What is new stands at its place at once, what is gone is gone, and traffic is a line that does not move.
    page.python("%container exec -d web ping -s 1400 -i 0.2 172.17.0.1")
    page.page.wait_for_function("() => document.querySelector('.nbc-topology').graph.edges('.busy').nonempty()")
    offsets = "e => e.graph.edges('.busy').map(edge => edge.style('line-dash-offset')).join()"
    before = view.evaluate(offsets)
    view.evaluate(
        "e => { e.moved = 0; e.graph.on('style', () => { e.moved += e.graph.elements().is(':animated'); }); }"
    )
    page.python("%container run -d --name late busybox sleep 1000")
    until(page, view, 'node[kind = "container"]', ["cache", "db", "late", "sidecar", "web"])
    page.python("%container rm -f late")
    until(page, view, 'node[kind = "container"]', ["cache", "db", "sidecar", "web"])
    assert view.evaluate(offsets) == before
    assert view.evaluate("e => [e.moved, e.graph.elements().is(':animated')]") == [0, False]


def test_five_hundred_nodes(notebook: Any) -> None:
    page = notebook(
        "from nbcontainer import runtime\nlab = runtime.current_lab()\n"
        "lab.netns.add_all([f'n{i}' for i in range(480)])\nNone",
        "%lab topology",
    )
    page.run(0)
    view = page.run(1).locator(".nbc-topology")
    page.until(view, "e => e.graph?.nodes().length === 481")
    page.pictures(view, "topology-500")
