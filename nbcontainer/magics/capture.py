"""The tree of `%capture`: packets of a link."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbcontainer.errors import InvalidArgument
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.netns import place_named
from nbcontainer.magics.watching import FOR, Place

if TYPE_CHECKING:
    from nbcontainer.network.capture.session import Capture
    from nbcontainer.network.networks import Event
    from nbcontainer.runtime import Lab

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
    made = Capture(link, " ".join(words), netns=place, limit=limit, names=Names(lab))
    if call.get("live"):
        _live(call, made)
        return shown(made)
    return made


class Names:
    """What addresses are called: by their containers, those that have ended meanwhile too, and the lab's host."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._known: dict[str, str] = {}
        for network in lab.networks.list():
            self._learn(network.name)
        own = weakref.ref(self)

        def heard(event: Event) -> None:
            names = own()
            if names is None:
                end()
            elif event.action == "connect":
                names._learn(event.attributes["name"])

        end = lab.networks.watch(heard)

    def _learn(self, network: str) -> None:
        for attached in self._lab.networks.inspect(network)["Containers"].values():
            for key in ("IPv4Address", "IPv6Address"):
                self._known[attached[key].partition("/")[0]] = attached["Name"]

    def __call__(self) -> Mapping[str, str]:
        return {**self._lab.netns.addresses([self._lab.netns.host]), **self._known}


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
