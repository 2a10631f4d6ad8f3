"""`%docker`: Docker's own command line, put together from the magics' trees. Nothing here does anything itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nbcontainer.errors import NotFound
from nbcontainer.magics.call import Call
from nbcontainer.magics.container_look import INSPECT_FORMAT, show_inspected
from nbcontainer.magics.grammar import Argument, Command

#: Docker's names at the top for commands of `image` that are called otherwise there.
OF_IMAGES = {"images": "ls", "rmi": "rm"}
#: Commands of `image` that stand at the top by their own name; all of `container` do, but for these.
ALIKE = ("build", "history", "import", "load", "login", "logout", "pull", "push", "save", "search", "tag")
GROUPED_ONLY = ("inspect", "layers", "ls", "prune")


def inspect(call: Call) -> object:
    """Of whatever has the name: a container, an image, a network or a volume, in Docker's order."""
    lab = call.lab
    kinds: list[Callable[[str], Any]] = [lab.containers.get, lab.images.get]

    def one(name: str) -> dict[str, Any]:
        for find in kinds:
            try:
                found: dict[str, Any] = find(name).inspect()
                return found
            except NotFound:
                continue
        for inspected in (lab.networks.inspect, lambda name: lab.volumes.get(name).inspect()):
            try:
                return inspected(name)
            except NotFound:
                continue
        raise NotFound(f"No such object: {name}")

    return show_inspected(call, one)


def docker(roots: tuple[Command, ...]) -> Command:
    """The tree of `%docker`, from the trees of `%container`, `%image`, `%network`, `%volume` and `%lab`."""
    by_name = {root.name: root for root in roots}
    container, image, lab = by_name["%container"], by_name["%image"], by_name["%lab"]
    commands = [command for command in container.commands if command.name not in GROUPED_ONLY]
    commands += [replace(command, aliases=()) for command in image.commands if command.name in ALIKE]
    ps = container.subcommand("ls")
    if ps is not None:
        commands.append(replace(ps, name="ps", aliases=()))
    for name, own in OF_IMAGES.items():
        found = image.subcommand(own)
        if found is not None:
            commands.append(replace(found, name=name, aliases=()))
    info = lab.subcommand("info")
    if info is not None:
        commands.append(info)
    commands.append(
        Command(
            "inspect", "Return low-level information on containers, images, networks and volumes", (INSPECT_FORMAT,),
            (Argument("NAME", repeats=True, completes="container"),), action=inspect,
        )
    )  # fmt: skip
    groups = [by_name[name] for name in ("%container", "%image", "%network", "%volume", "%builder") if name in by_name]
    commands += [replace(group, name=group.name.strip("%")) for group in groups]
    return Command("%docker", "Docker's command line, on this lab", commands=tuple(_by_name(commands)))


def _by_name(commands: list[Command]) -> list[Command]:
    return sorted(commands, key=lambda command: command.name)
