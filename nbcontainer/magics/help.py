"""`--help` as Docker lays it out for 80 columns (cobra's usage template, pflag's FlagUsagesWrapped)."""

from __future__ import annotations

from nbcontainer.magics.grammar import HELP, Command, Option, usage_line

WIDTH = 79
#: pflag lets the last line of an option's text run over by this much rather than leave a short word alone.
SLOP = 5
#: cobra gives every name at least this much room.
NARROWEST = 11


def help_text(command: Command, path: str) -> str:
    """The whole help of a command, ending in a newline."""
    parts = [f"Usage:  {usage_line(command, path)}", command.summary]
    if command.aliases:
        parent = path.rpartition(" ")[0]
        parts.append("Aliases:\n  " + ", ".join(f"{parent} {name}" for name in command.names))
    if command.options and not command.commands:
        parts.append("Options:\n" + option_lines(command.options))
    if command.commands:
        parts.append("Commands:\n" + _command_lines(command.commands))
        parts.append(f"Run '{path} COMMAND --help' for more information on a command.")
    return "\n\n".join(parts) + "\n"


def option_text(option: Option) -> str:
    """What an option does, with its default when there is one worth saying."""
    if not option.default:
        return option.help
    shown = f'"{option.default}"' if option.kind == "string" else option.default
    return f"{option.help} (default {shown})"


def option_lines(options: tuple[Option, ...]) -> str:
    """One option a line (or more when its text is long), in alphabetical order as pflag prints them."""
    shown = options if any(option.long == HELP.long for option in options) else (*options, HELP)
    left = {option: _left(option) for option in sorted(shown, key=lambda option: option.long)}
    indent = max(map(len, left.values())) + 3
    return "\n".join(
        text.ljust(indent) + ("\n" + " " * indent).join(_wrap(option_text(option), WIDTH - indent))
        for option, text in left.items()
    )


def _left(option: Option) -> str:
    letters = f"  -{option.short}, --{option.long}" if option.short else f"      --{option.long}"
    return f"{letters} {option.placeholder}".rstrip()


def _command_lines(commands: tuple[Command, ...]) -> str:
    width = max(NARROWEST, *(len(command.name) for command in commands)) + 1
    return "\n".join(
        f"  {command.name.ljust(width)} {command.summary}"
        for command in sorted(commands, key=lambda command: command.name)
    )


def _wrap(text: str, width: int) -> list[str]:
    lines = []
    while len(text) > width:
        at = text.rfind(" ", 0, width - SLOP + 1)
        if at <= 0:
            break
        lines.append(text[:at])
        text = text[at + 1 :]
    return [*lines, text]
