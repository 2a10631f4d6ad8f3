"""Help looks as Docker's does."""

from __future__ import annotations

from nbcontainer.magics.container import CONTAINER
from nbcontainer.magics.dispatch import ROOTS
from nbcontainer.magics.grammar import Command
from nbcontainer.magics.help import help_text
from nbcontainer.magics.lab import LAB


def of(name: str) -> str:
    command = CONTAINER.subcommand(name)
    assert command is not None
    return help_text(command, f"%container {command.name}")


def test_a_small_command_to_the_letter() -> None:
    assert (
        of("rm")
        == """\
Usage:  %container rm [OPTIONS] CONTAINER [CONTAINER...]

Remove one or more containers

Aliases:
  %container rm, %container remove

Options:
  -f, --force     Force the removal of a running container (uses SIGKILL)
      --help      Print usage
  -v, --volumes   Remove anonymous volumes associated with the container
"""
    )


def test_run_as_docker_prints_it() -> None:
    text = of("run")
    assert text.startswith(
        "Usage:  %container run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
        "Create and run a new container from an image\n\n"
        "Options:\n"
        "      --add-host list                    Add a custom host-to-IP mapping\n"
        "                                         (host:ip)\n"
    )
    assert "  -d, --detach                           Run container in background and\n" in text
    assert "      --restart string                   Restart policy to apply when a\n" in text
    assert 'exits (default "no")' in text
    assert max(map(len, text.splitlines())) <= 79


def test_a_group_lists_its_commands() -> None:
    text = help_text(CONTAINER, "%container")
    assert text.startswith("Usage:  %container COMMAND\n\nManage containers\n\nCommands:\n  attach ")
    assert text.endswith("Run '%container COMMAND --help' for more information on a command.\n")
    assert help_text(LAB, "%lab").startswith("Usage:  %lab [COMMAND]\n")


def test_every_command_has_a_help_without_blanks_at_the_end_of_a_line() -> None:
    def walk(command: Command, path: str) -> None:
        text = help_text(command, path)
        assert all(line == line.rstrip() for line in text.splitlines()), path
        for below in command.commands:
            walk(below, f"{path} {below.name}")

    for root in ROOTS:
        walk(root, root.name)
