"""Views made of HTML: processes, namespaces, steps, cards, the dashboard."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import Any

from nbcontainer.runtime import Lab
from nbcontainer.view.container_card import ContainerCard
from nbcontainer.view.container_steps import ContainerSteps
from nbcontainer.view.lab_dashboard import LabDashboard
from nbcontainer.view.lab_processes import LabProcesses


def rows(view: Any) -> list[list[str]]:
    return [line.split() for line in view.text().splitlines()[1:]]


def test_processes_are_those_of_the_containers(lab: Any, busybox: Any) -> None:
    web = lab.containers.run("busybox", ["sh", "-c", "sleep 1000 & sleep 1001"], detach=True, name="web")
    view = LabProcesses(lab)
    told = {row["PID"]: row["NSPID"] for row in web.top(["PID", "NSPID"])}
    assert {row["Pid"]: row["Inside"] for row in view.rows if row["Container"] == "web"} == told
    assert "sleeping" in view.live_html()
    assert "sleeping" not in view.html()


def test_what_is_saved_of_processes_repeats(lab: Any, busybox: Any) -> None:
    texts = []
    for others in range(4):
        with Lab() as lab:
            web = lab.containers.run("busybox", ["sh", "-c", "sleep 1000 & sleep 1001"], detach=True, name="web")
            db = lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="db")
            for _ in range(others):  # each takes pids of the lab
                db.exec(["true"])
            web.exec(["sleep", "1002"], detach=True)
            view = LabProcesses(lab)
            texts.append((view.text(), view.html()))
    assert len(set(texts)) == 1
    assert [line.split()[-3:] for line in texts[0][0].splitlines()[1:]] == [
        ["web", "2", "1"], ["1000", "web", "2"], ["db", "3", "1"], ["1002", "web", "3"],
    ]  # fmt: skip


def test_steps_without_times_in_the_text(lab: Any, busybox: Any) -> None:
    texts = []
    for _ in range(2):
        container = lab.containers.run("busybox", ["true"], name="web")
        view = ContainerSteps(container)
        ElementTree.fromstring(view.svg())
        texts.append(view.text())
        container.remove()
    assert "seccomp" in texts[0]
    assert "µs" not in texts[0]
    assert texts[0].splitlines()[0].split() == ["STEP", "WHAT"]


def test_a_card_follows_its_container_and_its_buttons_act(lab: Any, busybox: Any) -> None:
    web = lab.containers.run("busybox", ["sh", "-c", "echo hello; sleep 1000"], detach=True, name="web")
    card = ContainerCard(web)
    told: list[Mapping[str, Any]] = []
    came = threading.Condition()

    def emit(message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        with came:
            told.append(message)
            came.notify_all()

    def says(text: str) -> None:
        with came:
            assert came.wait_for(lambda: any(text in str(message["data"]) for message in told), 60), told

    end = lab.loop.do(card.begin, emit)
    says("Up Less than a minute")
    lab.loop.do(card.receive, {"kind": "act", "what": "logs"}, ())
    says("hello")
    web.kill()
    says("Exited (137)")
    lab.loop.do(card.receive, {"kind": "act", "what": "pause"}, ())
    says("is not running")
    lab.loop.do(card.receive, {"kind": "act", "what": "remove"}, ())
    lab.loop.do(end)
    assert lab.containers._watchers == []
    assert lab.containers.get("web") is web


def test_the_dashboard_is_its_parts(lab: Any, busybox: Any) -> None:
    lab.containers.run("busybox", ["sleep", "1000"], detach=True, name="web")
    forms = LabDashboard(lab)._repr_mimebundle_()
    assert set(forms) == {"text/plain", "text/html"}
    assert "docker0" in forms["text/plain"]
    assert "sleep 1000" in forms["text/plain"]
    assert "data:image/svg+xml;base64," in forms["text/html"]
