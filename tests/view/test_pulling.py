"""How a pull looks on a terminal while it goes."""

from __future__ import annotations

import io

from nbcontainer.image.registry.progress import Event
from nbcontainer.view.pulling import Live, line

LAYERS = ("0123456789ab", "ba9876543210")


def test_a_terminal() -> None:
    stream = io.StringIO()
    live = Live(stream)
    for event in [Event("1: Pulling from x"), *(Event("Pulling fs layer", layer) for layer in LAYERS)]:
        live(event)
    live(Event("Downloading", LAYERS[0], 1_200_000, 2_400_000))
    assert stream.getvalue().startswith(f"1: Pulling from x\n\x1b[K{LAYERS[0]}: Pulling fs layer\n\x1b[1A\x1b[K")
    assert stream.getvalue().endswith(f"\x1b[K{LAYERS[1]}: Pulling fs layer\n")
    drawn = line(Event("Downloading", LAYERS[0], 1_200_000, 2_400_000))
    assert drawn == f"{LAYERS[0]}: Downloading [{'=' * 15}>{' ' * 14}]  1.2MB/2.4MB"
