"""From a typed line to what it does: the same for a magic and for `python -m nbcontainer`."""

from __future__ import annotations

from nbcontainer.errors import UsageError
from nbcontainer.magics.builder import BUILDER
from nbcontainer.magics.call import Call
from nbcontainer.magics.capture import CAPTURE
from nbcontainer.magics.cgroup import CGROUP
from nbcontainer.magics.container import CONTAINER
from nbcontainer.magics.docker import docker
from nbcontainer.magics.grammar import Command
from nbcontainer.magics.help import help_text
from nbcontainer.magics.image import IMAGE
from nbcontainer.magics.lab import LAB, SCRIPT
from nbcontainer.magics.netns import NETNS
from nbcontainer.magics.network import NETWORK
from nbcontainer.magics.parsing import parse, split
from nbcontainer.magics.topology import TOPOLOGY
from nbcontainer.magics.volume import VOLUME

#: Every magic there is, but for Docker's own command line, which is made of them.
ROOTS = (LAB, SCRIPT, CONTAINER, IMAGE, NETWORK, VOLUME, CGROUP, NETNS, TOPOLOGY, CAPTURE, BUILDER)
DOCKER = docker(ROOTS)


def dispatch(root: Command, line: str, cell: str | None = None) -> object:
    """Do what `line` says. Raises `UsageError` and whatever the command raises."""
    return run(root, split(line), cell)


def run(root: Command, words: list[str], cell: str | None = None) -> object:
    """The same from words. A group of commands without a command shows its help."""
    parsed = parse(root, words)
    command = parsed.command
    if parsed.help or command.action is None:
        print(help_text(command, parsed.path), end="")
        return None
    if cell is not None and not command.cell:
        raise UsageError(f"{parsed.path} takes no cell: write it in a line of its own, with one %")
    return command.action(Call(parsed, cell))
