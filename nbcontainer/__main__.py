"""`python -m nbcontainer`: what is useful without a notebook. The grammar is the magics'."""

from __future__ import annotations

import sys

from nbcontainer import __version__
from nbcontainer.errors import NbcontainerError
from nbcontainer.magics.call import Call
from nbcontainer.magics.dispatch import ROOTS, run
from nbcontainer.magics.grammar import Argument, Command
from nbcontainer.magics.image import IMAGE
from nbcontainer.magics.lab import LAB
from nbcontainer.magics.reference import reference


def _reference(call: Call) -> None:
    print(reference(ROOTS), end="")


def _version(call: Call) -> None:
    print(f"nbcontainer {__version__}")


def _image(call: Call) -> object:
    return run(IMAGE, call.arguments)


NBCONTAINER = Command(
    "nbcontainer",
    "A container runtime inside a notebook; here is what is useful outside of one",
    commands=(
        *(command for command in LAB.commands if command.name in ("doctor", "info", "prune")),
        Command(
            "image", "Manage images, as %image does", (),
            (Argument("COMMAND"), Argument("ARG", required=False, repeats=True)),
            action=_image, stops_at_argument=True,
        ),
        Command("reference", "Print the reference page of the magics", action=_reference),
        Command("version", "Print the version", action=_version),
    ),
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        run(NBCONTAINER, sys.argv[1:] if arguments is None else arguments)
    except NbcontainerError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
