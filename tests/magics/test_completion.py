"""Tab offers subcommands, options, choices and what there is."""

from __future__ import annotations

import pytest

from nbcontainer.magics.completion import complete
from nbcontainer.magics.container import CONTAINER
from nbcontainer.magics.extension import candidates

LIVE = {
    "container": lambda: ["busy1", "web"],
    "running": lambda: ["web"],
    "image": lambda: ["busybox", "busybox:latest", "host"],
    "volume": lambda: ["data"],
    "network-mode": lambda: ["net1", "container:web"],
}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ru"], ["run"]),
        (["p"], ["pause", "port", "prune"]),
        (["run", "--net"], ["--network", "--network-alias"]),
        (["run", "--network", "n"], ["net1", "none"]),
        (["run", "--network", "h"], ["host"]),
        (["run", "--network=h"], ["--network=host"]),
        (["run", "--network", "container:w"], ["container:web"]),
        (["run", "--volumes-from", ""], ["busy1", "web"]),
        (["run", "-v", "d"], ["data"]),
        (["run", "-dv", "d"], ["data"]),
        (["run", "-d", "bu"], ["busybox", "busybox:latest"]),
        (["run", "--name", "x", "h"], ["host"]),
        (["run", "busybox", ""], []),
        (["run", "busybox", "ls", "--"], []),
        (["run", "--name", ""], []),
        (["stop", ""], ["web"]),
        (["rm", "busy1", ""], ["busy1", "web"]),
        (["rm", "--", "w"], ["web"]),
        (["rm", "--fo"], ["--force"]),
        (["rename", "web", ""], []),
        (["nonsense", ""], []),
    ],
)
def test_offers(words: list[str], offered: list[str]) -> None:
    assert sorted(complete(CONTAINER, words, LIVE)) == offered


def test_options_are_all_there() -> None:
    offered = complete(CONTAINER, ["run", "--"], LIVE)
    assert "--cap-add" in offered
    assert "--help" in offered
    assert offered == sorted(offered)


def test_choices_come_before_names() -> None:
    assert complete(CONTAINER, ["run", "--pid", ""], LIVE) == [
        "private",
        "host",
        "container:busy1",
        "container:web",
    ]


def test_lines_that_are_ours_are_completed() -> None:
    assert candidates("%container run --network=ho") == ("--network=ho", ["--network=host"])
    assert candidates("%%container ru") == ("ru", ["run"])
    assert candidates("  x = %lab do") == ("do", ["doctor"])
    assert candidates("%container run -e 'A=b c' --netw") == ("--netw", ["--network", "--network-alias"])
    assert candidates("%container run -e 'A=b --netw") == ("--netw", ["--network", "--network-alias"])


@pytest.mark.parametrize(
    "line", ["%timeit run", "print(x", "", "x = 5 % container ", "%containers ru", "!container ru"]
)
def test_other_lines_are_left_alone(line: str) -> None:
    assert candidates(line)[1] == []
