"""Pulls, pushes, loads and builds in a page, while they go on and after."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import PATIENCE
from tests.image.build import docker, sha256, tree
from tests.image.registry.bad import Answer, Bad, Request
from tests.registries import PROGRAM, Registry


@dataclass
class Half(Answer):
    """The first half of a body at once, the rest when `gate` opens."""

    gate: threading.Event = field(default_factory=threading.Event)

    def send(self, connection: Any, stopped: threading.Event) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\n\r\n".encode()
        middle = len(self.body) // 2
        connection.sendall(head + self.body[: middle - 100])
        stopped.wait(0.3)  # how far it is, is told ten times a second
        connection.sendall(self.body[middle - 100 : middle])
        while not self.gate.wait(0.1) and not stopped.is_set():
            pass
        connection.sendall(self.body[middle:])


#: Bytes of the layers, and those of them that come only half at first.
SIZES, HELD = (40_000, 3_400_000, 1_200_000, 250_000, 700_000), (1, 2)


@pytest.fixture
def layers(request: pytest.FixtureRequest) -> list[bytes]:
    """Layers that no other test has."""
    chance = random.Random(request.node.name)
    return [tree({f"part{number}": chance.randbytes(size)}) for number, size in enumerate(SIZES)]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def slow(layers: list[bytes], gate: threading.Event) -> Iterator[Bad]:
    """A registry with an image of them."""
    held = {sha256(layers[number]): layers[number] for number in HELD}

    def trick(request: Request, count: int) -> Answer | None:
        body = held.get(request.path.rpartition("/")[2])
        return Half(body=body, gate=gate) if body is not None else None

    with Bad(layers, trick) as bad:
        yield bad


def short(layer: bytes) -> str:
    return sha256(layer)[7:19]


def row(view: Locator, layer: bytes) -> Locator:
    return view.locator(".nbc-row", has_text=short(layer))


def tops(page: Any) -> None:
    """Note where the next cell stands, at every frame, until `jumps` is asked."""
    page.page.evaluate(
        """() => {
            const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[1];
            window.tops = [];
            const look = () => { window.tops.push(cell.getBoundingClientRect().top); requestAnimationFrame(look); };
            look();
        }"""
    )


def jumps(page: Any) -> list[tuple[float, float]]:
    """The places where what stands below went up again."""
    seen = page.page.evaluate("() => window.tops")
    return [(a, b) for a, b in pairwise(seen) if b < a - 1]


#: Who listens to pulls and builds, which pages look, and whether something is still to be drawn.
LEFT = """\
from nbcontainer import runtime
from nbcontainer.view.widgets.widget import LiveView
import ipywidgets
lab = runtime.current_lab()
views = [w for w in ipywidgets.widgets.widget._instances.values() if isinstance(w, LiveView)]
looking, drawing = sum(view.looking for view in views), any(view.view._timer for view in views)
print(len(lab.images._watchers), lab.builder._watchers, looking, drawing)
"""


def test_a_pull_by_layer(notebook: Any, layers: list[bytes], slow: Bad, gate: threading.Event) -> None:
    page = notebook(f"pulled = %image pull {slow.name}", "print('after')")
    view = page.start(0).locator(".nbc-progress")
    expect(view).to_be_visible(timeout=PATIENCE)
    expect(row(view, layers[0])).to_contain_text("Pull complete")
    half = row(view, layers[1])
    expect(half).to_contain_text("Downloading")
    expect(half).to_contain_text("1.705MB of 3.41MB")
    bar = half.get_by_role("progressbar", name=f"Layer {short(layers[1])}")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    expect(bar).to_have_attribute("aria-valuetext", "Downloading, 1.705MB of 3.41MB")
    expect(view.locator(".nbc-whole")).to_have_text("Running")
    expect(view.get_by_role("status")).to_have_text(f"Pull {slow.name}: running")
    expect(view).to_contain_text("3 of 5 layers")
    page.pictures(view, "pull")
    tops(page)
    gate.set()
    expect(view.locator(".nbc-whole")).to_have_text("Done", timeout=PATIENCE)
    expect(view.get_by_role("status")).to_contain_text("done, 5 of 5 layers")
    for layer in layers:
        expect(row(view, layer)).to_contain_text("Pull complete")
    expect(view).to_contain_text(f"Status: Downloaded newer image for {slow.name}")
    page.page.wait_for_timeout(500)
    assert jumps(page) == []
    page.pictures(view, "pull-done")
    # What is saved: the text that is printed where no page shows it, and the rows without a script.
    (saved,) = page.save().cells[0].outputs
    digest = sha256(slow.manifest)
    assert saved.data["text/plain"].splitlines() == [
        "1: Pulling from bad", *(f"{short(layer)}: Pull complete" for layer in layers), f"Digest: {digest}",
        f"Status: Downloaded newer image for {slow.name}", slow.name,
    ]  # fmt: skip
    assert saved.metadata["nbcontainer"] == {"stream": "stdout"}
    assert saved.data["text/html"].count("Pull complete") == 5
    # Nothing goes on, and once more everything is there.
    for _ in range(100):
        if page.python(LEFT) == "0 [] 0 False":
            break
        page.page.wait_for_timeout(100)
    assert page.python(LEFT) == "0 [] 0 False"
    page.python("pulled.owner.tag(pulled.tags[0], 'kept:1')")
    page.run(0)
    expect(view).to_contain_text("Image is up to date")
    page.python(f"%image rm {slow.name} kept:1")


def test_ctrl_c_in_a_pull(notebook: Any, layers: list[bytes], slow: Bad) -> None:
    page = notebook(f"pulled = %image pull {slow.name}")
    view = page.start(0).locator(".nbc-progress")
    expect(row(view, layers[1])).to_contain_text("1.705MB of 3.41MB", timeout=PATIENCE)
    expect(row(view, layers[3])).to_contain_text("Pull complete")
    page.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    expect(view.locator(".nbc-whole")).to_have_text("Interrupted", timeout=PATIENCE)
    expect(view.get_by_role("status")).to_contain_text("interrupted")
    expect(row(view, layers[1])).to_contain_text("1.705MB of 3.41MB")
    page.pictures(view, "pull-interrupted")
    saved = page.save().cells[0].outputs
    assert saved[0].data["text/plain"] == f"1: Pulling from bad\n{short(layers[0])}: Pull complete"
    assert "Interrupted" in saved[0].data["text/html"]
    assert saved[1].ename == "KeyboardInterrupt"


BUILD = """\
%%image build -t made:1 --no-cache
FROM busybox
RUN for i in $(seq 40); do echo line $i; done
RUN echo waiting; until wget -qO- http://172.17.0.2:8123/go; do sleep 0.1; done 2>/dev/null; echo it may go on
COPY <<END /etc/motd
Good morning
END
RUN echo last words; exit 3
"""
#: A server on the bridge; a thread of the kernel puts the file there that the build waits for, once there is `GATE`.
SERVER = """\
import pathlib, threading, time
from nbcontainer import runtime
command = ["sh", "-c", "mkdir /www; httpd -f -p 8123 -h /www"]
server = runtime.current_lab().containers.run("busybox", command, detach=True, name="server")
def wait():
    while not pathlib.Path("GATE").exists():
        time.sleep(0.1)
    server.exec(["sh", "-c", "echo here it is >/www/go"])
threading.Thread(target=wait, daemon=True).start()
"""


def test_a_build_by_step(notebook: Any, tmp_path: Path) -> None:
    page = notebook(BUILD, "print('after')")
    assert page.python(SERVER.replace("GATE", str(tmp_path / "gate"))) == ""
    view = page.start(0).locator(".nbc-progress")
    expect(view).to_be_visible(timeout=PATIENCE)
    step = view.get_by_role("button").filter(has_text="seq 40")
    waits = view.get_by_role("button").filter(has_text="172.17.0.2")
    expect(step).to_contain_text("DONE", timeout=PATIENCE)
    expect(waits.locator(".nbc-tail")).to_have_text("waiting")
    # Folded until it is asked for, by mouse or by key.
    log = view.locator("pre").filter(has_text="line 40")
    expect(log).to_be_hidden()
    step.click()
    expect(log).to_be_visible()
    expect(step).to_have_attribute("aria-expanded", "true")
    step.press("Enter")
    expect(log).to_be_hidden()
    step.press("Space")
    expect(log).to_be_visible()
    page.pictures(view, "build")
    step.click()
    (tmp_path / "gate").touch()
    expect(view.locator(".nbc-whole")).to_have_text("Failed", timeout=PATIENCE)
    expect(view.get_by_role("button").filter(has_text="last words")).to_contain_text("ERROR")
    expect(view.locator("pre:visible")).to_contain_text("did not complete successfully: exit code: 3")
    expect(view.get_by_role("status")).to_contain_text("failed at [5/5] RUN echo last words")
    page.pictures(view, "build-failed")
    saved = page.save().cells[0].outputs
    text = saved[0].data["text/plain"]
    assert text.startswith("#1 [1/5] FROM busybox\n#1 DONE\n\n#2 [2/5] RUN for")
    assert "#3 waiting\n#3 here it is\n#3 it may go on\n#3 DONE" in text
    assert "<details open>" in saved[0].data["text/html"]


def test_a_base_image_is_pulled_beside_the_build(
    notebook: Any, layers: list[bytes], slow: Bad, gate: threading.Event
) -> None:
    gate.set()
    page = notebook(f"%%image build\nFROM {slow.name}\nLABEL a=b\n")
    output = page.run(0)
    expect(output.locator(".nbc-progress")).to_have_count(2, timeout=PATIENCE)
    build, pull = output.locator(".nbc-progress").all()
    expect(pull.locator(".nbc-whole")).to_have_text("Done")
    expect(build.locator(".nbc-whole")).to_have_text("Done")
    expect(row(pull, layers[4])).to_contain_text("Pull complete")
    assert page.save().cells[0].outputs[1].metadata["nbcontainer"] == {"stream": "stderr"}
    page.python(f"%image rm -f {slow.name}")


def test_a_load_and_a_push(notebook: Any, layers: list[bytes], tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    (tmp_path / "images.tar").write_bytes(docker(layers, ["loaded:1"]))
    (tmp_path / "registry").mkdir()
    with Registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/loaded:1"
        page = notebook(f"%image load -i {tmp_path}/images.tar", f"%image push {name}", f"%image push {name}")
        view = page.run(0).locator(".nbc-progress")
        expect(view.locator(".nbc-whole")).to_have_text("Done", timeout=PATIENCE)
        expect(row(view, layers[1])).to_contain_text("Load complete")
        expect(row(view, layers[1])).to_contain_text("3.41MB")
        page.python(f"%image tag loaded:1 {name}")
        view = page.run(1).locator(".nbc-progress")
        expect(view.locator(".nbc-whole")).to_have_text("Done", timeout=PATIENCE)
        expect(view).to_contain_text("5 of 5 layers")
        expect(row(view, layers[1])).to_contain_text("Pushed")
        view = page.run(2).locator(".nbc-progress")
        expect(row(view, layers[1])).to_contain_text("Layer already exists", timeout=PATIENCE)
        page.pictures(page.output(1).locator(".nbc-progress"), "push")
        saved = [cell.outputs[0].data["text/plain"] for cell in page.save().cells]
        assert saved[0] == "Loaded image: loaded:1"
        assert saved[1].startswith(
            f"The push refers to repository [{registry.host}/loaded]\n{short(layers[0])}: Pushed\n"
        )
        page.python(f"%image rm -f loaded:1 {name}")


STILL = """() => document.getAnimations().filter(one => one.playState === 'running')
    .map(one => one.animationName || one.transitionProperty)"""


def test_a_reader_who_wants_no_motion(notebook: Any, layers: list[bytes], slow: Bad) -> None:
    page = notebook(f"pulled = %image pull {slow.name}")
    page.page.emulate_media(reduced_motion="reduce")
    view = page.start(0).locator(".nbc-progress")
    expect(row(view, layers[1])).to_contain_text("1.705MB of 3.41MB", timeout=PATIENCE)
    assert "nbc-turn" not in page.page.evaluate(STILL)
    page.page.emulate_media(reduced_motion="no-preference")
    page.page.wait_for_timeout(100)
    assert "nbc-turn" in page.page.evaluate(STILL)
    page.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    expect(view.locator(".nbc-whole")).to_have_text("Interrupted", timeout=PATIENCE)
