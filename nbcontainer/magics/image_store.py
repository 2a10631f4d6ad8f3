"""`%image prune|fsck`: the store of images."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbcontainer.errors import ImageError, InvalidArgument
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Command, Option
from nbcontainer.view import words

if TYPE_CHECKING:
    from nbcontainer.image.fsck import Report
    from nbcontainer.image.images import Image


def older(image: Image, wanted: str) -> bool:
    """The filter `until`: made before a moment, or longer ago than a duration such as 24h."""
    try:
        limit = formats.moment(wanted, datetime.now(UTC))
    except ValueError:
        raise InvalidArgument(f"invalid filter 'until={wanted}': neither a duration such as 24h nor a time") from None
    return not image.created or words.rfc3339(image.created) < limit


TESTS: dict[str, formats.Test] = {
    "dangling": lambda image, wanted: formats.boolean(wanted) or True,
    "label": lambda image, wanted: formats.label_in(image.config.get("Labels") or {}, wanted),
    "label!": lambda image, wanted: not formats.label_in(image.config.get("Labels") or {}, wanted),
    "until": older,
}


def prune(call: Call) -> None:
    """Remove images that have no name, or with --all those that no container uses."""
    every = bool(call.get("all"))
    for text in call.get("filter", []):
        if text.startswith("dangling="):
            every = every or not formats.boolean(text.partition("=")[2])
    candidates = formats.filtered(call, call.lab.images.unused(every), TESTS)
    lines, reclaimed = call.lab.images.prune(candidates)
    if lines:
        call.print("Deleted Images:")
        for line in lines:
            call.print(line[0].lower() + line[1:])
        call.print("")
    call.print(f"Total reclaimed space: {words.size(reclaimed)}")


def fsck(call: Call) -> Report:
    """Recompute every digest and compare every unpacked layer."""
    report = call.lab.images.fsck(repair=bool(call.get("repair")))
    for problem in report.problems:
        call.print(str(problem))
    left = sum(not problem.repaired for problem in report.problems)
    looked = f"{report.images} images, {report.layers} layers, {words.size(report.size)}"
    if left:
        remedy = "" if call.get("repair") else ": %image fsck --repair puts right what it can"
        raise ImageError(f"{left} of {len(report.problems)} problems are left{remedy}")
    call.print(f"{looked}: {'repaired' if report.problems else 'everything is as it should be'}")
    return shown(report)


COMMANDS = (
    Command(
        "prune", "Remove unused images",
        (
            Option("all", "a", help="Remove all unused images, not just dangling ones"),
            replace(formats.FILTER, short="", help='Provide filter values (e.g. "until=<timestamp>")'),
            Option("force", "f", help="Do not prompt for confirmation (we never do)"),
        ),
        action=prune,
    ),
    Command(
        "fsck", "Check the store: every digest, every unpacked layer",
        (Option("repair", "", help="Put right what can be: unpack again, drop what is damaged or needed by nothing"),),
        action=fsck,
    ),
)  # fmt: skip
