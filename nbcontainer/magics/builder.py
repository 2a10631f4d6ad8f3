"""The tree of `%builder`."""

from __future__ import annotations

from nbcontainer.magics import image_build
from nbcontainer.magics.call import Call
from nbcontainer.magics.grammar import Command
from nbcontainer.view import words


def prune(call: Call) -> None:
    """Forget what builds have kept."""
    _, size = call.lab.builder.prune()
    call.print(f"Total reclaimed space: {words.size(size)}")


BUILDER = Command(
    "%builder",
    "Manage builds",
    commands=(image_build.COMMAND, Command("prune", "Remove build cache", action=prune)),
)
