"""The model of pulls, pushes, loads and builds: one state, and its text, HTML and JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.build.events import BuildEvent, BuildStep
from nbcontainer.image.registry.progress import Event, Lines
from nbcontainer.view.progress.building import Building
from nbcontainer.view.progress.progress import LOG
from nbcontainer.view.progress.transfer import Transfer

LAYERS = ("0123456789ab", "ba9876543210")
STATUSES = ("Pulling fs layer", "Downloading", "Download complete", "Extracting", "Pull complete")


def pulled(order: list[int]) -> list[Event]:
    """The events of a pull of two layers, which move on in this order."""
    events, at = [Event("1: Pulling from x")], [0, 0]
    events += [Event(STATUSES[0], layer) for layer in LAYERS]
    for layer in [*order, *[0] * 5, *[1] * 5]:
        if at[layer] < len(STATUSES) - 1:
            at[layer] += 1
            total = 4_000_000 if STATUSES[at[layer]] == "Downloading" else 0
            events.append(Event(STATUSES[at[layer]], LAYERS[layer], total // 4, total))
    return [*events, Event("Digest: sha256:…"), Event("Status: Downloaded newer image for x:1")]


@given(st.lists(st.integers(0, 1), max_size=8))
def test_the_text_is_what_is_printed_elsewhere(order: list[int]) -> None:
    view, lines = Transfer("Pull"), list[str]()
    printed = Lines(lines.append)
    for event in pulled(order):
        view(event)
        printed(event)
    view.end("done")
    assert view.text().splitlines() == lines
    assert lines == [
        "1: Pulling from x", *(f"{layer}: Pull complete" for layer in LAYERS), "Digest: sha256:…",
        "Status: Downloaded newer image for x:1",
    ]  # fmt: skip
    assert (view.state, view.name) == ("done", "x:1")


def rows(view: Any) -> list[dict[str, Any]]:
    return [entry for entry in view.snapshot()["entries"] if "label" in entry]


def test_a_pull_half_way() -> None:
    view = Transfer("Pull")
    events = pulled([])
    for event in events[:3]:
        view(event)
    assert view.snapshot()["summary"] == "0 of 2 layers"
    assert view.snapshot()["room"] == 2
    view(Event("Downloading", LAYERS[0], 1_000_000, 4_000_000))
    view(Event("Already exists", LAYERS[1]))
    first, second = rows(view)
    assert first == {
        "label": LAYERS[0], "state": "Downloading", "mood": "running", "part": 0.25, "detail": "1MB of 4MB",
    }  # fmt: skip
    assert (second["mood"], second["part"]) == ("known", 1.0)
    assert view.snapshot()["summary"] == "1 of 2 layers, 1MB of 4MB"
    view.end("interrupted")
    assert rows(view)[0]["mood"] == "stopped"
    assert view.snapshot()["room"] == 0
    assert "Interrupted" in view.html()
    assert view.text() == "1: Pulling from x"


def test_a_pull_that_came_whole_has_not_failed_with_what_came_after() -> None:
    view = Transfer("Pull")
    for event in pulled([]):
        view(event)
    view.end("failed")
    assert view.state == "done"
    view = Transfer("Pull")
    view(pulled([])[0])
    view.end("failed")
    assert view.state == "failed"


def test_several_images_have_their_own_rows() -> None:
    view = Transfer("Pull", "x")
    for event in [*pulled([]), *pulled([])]:
        view(event)
    assert [row["label"] for row in rows(view)] == [*LAYERS, *LAYERS]


def test_a_load_says_the_names_alone() -> None:
    view = Transfer("Load", "images.tar")
    view(Event("Loading layer", LAYERS[0], 5, 10))
    view(Event("Load complete", LAYERS[0]))
    view(Event("Loaded image: x:1"))
    assert view.text() == "Loaded image: x:1"
    assert rows(view)[0]["detail"] == "10B"


def test_a_build() -> None:
    view = Building("made:1")
    one, two = (BuildStep(number, "", number, 2, what) for number, what in ((1, "FROM <x>"), (2, "RUN make")))
    for event in (BuildEvent("start", one), BuildEvent("cached", one), BuildEvent("start", two)):
        view(event)
    for number in range(LOG + 3):
        view(BuildEvent("output", two, f"line {number}"))
    assert view.snapshot()["summary"] == "2 steps, 1 cached"
    assert rows(view)[1]["log"][0] == "line 3"
    assert rows(view)[1]["cut"] == 3
    view(BuildEvent("failed", two, "exit code: 3"))
    view.end("failed")
    assert [row["state"] for row in rows(view)] == ["CACHED", "ERROR"]
    page = view.html()
    assert "FROM &lt;x&gt;" in page
    assert "… 4 lines before these" in page
    assert "<details open>" in page
    text = view.text()
    assert text.startswith("#1 [1/2] FROM <x>\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 line 0\n")
    assert text.endswith("#2 ERROR: exit code: 3")


def test_nothing_is_left_of_one_that_has_ended() -> None:
    view = Building()
    step = BuildStep(1, "", 1, 1, "RUN make")
    view(BuildEvent("start", step))
    view.end("done")
    view._loop.do(lambda: None)
    assert view._timer is None
    assert view.snapshot()["state"] == "done"
    assert "_widget" not in view.__dict__
