"""Tab offers subcommands, options, choices and what there is."""

from __future__ import annotations

import pytest

from nbcontainer.magics.completion import complete
from nbcontainer.magics.container import CONTAINER
from nbcontainer.magics.extension import candidates
from nbcontainer.magics.lab import LAB

LIVE = {
    "container": lambda: ["busy1", "web"],
    "running": lambda: ["web"],
    "image": lambda: ["busybox", "busybox:latest", "host"],
    "volume": lambda: ["data"],
}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ru"], ["run"]),
        (["p"], ["pause", "port", "prune"]),
        (["run", "--net"], ["--network"]),
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


def test_a_part_of_the_word_is_completed_as_that_part() -> None:
    # IPython cuts words at "=" and ":".
    assert candidates(CONTAINER, "%container run --network=ho", "ho") == ["host"]
    assert candidates(CONTAINER, "%container run --network ho", "ho") == ["host"]
    assert candidates(CONTAINER, "%%container ru", "ru") == ["run"]
    assert candidates(LAB, "x = %lab do", "do") == ["doctor"]
