"""How a pull looks while it goes: on a terminal, and in a page."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.image.registry.progress import Event, Lines
from nbcontainer.view.pulling import Live, Ticking, line, tick

LAYERS = ("0123456789ab", "ba9876543210")
STATUSES = ("Pulling fs layer", "Downloading", "Download complete", "Pull complete")


def seen(text: str) -> str:
    """What a page makes of carriage returns: what comes after one takes the place of what was there."""
    lines = []
    for whole in text.split("\n"):
        shown = ""
        for part in whole.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown)
    return "\n".join(lines)


def pulled(order: list[int]) -> list[Event]:
    """The events of a pull of two layers, which move on in this order."""
    events, at = [Event("1: Pulling from x")], [0, 0]
    events += [Event(STATUSES[0], layer) for layer in LAYERS]
    for layer in [*order, *[0] * 4, *[1] * 4]:
        if at[layer] < len(STATUSES) - 1:
            at[layer] += 1
            total = 4_000_000 if STATUSES[at[layer]] == "Downloading" else 0
            events.append(Event(STATUSES[at[layer]], LAYERS[layer], total // 3, total))
    return [*events, Event("Digest: sha256:…"), Event("Status: Downloaded newer image for x:1")]


@given(st.lists(st.integers(0, 1), max_size=8))
def test_a_page_keeps_the_lines_that_are_always_the_same(order: list[int]) -> None:
    stream, lines = io.StringIO(), list[str]()
    ticking, plain = Ticking(stream), Lines(lines.append)
    for event in pulled(order):
        ticking._drawn = 0.0  # every one is drawn
        ticking(event)
        plain(event)
    assert seen(stream.getvalue()) == "\n".join([*lines, ""])
    assert lines == [
        "1: Pulling from x", *(f"{layer}: Pull complete" for layer in LAYERS), "Digest: sha256:…",
        "Status: Downloaded newer image for x:1",
    ]  # fmt: skip


@given(st.integers(0, 1 << 44), st.integers(1, 1 << 44))
def test_how_far_it_is_is_never_longer_than_what_follows(current: int, total: int) -> None:
    current = min(current, total)
    assert len(tick(Event("Downloading", LAYERS[0], current, total))) == len(f"{LAYERS[0]}: Pull complete")
    assert len(tick(Event("Pushing", LAYERS[0], current, total))) == len(f"{LAYERS[0]}: Pushed")


def test_a_terminal() -> None:
    stream = io.StringIO()
    live = Live(stream)
    for event in pulled([])[:3]:
        live(event)
    live(Event("Downloading", LAYERS[0], 1_200_000, 2_400_000))
    assert stream.getvalue().startswith(f"1: Pulling from x\n\x1b[K{LAYERS[0]}: Pulling fs layer\n\x1b[1A\x1b[K")
    assert stream.getvalue().endswith(f"\x1b[K{LAYERS[1]}: Pulling fs layer\n")
    drawn = line(Event("Downloading", LAYERS[0], 1_200_000, 2_400_000))
    assert drawn == f"{LAYERS[0]}: Downloading [{'=' * 15}>{' ' * 14}]  1.2MB/2.4MB"
