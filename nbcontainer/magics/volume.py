"""The tree of `%volume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbcontainer.magics import formats
from nbcontainer.magics.call import Call
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import rows

if TYPE_CHECKING:
    from nbcontainer.container.volumes import Volume


def create(call: Call) -> Volume:
    """Make a volume."""
    labels = dict(text.partition("=")[::2] for text in call.get("label", []))
    return call.lab.volumes.create(call.arguments[0] if call.arguments else None, labels)


def ls(call: Call) -> object:
    """Volumes, by name."""
    volumes = call.lab.volumes
    tests: dict[str, formats.Test] = {
        "dangling": lambda volume, wanted: (not volumes.users(volume.name)) == (wanted in ("1", "true")),
        "label": formats.has_label,
        "name": lambda volume, pattern: formats.matches(volume.name, pattern),
    }
    found = formats.filtered(call, volumes.list(), tests)
    made = [rows.volume_row(volume) for volume in found]
    return formats.show_rows(call, "Volumes", rows.VOLUME_COLUMNS, made, key="Name")


def inspect(call: Call) -> object:
    """Docker's JSON."""
    return show_inspected(call, lambda name: call.lab.volumes.get(name).inspect())


def remove(call: Call) -> None:
    """Remove volumes that no container uses."""
    call.each(call.arguments, lambda name: call.lab.volumes.remove(name, force=call.get("force", False)))


def prune(call: Call) -> None:
    """Remove the volumes that no container uses: those without a name, with --all the named too."""
    removed = list(call.lab.volumes.prune(everything=call.get("all", False)))
    if removed:
        call.print("Deleted Volumes:")
    for name in removed:
        call.print(name)


VOLUMES = Argument("VOLUME", repeats=True, completes="volume")

VOLUME = Command(
    "%volume",
    "Manage volumes",
    commands=(
        Command(
            "create", "Create a volume", (Option("label", "", "list", "Set metadata for a volume"),),
            (Argument("VOLUME", required=False),), action=create,
        ),
        Command(
            "ls", "List volumes",
            (formats.FILTER, formats.FORMAT, Option("quiet", "q", help="Only display volume names")),
            aliases=("list",), action=ls,
        ),
        Command(
            "inspect", "Display detailed information on one or more volumes", (INSPECT_FORMAT,), (VOLUMES,),
            action=inspect,
        ),
        Command(
            "rm", "Remove one or more volumes",
            (Option("force", "f", help="Do not complain about a volume that is not there"),), (VOLUMES,),
            aliases=("remove",), action=remove,
        ),
        Command(
            "prune", "Remove unused local volumes",
            (
                Option("all", "a", help="Remove all unused volumes, not just anonymous ones"),
                Option("force", "f", help="Do not prompt for confirmation (we never do)"),
            ),
            action=prune,
        ),
    ),
)  # fmt: skip
