"""Tables, cards, processes, namespaces, steps and the dashboard in a page; what nbconvert makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from playwright.sync_api import expect

RUN = """\
%container run -d --name web busybox sh -c 'echo hello from web; sleep 1000 & sleep 1001'
%container run -d --name db --memory 64m busybox sleep 1000
%container run -d --name sidecar --network container:web busybox sleep 1000
"""


def test_a_card_with_buttons(notebook: Any) -> None:
    page = notebook(RUN, "%container ls --filter name=web -q\nfrom nbcontainer import runtime\n"
                    "runtime.current_lab().containers.get('web')")  # fmt: skip
    page.run(0)
    view = page.run(1).locator(".nbc-page").filter(has_text="Command")
    expect(view).to_contain_text("Up Less than a minute")
    view.get_by_role("button", name="Logs").click()
    expect(view.locator("pre")).to_contain_text("hello from web")
    page.pictures(view, "card")
    view.get_by_role("button", name="Pause").click()
    expect(view).to_contain_text("(Paused)")
    assert page.python("print(runtime.current_lab().containers.get('web').status)") == "paused"
    view.get_by_role("button", name="Unpause").click()
    expect(view.get_by_role("button", name="Stop")).to_be_visible()
    page.python("runtime.current_lab().containers.get('web').kill()")
    expect(view).to_contain_text("Exited (137)")
    view.get_by_role("button", name="Start").click()
    expect(view).to_contain_text("Up Less than a minute")


def test_processes_namespaces_and_steps(notebook: Any) -> None:
    page = notebook(RUN, "%lab processes", "%container namespaces", "%container explain web")
    page.run(0)
    processes = page.run(1).locator(".nbc-page")
    expect(processes).to_contain_text("sleep 1001")
    expect(processes).to_contain_text("└─ sleep 1000")
    page.python("%container exec -d db sleep 777")
    expect(processes).to_contain_text("sleep 777")
    namespaces = page.run(2).locator(".nbc-page")
    expect(namespaces.locator("tr", has_text="sidecar")).to_contain_text("shared: web")
    page.pictures(namespaces, "namespaces")
    page.pictures(processes, "processes")
    page.run(3)
    page.pictures(page.output(3).locator("img"), "steps")


def test_the_dashboard(notebook: Any) -> None:
    page = notebook(RUN, "%lab dashboard")
    page.run(0)
    output = page.run(1)
    expect(output.locator(".nbc-topology")).to_be_visible()
    expect(output.locator(".nbc-usage")).to_be_visible()
    expect(output.locator(".nbc-page").first).to_contain_text("sidecar")
    expect(output.locator(".nbc-page").last).to_contain_text("sleep 1001")
    page.page.wait_for_function(
        "() => document.querySelector('.nbc-topology')?.graph?.nodes('[kind = \"container\"]').length === 3"
    )
    page.page.set_viewport_size({"width": 1280, "height": 1500})
    page.until(output.locator(".nbc-usage"), "e => e.usage.series.times.length > 20")
    page.drawn(output.locator(".nbc-topology"))
    page.pictures(output, "dashboard")
    page.python("%container rm -f db")
    expect(output.locator(".nbc-page").first).not_to_contain_text("db")


def test_a_view_whose_script_came_late_follows_all_the_same(notebook: Any) -> None:
    page = notebook(RUN, "%lab processes")
    page.forgiven = ("Failed to initialize model",)
    # anywidget's two seconds are over before they begin.
    page.page.evaluate(
        "() => { AbortSignal.timeout = () => { "
        "const over = new AbortController(); setTimeout(() => over.abort(), 0); return over.signal; }; }"
    )
    page.run(0)
    output = page.run(1)
    expect(output).to_contain_text("sleep 1000")
    page.python("%container run -d --name later busybox sleep 4321")
    expect(output).to_contain_text("sleep 4321")


def test_fifty_cells_stay_quick_and_a_restart_leaves_nothing(notebook: Any) -> None:
    page = notebook(RUN, *["%container namespaces"] * 48, "%lab topology")
    # On a busy machine, anywidget says that a model took it longer than two seconds; and what JupyterLab had asked of
    # the kernel that goes is not answered.
    page.forgiven = ("Failed to initialize model", "Canceled future")
    page.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.page.locator(".nbc-topology").first).to_be_attached()
    # The code of the views came once each; what they listen to is the one that needs to.
    code = (
        "import ipywidgets\nfrom nbcontainer import runtime\nfrom nbcontainer.view.widgets.bundle import Bundle\n"
        "all_ = ipywidgets.widgets.widget._instances.values()\n"
        "print(sum(isinstance(w, Bundle) for w in all_), len(runtime.current_lab().containers._watchers) <= 50)"
    )
    assert page.python(code) == "2 True"
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.idle()
    assert page.python("%load_ext nbcontainer\nprint('again')").endswith("again")
    page.run(0)
    expect(page.run(1)).to_contain_text("sidecar")


def test_nbconvert_shows_the_static_forms(notebook: Any, tmp_path: Any) -> None:
    page = notebook(
        RUN, "%lab topology", "%container ps", "%container run -it busybox echo in the terminal", "%container stats"
    )
    for number in range(5):
        page.run(number)
    expect(page.output(4).locator(".nbc-usage")).to_be_visible()
    page.saved(3, "in the terminal")
    saved = page.save()
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(tmp_path), str(page.path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    made = (tmp_path / page.path.with_suffix(".html").name).read_text()
    body = made.partition("<main>")[2]
    assert body.count("data:image/svg+xml") + body.count("<svg") == 1
    assert 'class="nbc-table"' in body
    assert "in the terminal</pre>" in body
    assert "widget-view" not in body
    # And what a run without a page saves is the same text.
    fresh = json.loads(json.dumps(saved))
    for cell in fresh["cells"]:
        cell["outputs"] = []
    source = tmp_path / "fresh.ipynb"
    source.write_text(json.dumps(fresh))
    execute = [
        sys.executable,
        "-m",
        "nbconvert",
        "--execute",
        "--to",
        "notebook",
        "--output",
        "done.ipynb",
        str(source),
    ]
    code = fresh["cells"][0]["source"]
    fresh["cells"][0]["source"] = "%load_ext nbcontainer\n" + code
    fresh["cells"].pop()
    source.write_text(json.dumps(fresh))
    subprocess.run(execute, check=True, capture_output=True, timeout=120)
    done = json.loads((tmp_path / "done.ipynb").read_text())
    for before, after in list(zip(saved["cells"], done["cells"], strict=False))[1:4]:
        (one,), (two,) = before["outputs"], after["outputs"]
        assert "".join(one["data"]["text/plain"]) == "".join(two["data"]["text/plain"])
        assert "application/vnd.jupyter.widget-view+json" not in two["data"]
    assert "widgets" not in done["metadata"]
