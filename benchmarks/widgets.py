"""How quick the widgets are, in a real browser in front of a real JupyterLab: `python -m benchmarks.widgets`.

Event to pixel: from the moment a container's start is known in the kernel until the page has drawn its node. First
paint: from the command to run the cell until a hundred namespaces and the links between them are drawn, the view's
script loaded before or not. Medians, with the least and the most behind them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from tests.browser.conftest import JupyterLab, Notebook, chromium
from tests.conftest import _new_home, _remove

STATIC = Path(__file__).parents[1] / "nbcontainer" / "view" / "static"
LIMIT = 1.5e6

WATCH = """(wanted) => {
    const graph = document.querySelector('.nbc-topology').graph;
    window.drawn = {};
    graph.on('add', 'node', event => {
        const label = event.target.data('label');
        requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn[label] = Date.now(); }));
    });
}"""
START = """\
import time
moments = {}
end = lab.containers.watch(
    lambda event: moments.setdefault(event.attributes["name"], time.time() * 1000) if event.action == "start" else None)
lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="NAME")
end()
print(moments["NAME"])
"""
HUNDRED = """\
from nbcontainer import runtime
from nbcontainer.container import on_host
lab = runtime.current_lab()
names = [f"n{number}" for number in range(100)]
lab.netns.add_all(names)
lines = [f"link add v{name} type veth peer name eth0 netns {name}" for name in names]
on_host.run(lab, ["sh", "-ec", "".join(f"ip {line}\\n" for line in lines)])
None
"""


def said(name: str, found: Sequence[float], limit: float) -> None:
    """One line of the result."""
    middle = statistics.median(found)
    verdict = "ok" if middle <= limit else f"OVER {limit:g}"
    print(f"{name:<52}{middle:8.0f} ms  ({min(found):.0f} to {max(found):.0f})  {verdict}", flush=True)


def measure(jupyter: JupyterLab, count: int) -> None:
    """Everything that takes a page."""
    with chromium() as browser:
        cells = [HUNDRED, "%lab topology", "%lab reset\nlab = runtime.current_lab()", "%lab topology"]
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(made, jupyter.notebooks / "bench.ipynb")
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        notebook = Notebook(page, jupyter, "bench.ipynb")
        notebook.open()
        page.set_default_timeout(40_000)
        notebook.python("%load_ext nbcontainer")
        notebook.run(0)
        first = []
        for _ in range(count):
            begun = page.evaluate("() => Date.now()")
            page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1; "
                          "window.jupyterapp.commands.execute('notebook:run-cell'); }")  # fmt: skip
            done = page.wait_for_function(
                "() => { const view = document.querySelector('.nbc-topology'); "
                "return view?.graph?.nodes().length > 100 && Date.now(); }", polling="raf",
            ).json_value()  # fmt: skip
            first.append(float(done - begun))
            notebook.command("notebook:clear-cell-output", 1)
            page.wait_for_function("() => !document.querySelector('.nbc-topology')")
        said("first paint of 101 nodes, with its script", first[:1], 1000)
        said("first paint of 101 nodes, the script there", first[1:], 1000)
        notebook.run(2)
        notebook.run(3)
        page.wait_for_function("() => document.querySelector('.nbc-topology')?.graph")
        notebook.python("lab.containers.run('busybox', ['true'], rm=True)")
        page.wait_for_timeout(1500)
        page.evaluate(WATCH)
        pixels = []
        for number in range(count * 2):
            name = f"c{number}"
            begun = float(notebook.python(START.replace("NAME", name)))
            done = page.wait_for_function(f"() => window.drawn['{name}']", polling="raf").json_value()
            pixels.append(float(done) - begun)
        said("a container's start to its node drawn", pixels, 200)
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def main() -> None:
    """Print the table."""
    sizes = {path.name: path.stat().st_size for path in sorted(STATIC.glob("*.js"))}
    for name, size in sizes.items():
        print(f"{name:<52}{size / 1000:8.1f} kB")
    total = sum(sizes.values())
    print(f"{'all scripts':<52}{total / 1000:8.1f} kB  {'ok' if total <= LIMIT else 'OVER'}")
    home = _new_home("nbcontainer-bench-")
    place = Path(tempfile.mkdtemp(prefix="nbcontainer-bench-", dir="/var/tmp"))
    os.environ["NBCONTAINER_HOME"] = str(home)
    subprocess.run([sys.executable, "-m", "nbcontainer", "image", "bootstrap", "busybox"], check=True)
    jupyter = JupyterLab(place)
    try:
        jupyter.wait()
        measure(jupyter, 5)
    finally:
        jupyter.close()
        _remove(place)
        _remove(home)


if __name__ == "__main__":
    main()
