"""What can be typed, as data: a tree of commands that parsing, help, completion and the reference page read.

The shape is Docker's command line (cobra and pflag): a command has options, then arguments, or subcommands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nbcontainer.magics.call import Call

Kind = Literal["flag", "string", "list", "int", "decimal", "bytes", "duration"]


@dataclass(frozen=True)
class Option:
    """`--long`, perhaps `-short`. A `list` may be given more than once; only an `int` is converted here.

    `default` is what the help says happens without it; `completes` names what its value is (a key of the live
    names, see `completion.complete`); `also` are long names which Docker takes but does not print.
    """

    long: str
    short: str = ""
    kind: Kind = "flag"
    help: str = ""
    metavar: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    completes: str = ""
    also: tuple[str, ...] = ()

    @property
    def dest(self) -> str:
        """Its name in Python: a field of `RunOptions`, or what the command looks up in `Call.values`."""
        return self.long.replace("-", "_")

    @property
    def placeholder(self) -> str:
        """What stands for the value in help: pflag's name of the kind. Empty for a flag."""
        return self.metavar or ("" if self.kind == "flag" else self.kind)

    @property
    def spelling(self) -> str:
        """`-n, --name`, or `--name`."""
        return f"-{self.short}, --{self.long}" if self.short else f"--{self.long}"


@dataclass(frozen=True)
class Argument:
    """One place after the options; one that repeats is the last."""

    name: str
    required: bool = True
    repeats: bool = False
    completes: str = ""

    @property
    def usage(self) -> str:
        """As a usage line shows it: `IMAGE`, `[COMMAND]`, `[ARG...]`, `CONTAINER [CONTAINER...]`."""
        if self.repeats:
            return f"{self.name} [{self.name}...]" if self.required else f"[{self.name}...]"
        return self.name if self.required else f"[{self.name}]"


@dataclass(frozen=True)
class Command:
    """A command or a group of commands.

    `action` is called with what was typed. With `stops_at_argument`, what follows the first argument belongs
    to the command in the container. With `raw` it reads its words itself, all of them, in a grammar that is not
    Docker's; its subcommands are for help and Tab. `cell` says what the cell of `%%…` is to it ("" when it takes
    none).
    """

    name: str
    summary: str
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    commands: tuple[Command, ...] = ()
    aliases: tuple[str, ...] = ()
    action: Callable[[Call], object] | None = None
    stops_at_argument: bool = False
    raw: bool = False
    cell: str = ""

    def option(self, long: str) -> Option | None:
        """The option with this long name."""
        return next((option for option in self.options if long in (option.long, *option.also)), None)

    def short_option(self, letter: str) -> Option | None:
        """The option with this letter."""
        return next((option for option in self.options if option.short == letter), None)

    def subcommand(self, name: str) -> Command | None:
        """The subcommand of this name or alias."""
        return next((command for command in self.commands if name in (command.name, *command.aliases)), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then its aliases."""
        return (self.name, *self.aliases)


#: Every command has it; Docker lists it for the commands that take options of their own, as we do.
HELP = Option("help", help="Print usage")

#: What a usage line has between the command and its arguments.
OPTIONS = "[OPTIONS]"


def usage_line(command: Command, path: str) -> str:
    """`%container run [OPTIONS] IMAGE [COMMAND] [ARG...]`; for a group, `%container COMMAND`."""
    if command.commands:
        return f"{path} [COMMAND]" if command.action else f"{path} COMMAND"
    words = [path]
    if command.options:
        words.append(OPTIONS)
    words.extend(argument.usage for argument in command.arguments)
    return " ".join(words)
