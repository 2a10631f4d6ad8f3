"""The tree of `%image`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import InvalidArgument, NbcontainerError
from nbcontainer.magics import formats, image_archive, image_build, image_registry, image_store
from nbcontainer.magics.call import Call
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.image_layers import OF_IMAGE
from nbcontainer.view import rows
from nbcontainer.view.tables import Column

if TYPE_CHECKING:
    from nbcontainer.image.images import Image


@dataclass(frozen=True)
class Named:
    """An image under one of its names, and that row of the table."""

    image: Image
    row: dict[str, Any]

    def matches(self, pattern: str) -> bool:
        """Docker's reference filter."""
        return formats.reference_matches(f"{self.row['Repository']}:{self.row['Tag']}", pattern)


def _tests(call: Call) -> dict[str, formats.Test]:
    def made(reference: str) -> str:
        return call.lab.images.get(reference).created

    return {
        "before": lambda named, wanted: named.image.created < made(wanted),
        "dangling": lambda named, wanted: (not named.image.owner.names_of(named.image)) == formats.boolean(wanted),
        "label": lambda named, wanted: formats.label_in(named.image.config.get("Labels") or {}, wanted),
        "reference": Named.matches,
        "since": lambda named, wanted: named.image.created > made(wanted),
        "until": lambda named, wanted: image_store.older(named.image, wanted),
    }


def ls(call: Call) -> object:
    """Images, newest first, a row for each name."""
    trunc, digests = not call.get("no_trunc"), bool(call.get("digests"))
    images = call.lab.images.list()
    every = [Named(image, row) for image in images for row in rows.image_rows(image, trunc, digests)]
    found: list[Named] = formats.filtered(call, every, _tests(call))
    made = [named.row for named in found if all(map(named.matches, call.arguments))]
    columns = rows.IMAGE_COLUMNS if not digests else rows.IMAGE_COLUMNS_WITH_DIGESTS
    return formats.show_rows(call, "Images", columns, made, known=LS_KNOWN)


LS_KNOWN = (Column("CreatedAt", "CREATED AT"), Column("Digest", "DIGEST"))


def tag(call: Call) -> None:
    """One more name."""
    call.lab.images.tag(*call.arguments)


def remove(call: Call) -> None:
    """Remove names, and the image with its last one; of several, the others too although one cannot be."""
    failed: NbcontainerError | None = None
    for name in call.arguments:
        try:
            lines = call.lab.images.remove(name, force=call.get("force", False))
        except NbcontainerError as error:
            if failed is not None:
                call.say(f"Error: {failed}")
            failed = error
            continue
        for line in lines:
            call.print(line)
    if failed is not None:
        raise failed


def inspect(call: Call) -> object:
    """Docker's JSON."""
    return show_inspected(call, lambda name: call.lab.images.get(name).inspect())


def history(call: Call) -> object:
    """How an image came about, newest step first."""
    image = call.lab.images.get(call.arguments[0])
    made = rows.history_rows(image, trunc=not call.get("no_trunc"), human=call.get("human", True))
    return formats.show_rows(call, f"History of {call.arguments[0]}", rows.HISTORY_COLUMNS, made)


def bootstrap(call: Call) -> Image:
    """An image made from what the machine has."""
    if call.arguments[0] != "busybox":
        raise InvalidArgument(f"cannot bootstrap {call.arguments[0]}: only busybox can be made from the machine")
    binary = call.get("binary")
    return call.lab.images.bootstrap_busybox(Path(binary).expanduser() if binary else None)


ONE = Argument("IMAGE", completes="image")

IMAGE = Command(
    "%image",
    "Manage images",
    commands=(
        image_build.COMMAND,
        Command(
            "ls", "List images",
            (
                Option("all", "a", help="Show all images (there are no hidden ones)"),
                Option("digests", "", help="Show digests"),
                formats.FILTER, formats.FORMAT, formats.NO_TRUNC,
                Option("quiet", "q", help="Only show image IDs"),
            ),
            (Argument("REPOSITORY[:TAG]", required=False, completes="image"),), aliases=("list",), action=ls,
        ),
        *image_registry.COMMANDS,
        Command(
            "tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", (),
            (Argument("SOURCE_IMAGE[:TAG]", completes="image"), Argument("TARGET_IMAGE[:TAG]")), action=tag,
        ),
        Command(
            "rm", "Remove one or more images", (Option("force", "f", help="Force removal of the image"),),
            (Argument("IMAGE", repeats=True, completes="image"),), aliases=("remove",), action=remove,
        ),
        Command(
            "inspect", "Display detailed information on one or more images", (INSPECT_FORMAT,),
            (Argument("IMAGE", repeats=True, completes="image"),), action=inspect,
        ),
        Command(
            "history", "Show the history of an image",
            (
                formats.FORMAT,
                Option("human", "H", help="Print sizes and dates in human readable format", default="true"),
                formats.NO_TRUNC,
                Option("quiet", "q", help="Only show image IDs"),
            ),
            (ONE,), action=history,
        ),
        Command(
            "bootstrap", "Make an image from what this machine has: busybox, from its static busybox",
            (Option("binary", "", "string", "The static busybox to use, instead of the machine's"),),
            (Argument("IMAGE", completes="bootstrap"),), action=bootstrap,
        ),
        OF_IMAGE,
        *image_archive.COMMANDS,
        *image_store.COMMANDS,
    ),
)  # fmt: skip
