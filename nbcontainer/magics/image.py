"""The tree of `%image`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.errors import InvalidArgument
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import rows
from nbcontainer.view.tables import Column

if TYPE_CHECKING:
    from nbcontainer.image.images import Image

TESTS: dict[str, formats.Test] = {
    "dangling": lambda image, wanted: (not image.tags) == (wanted in ("1", "true")),
    "label": lambda image, wanted: formats.label_in(image.config.get("Labels") or {}, wanted),
    "reference": lambda image, pattern: formats.reference_matches(image.tags, pattern),
}


def ls(call: Call) -> object:
    """Images, newest first; those without a name only when asked for."""
    images: list[Image] = formats.filtered(call, call.lab.images.list(), TESTS)
    if call.arguments:
        images = [image for image in images if formats.reference_matches(image.tags, call.arguments[0])]
    trunc = not call.get("no_trunc")
    made = [row for image in images for row in rows.image_rows(image, trunc)]
    shape = list(rows.IMAGE_COLUMNS)
    if call.get("digests"):
        shape.insert(2, rows.DIGEST)
    return formats.show_rows(call, "Images", shape, made, known=LS_KNOWN)


LS_KNOWN = (rows.DIGEST, Column("CreatedAt", "CREATED AT"))


def tag(call: Call) -> None:
    """One more name."""
    call.lab.images.tag(*call.arguments)


def remove(call: Call) -> None:
    """Remove names, and the image with its last one."""
    lab = call.lab
    for name in call.arguments:
        for line in lab.images.remove(
            name, force=call.get("force", False), in_use=lab.containers.users_of_image
        ):
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
    source = call.get("input")
    if source is None and sys.stdin.isatty():
        raise InvalidArgument(
            "requested load from stdin, but it is a terminal: name the archive, --input FILE"
        )
    loaded = call.lab.images.load(Path(source) if source else sys.stdin.buffer)
    for image in loaded:
        if not call.get("quiet"):
            names = [f"Loaded image: {name}" for name in image.tags] or [f"Loaded image ID: {image.id}"]
            call.print("\n".join(names))
    return shown(loaded[0] if len(loaded) == 1 else loaded)


def bootstrap(call: Call) -> Image:
    """An image made from what the machine has."""
    if call.arguments[0] != "busybox":
        raise InvalidArgument(
            f"cannot bootstrap {call.arguments[0]}: only busybox can be made from the machine"
        )
    return call.lab.images.bootstrap_busybox(call.get("binary"))


ONE = Argument("IMAGE", completes="image")

IMAGE = Command(
    "%image",
    "Manage images",
    commands=(
        Command(
            "ls", "List images",
            (
                Option("all", "a", help="Show all images (there are no hidden ones)"),
                Option("digests", help="Show digests"),
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
            "load", "Load an image from a tar archive or STDIN",
            (
                Option("input", "i", "string", "Read from tar archive file, instead of STDIN"),
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
