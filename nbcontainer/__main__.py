"""`python -m nbcontainer`: what is useful without a notebook. The grammar is the magics'."""

from __future__ import annotations

import sys

from nbcontainer import __version__
from nbcontainer.container import values
from nbcontainer.errors import InvalidArgument, NbcontainerError
from nbcontainer.magics.call import Call
from nbcontainer.magics.dispatch import ROOTS, run
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.image import IMAGE
from nbcontainer.magics.lab import LAB
from nbcontainer.magics.reference import reference


def _reference(call: Call) -> None:
    print(reference(ROOTS), end="")


def _version(call: Call) -> None:
    print(f"nbcontainer {__version__}")


def _image(call: Call) -> object:
    return run(IMAGE, call.arguments)


#: How a kernel in a container may see the notebook's folder.
FOLDERS = ("rw", "ro", "none")


def _wrap(call: Call) -> None:
    from nbcontainer_kernel.wrap import wrap

    if call.get("folder", "rw") not in FOLDERS:
        raise InvalidArgument(f'invalid argument "{call.get("folder")}" for "--folder" flag: {", ".join(FOLDERS)}')
    names = ("image", "memory", "cpus", "pids_limit", "network", "folder", "mounts")
    config = {name: call.get(name) for name in names}
    if config["cpus"]:
        config["cpus"] = values.cpus(config["cpus"])
    if config["memory"]:
        values.size(config["memory"], "--memory")
    made = wrap(call.arguments[0], new_name=call.get("name", ""), display_name=call.get("display_name", ""), **config)
    print(f"{made}: its kernels run in a container")


KERNELSPEC = Command(
    "kernelspec", "Kernels of other kernelspecs in containers",
    commands=(
        Command(
            "wrap", "Write a kernelspec beside a given one, whose kernel runs in a container",
            (
                Option("cpus", "", "decimal", "Number of CPUs"),
                Option("display-name", "", "string", "What a notebook's menu calls it"),
                Option(
                    "folder", "", "string", "How the notebook's folder is seen", default="rw",
                    choices=FOLDERS,
                ),
                Option("image", "", "string", "What it runs from", default="host"),
                Option("memory", "m", "bytes", "Memory limit"),
                Option("mounts", "", "list", "More of this machine's directories, as run's -v takes them"),
                Option("name", "", "string", "The new kernelspec's name", default="NAME-container"),
                Option("network", "", "string", "What it is connected to", default="none"),
                Option("pids-limit", "", "int", "How many processes it may have"),
            ),
            (Argument("NAME"),), action=_wrap,
        ),
    ),
)  # fmt: skip

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
        KERNELSPEC,
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
