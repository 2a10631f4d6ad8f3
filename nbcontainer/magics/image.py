"""The tree of `%image`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import InvalidArgument, UsageError
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command, Option
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


TESTS: dict[str, formats.Test] = {
    "dangling": lambda named, wanted: (not named.image.tags) == (wanted in ("1", "true")),
    "label": lambda named, wanted: formats.label_in(named.image.config.get("Labels") or {}, wanted),
    "reference": Named.matches,
}


def ls(call: Call) -> object:
    """Images, newest first, a row for each name."""
    trunc = not call.get("no_trunc")
    every = [Named(image, row) for image in call.lab.images.list() for row in rows.image_rows(image, trunc)]
    found: list[Named] = formats.filtered(call, every, TESTS)
    made = [named.row for named in found if all(map(named.matches, call.arguments))]
    return formats.show_rows(call, "Images", rows.IMAGE_COLUMNS, made, known=LS_KNOWN)


LS_KNOWN = (Column("CreatedAt", "CREATED AT"),)


def tag(call: Call) -> None:
    """One more name."""
    call.lab.images.tag(*call.arguments)


def remove(call: Call) -> None:
    """Remove names, and the image with its last one."""
    for name in call.arguments:
        for line in call.lab.images.remove(name, force=call.get("force", False)):
            call.print(line)


def inspect(call: Call) -> object:
    """Docker's JSON."""
    return show_inspected(call, lambda name: call.lab.images.get(name).inspect())


def history(call: Call) -> object:
    """How an image came about, newest step first."""
    image = call.lab.images.get(call.arguments[0])
    made = rows.history_rows(image, trunc=not call.get("no_trunc"), human=call.get("human", True))
    return formats.show_rows(call, f"History of {call.arguments[0]}", rows.HISTORY_COLUMNS, made)


def load(call: Call) -> object:
    """Images from an archive that `docker save` wrote."""
    if "input" not in call.values:
        raise UsageError(f"a notebook has no standard input: name the archive, {call.path} --input FILE")
    loaded = call.lab.images.load(Path(call.values["input"]).expanduser())
    for image in loaded:
        if not call.get("quiet"):
            names = [f"Loaded image: {name}" for name in image.tags] or [f"Loaded image ID: {image.id}"]
            call.print("\n".join(names))
    return shown(loaded[0] if len(loaded) == 1 else loaded)


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
        Command(
            "ls", "List images",
            (
                Option("all", "a", help="Show all images (there are no hidden ones)"),
                formats.FILTER, formats.FORMAT, formats.NO_TRUNC,
                Option("quiet", "q", help="Only show image IDs"),
            ),
            (Argument("REPOSITORY[:TAG]", required=False, completes="image"),), aliases=("list",), action=ls,
        ),
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
            "load", "Load an image from a tar archive",
            (
                Option("input", "i", "string", "Read from tar archive file"),
                Option("quiet", "q", help="Suppress the load output"),
            ),
            action=load,
        ),
        Command(
            "bootstrap", "Make an image from what this machine has: busybox, from its static busybox",
            (Option("binary", "", "string", "The static busybox to use, instead of the machine's"),),
            (Argument("IMAGE", completes="bootstrap"),), action=bootstrap,
        ),
    ),
)  # fmt: skip
