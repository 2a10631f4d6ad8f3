"""The tree of `%capture`: packets of a link."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import InvalidArgument
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.netns import place_named
from nbcontainer.magics.watching import FOR, Place

if TYPE_CHECKING:
    from nbcontainer.network.capture.session import Capture

#: Seconds between two tables of `--live`.
PACE = 0.25


def capture(call: Call) -> Capture:
    """Start to take packets; the capture."""
    from nbcontainer.network.capture.session import LIMIT, Capture

    link, *words = call.arguments
    lab = call.lab
    place = place_named(call, call.values["netns"]) if "netns" in call.values else lab.netns.host
    limit = call.get("count", LIMIT)
    if limit < 1:
        raise InvalidArgument(f"--count {limit}: at least one packet")
    made = Capture(link, " ".join(words), netns=place, limit=limit, names=lambda: _containers(lab))
    if call.get("live"):
        _live(call, made)
        return shown(made)
    return made


def _containers(lab: Any) -> dict[str, str]:
    """Whose an address is, of the containers that run and of the lab's host."""
    running = [c for c in lab.containers.list() if c.entry is not None]
    places = [lab.netns.of_process(c.entry.pidfd, c.name) for c in running]
    found: dict[str, str] = lab.netns.addresses(places)
    return found


def _live(call: Call, made: Capture) -> None:
    """Show the packets as they come, until Ctrl-C, or for so long, or until there are enough."""
    from nbcontainer.view.packets import packets_table

    place = Place()
    text = call.get("for")
    try:
        end = time.monotonic() + (float("inf") if text is None else float(text))
    except ValueError:
        made.stop()
        raise InvalidArgument(f'"{text}" is not a number of seconds') from None
    count = -1
    try:
        while made.running and time.monotonic() < end:
            if len(made) != count:
                count = len(made)
                place.show(packets_table(made))
            time.sleep(min(PACE, max(0.0, end - time.monotonic())))
    except KeyboardInterrupt:
        pass
    made.stop()
    place.show(packets_table(made))


CAPTURE = Command(
    "%capture",
    "Take the packets of a link: an object with packets, diagram, save(PATH) and stop()",
    (
        Option("netns", "n", "string", "The network namespace or container that has the link", completes="netns"),
        Option("count", "c", "int", "Stop after so many packets"),
        Option("live", "", help="Show the packets as they come, until Ctrl-C"),
        FOR,
    ),
    (Argument("LINK", completes="link"), Argument("FILTER", required=False, repeats=True)),
    action=capture, stops_at_argument=True,
)  # fmt: skip
