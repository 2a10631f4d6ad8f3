"""The widgets in Notebook 7, as in JupyterLab: true, clicked, typed into."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect


def test_a_terminal_the_topology_and_usage(notebook: Any) -> None:
    page = notebook(
        "%container run -it --name web busybox sh", "%lab topology", "%container stats", "%lab processes",
        front="notebooks",
    )  # fmt: skip
    assert page.page.evaluate("() => window.jupyterapp.name") == "Jupyter Notebook"
    terminal = page.run(0).locator(".nbc-terminal")
    page.says(terminal, "/ #")
    terminal.locator(".xterm").click()
    page.page.keyboard.type("hostname; echo $((6 * 7))\n")
    page.says(terminal, "42")
    page.says(terminal, page.python("%container inspect -f '{{.Config.Hostname}}' web"))
    page.pictures(terminal, "notebook7-terminal")
    topology = page.run(1).locator(".nbc-topology")
    page.until(topology, "e => e.graph?.nodes('[label = \"web\"]').nonempty()")
    page.python("%container run -d --name late --memory 64m busybox sleep 1000")
    page.until(topology, "e => e.graph.nodes('[label = \"late\"]').nonempty()")
    page.drawn(topology)
    topology.scroll_into_view_if_needed()
    topology.locator(".nbc-stage").click(
        position=topology.evaluate("e => e.graph.nodes('[label = \"late\"]').renderedPosition()")
    )
    expect(topology.locator(".nbc-facts")).to_contain_text("172.17.0.3/16")
    expect(topology.locator(".nbc-facts")).to_contain_text("64MiB memory")
    page.pictures(topology, "notebook7-topology")
    usage = page.run(2).locator(".nbc-usage")
    expect(usage).to_be_visible()
    if not page.python("from nbcontainer import runtime\nprint(runtime.current_lab().cgroups.mode)").endswith("none"):
        page.until(usage, "e => e.usage?.series.times.length > 20")
        assert sorted(usage.evaluate("e => e.usage.series.names")) == ["late", "web"]
        assert usage.evaluate("e => e.usage.limits().late") == {"memory": 64 << 20}
        usage.get_by_role("button", name="Pause").click()
        expect(usage.get_by_role("button", name="Go on")).to_be_visible()
    page.pictures(usage, "notebook7-usage")
    processes = page.run(3).locator(".nbc-page")
    expect(processes).to_contain_text("sleep 1000")
    page.python("%container rm -f late")
    expect(processes).not_to_contain_text("sleep 1000")
    page.until(topology, "e => e.graph.nodes('[label = \"late\"]').empty()")
    # What is saved is what JupyterLab saves.
    assert page.save().cells[1].outputs[0].data["image/svg+xml"].startswith("<svg")
