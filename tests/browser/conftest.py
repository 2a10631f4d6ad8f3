"""JupyterLab and Notebook 7 on loopback, and a real browser in front: Debian's Chromium, driven by Playwright.

One server and one browser serve all tests, and the pages share the browser's cache: so the code of JupyterLab is
fetched and compiled once. Nothing waits for a time to pass; everything waits for what it wants to see.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.conftest import _remove

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

#: The extra `browser`; without it there is nothing here to run.
if not (find_spec("playwright") and find_spec("jupyterlab")):
    collect_ignore_glob = ["test_*.py"]

#: Where pictures of everything are left to be looked at; git ignores it, CI keeps it.
PICTURES = Path(__file__).parents[2] / "pictures"
#: What a terminal says, from its first line on.
SCREEN = """(element) => {
    const buffer = element.terminal.buffer.active;
    const lines = [];
    for (let y = 0; y < buffer.length; y++) lines.push(buffer.getLine(y).translateToString(true));
    return lines.join('\\n').trimEnd();
}"""
#: Milliseconds for what a loaded machine may take long for.
PATIENCE = 60_000


class JupyterLab:
    """A server of our own: its directory of notebooks, and its address."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.notebooks = place / "notebooks"
        self.notebooks.mkdir()
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = (place / "jupyter.log").open("wb")
        home = place / "home"
        home.mkdir()
        settings = home / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        environment = {
            # PS1 would be the prompt of the lab's shell.
            **{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY", "PS1"))},
            "HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "SHELL": "/bin/sh",
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={self.port}",
                f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.notebooks}",
                "--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True",
                "--LabApp.news_url=None", "--LabApp.check_for_updates_class="
                "jupyterlab.handlers.announcements.NeverCheckForUpdate",
                *(["--allow-root"] if os.geteuid() == 0 else []),
            ],
            stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, cwd=self.notebooks,
        )  # fmt: skip

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.address}/api?token={self.token}", timeout=5)
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError((self.place / "jupyter.log").read_text())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="session")
def jupyter(store: None) -> Iterator[JupyterLab]:
    """The server."""
    place = Path(tempfile.mkdtemp(prefix="nbcontainer-browser-", dir="/var/tmp"))
    server = JupyterLab(place)
    try:
        server.wait()
        yield server
    finally:
        server.close()
        _remove(place)


@pytest.fixture(scope="session")
def store() -> None:
    """The store of this run's home has busybox."""
    if shutil.which("busybox") is None:
        pytest.skip("not installed: busybox-static")
    subprocess.run([sys.executable, "-m", "nbcontainer", "image", "bootstrap", "busybox"], check=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window. Raises `FileNotFoundError` where there is none."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise FileNotFoundError("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    try:
        with chromium() as browser:
            yield browser
    except FileNotFoundError:
        pytest.skip("not installed: chromium")


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What all pages share: a cache, and leave to use the clipboard."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


class Notebook:
    """A notebook open in a page. `run(0)` runs the first cell and gives its output.

    `front` is the path at which the server has it: `doc/tree` is JupyterLab's, `notebooks` that of Notebook 7.
    """

    def __init__(self, page: Page, jupyter: JupyterLab, name: str, front: str = "doc/tree") -> None:
        self.page = page
        self.front = front
        self.jupyter = jupyter
        self.name = name
        self.complaints: list[str] = []
        #: Complaints that do not count, by what is in them.
        self.forgiven: tuple[str, ...] = ()
        page.on("pageerror", lambda error: self.complain(str(error)))

    def complain(self, text: str) -> None:
        """The page has had an error that nobody caught."""
        if not any(known in text for known in self.forgiven):
            self.complaints.append(text)

    @property
    def path(self) -> Path:
        return self.jupyter.notebooks / self.name

    def open(self) -> None:
        """Load the page, and wait for its kernel."""
        self.page.goto(f"{self.jupyter.address}/{self.front}/{self.name}?token={self.jupyter.token}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
        self.idle()
        # What a front end complains of while it starts is its own affair.
        self.complaints.clear()

    def idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=PATIENCE,
        )

    def run(self, number: int) -> Locator:
        """Run one cell, wait until the kernel has done it, and give what is below it."""
        self.command("notebook:run-cell", number)
        return self.output(number)

    def start(self, number: int) -> Locator:
        """Run one cell, and give what is below it while it goes on."""
        self.page.evaluate(
            """number => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
                void window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            number,
        )
        return self.output(number)

    def command(self, name: str, number: int) -> None:
        """One of JupyterLab's own commands, on a cell."""
        self.page.evaluate(
            """async ([name, number]) => {
                const panel = window.jupyterapp.shell.currentWidget;
                panel.content.activeCellIndex = number;
                await window.jupyterapp.commands.execute(name);
            }""",
            [name, number],
        )

    def output(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-Cell-outputArea")

    def python(self, code: str) -> str:
        """What a piece of code prints in the notebook's kernel, beside its cells."""
        return str(
            self.page.evaluate(
                """async (code) => {
                    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                    const future = kernel.requestExecute({code, store_history: false, silent: false});
                    let text = '';
                    future.onIOPub = (message) => {
                        if (message.header.msg_type === 'stream') text += message.content.text;
                        if (message.header.msg_type === 'error') text += message.content.traceback.join('\\n');
                    };
                    await future.done;
                    return text;
                }""",
                code,
            )
        ).strip()

    def prints(self, code: str, wanted: str) -> None:
        """Wait until a piece of code prints `wanted`."""
        end = time.monotonic() + PATIENCE / 1000
        while (found := self.python(code)) != wanted:
            assert time.monotonic() < end, f"{found!r}, not {wanted!r}, is what this prints:\n{code}"
            self.page.wait_for_timeout(50)

    def until(self, view: Locator, condition: str, argument: Any = None) -> None:
        """Wait until `condition`, a function of JavaScript, is true of the view's element (and of `argument`)."""
        self.page.wait_for_function(
            f"([element, argument]) => ({condition})(element, argument)",
            arg=[view.element_handle(), argument], timeout=PATIENCE,
        )  # fmt: skip

    def says(self, view: Locator, text: str) -> None:
        """Wait until a terminal says `text`."""
        from playwright.sync_api import TimeoutError

        try:
            self.until(view, f"(element, text) => element.terminal && ({SCREEN})(element).includes(text)", text)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in:\n{view.evaluate(SCREEN)}") from None

    def drawn(self, view: Locator) -> None:
        """Wait until a topology has its graph, and nothing of it moves."""
        self.until(view, "e => e.graph && !e.graph.animated() && e.graph.elements().every(x => !x.animated())")
        self.until(view, "e => e.graph.elements('.new, .gone').empty()")

    def theme(self, dark: bool) -> None:
        """JupyterLab's theme."""
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        self.page.wait_for_function(
            f"() => document.body.dataset.jpThemeLight === '{'false' if dark else 'true'}'", timeout=PATIENCE
        )

    def pictures(self, what: Locator, name: str) -> None:
        """How it looks, light and dark."""
        PICTURES.mkdir(exist_ok=True)
        for dark in (False, True):
            self.theme(dark)
            what.scroll_into_view_if_needed()
            # What is drawn on a canvas is drawn with the next frame.
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            what.screenshot(path=PICTURES / f"{name}-{'dark' if dark else 'light'}.png", animations="disabled")
        self.theme(False)

    def save(self) -> Any:
        """The notebook as it is saved now."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.path, as_version=4)

    def saved(self, number: int, wanted: str) -> Any:
        """What is saved of a cell's first output, by MIME type, once its text has `wanted` in it."""
        end = time.monotonic() + PATIENCE / 1000
        while wanted not in (data := self.save().cells[number].outputs[0].data)["text/plain"]:
            assert time.monotonic() < end, f"{wanted!r} is not in:\n{data['text/plain']}"
            self.page.wait_for_timeout(50)
        return data


@pytest.fixture
def notebook(jupyter: JupyterLab, context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Any]:
    """`notebook("%lab", …)` opens a new notebook of these cells, with the extension loaded."""
    opened: list[Notebook] = []

    def open_notebook(*cells: str, front: str = "doc/tree") -> Notebook:
        name = re.sub(r"\W", "_", request.node.name) + f"{len(opened) or ''}.ipynb"
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(made, jupyter.notebooks / name)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        notebook = Notebook(page, jupyter, name, front)
        notebook.open()
        opened.append(notebook)
        assert notebook.python("%load_ext nbcontainer") == ""
        return notebook

    yield open_notebook
    for notebook in opened:
        try:
            notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        finally:
            notebook.page.close()
        assert notebook.complaints == []
