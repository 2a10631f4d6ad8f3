"""From a typed line to a command, its options and its arguments, as Docker's pflag reads them.

Options and arguments may be mixed, except where the first argument ends the options (`run`, `exec`); `--`
ends them anywhere. Letters cluster (`-it`), a value follows its option after a blank, after `=`, or, for a
letter, at once (`-eA=1`). Quoting is the shell's; `#` is no comment.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbcontainer.errors import UsageError
from nbcontainer.magics.grammar import HELP, Argument, Command, Option

#: What Go's strconv.ParseBool takes.
BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}

#: With so many flags or fewer, an error names them all.
FEW = 4


@dataclass
class Parsed:
    """What was typed: `values` has only the options that were given, by `Option.dest`."""

    command: Command
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    help: bool = False


def split(line: str) -> list[str]:
    """The words of a line, quoted as in a shell. Raises `UsageError` for a quote that is not closed."""
    try:
        return shlex.split(line, comments=False)
    except ValueError as error:
        raise UsageError(f"{str(error)[0].lower()}{str(error)[1:]} in: {line}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that was most likely meant, or an empty string."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), "")


def parse(root: Command, words: Sequence[str]) -> Parsed:
    """Read `words` (without the root's own name) as a command of `root`'s tree.

    Raises `UsageError` with Docker's words, the nearest known name, and where the help is.
    """
    command, path = root, root.name
    rest = list(words)
    if root.raw:
        return _raw(root, rest)
    while command.commands and rest and not rest[0].startswith("-"):
        found = command.subcommand(rest[0])
        if found is None:
            raise unknown_command(command, path, rest[0])
        command, path = found, f"{path} {found.name}"
        rest.pop(0)
    parsed = Parsed(command, path)
    _Reader(parsed, rest).read()
    if not parsed.help:
        _count(parsed)
    return parsed


def _raw(root: Command, words: list[str]) -> Parsed:
    """All words for the root's action, but for `--help` behind it or a subcommand."""
    command, path = root, root.name
    for word in words:
        if word in ("--help", "-h", "help"):
            return Parsed(command, path, help=True)
        found = command.subcommand(word)
        if found is None:
            break
        command, path = found, f"{path} {found.name}"
    return Parsed(root, root.name, arguments=words)


def unknown_command(command: Command, path: str, word: str) -> UsageError:
    """The error for a subcommand that there is not."""
    meant = nearest(word, (name for known in command.commands for name in known.names))
    hint = f" (did you mean {meant}?)" if meant else ""
    return UsageError(f"unknown command: {path} {word}{hint} See '{path} --help'.")


class _Reader:
    """Takes the words of one command from the front."""

    def __init__(self, parsed: Parsed, words: list[str]) -> None:
        self.parsed = parsed
        self.words = words
        self.command = parsed.command

    def read(self) -> None:
        while self.words:
            word = self.words.pop(0)
            if word == "--":
                self.parsed.arguments += self.words
                return
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._letters(word)
            else:
                self.parsed.arguments.append(word)
                if self.command.stops_at_argument:
                    self.parsed.arguments += self.words
                    return
            if self.parsed.help:
                return

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        option = self.command.option(name)
        if name == HELP.long and option is None:
            self.parsed.help = True
        elif option is None:
            meant = nearest(name, (known.long for known in (*self.command.options, HELP)))
            hint = f" (did you mean --{meant}?)" if meant else self._there()
            raise self._error(f"unknown flag: --{name}{hint}")
        elif option.kind == "flag":
            self._flag(option, value if equals else "true")
        elif equals:
            self._value(option, value)
        elif self.words:
            self._value(option, self.words.pop(0))
        else:
            raise self._error(f"flag needs an argument: --{name}")

    def _letters(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self.command.short_option(letter)
            if letter == "h" and option is None:
                self.parsed.help = True
                return
            if option is None:
                raise self._error(f"unknown shorthand flag: {letter!r} in {word}{self._there()}")
            if option.kind == "flag":
                if letters.startswith("="):
                    self._flag(option, letters[1:])
                    return
                self._flag(option, "true")
            elif letters:
                self._value(option, letters.removeprefix("="))
                return
            elif self.words:
                self._value(option, self.words.pop(0))
            else:
                raise self._error(f"flag needs an argument: {letter!r} in {word}")

    def _there(self) -> str:
        """What a command of few flags has, or that it has none."""
        if not self.command.options:
            return f" ({self.parsed.path} takes no flags)"
        if len(self.command.options) > FEW:
            return ""
        return f" (there is {', '.join(f'--{option.long}' for option in self.command.options)})"

    def _flag(self, option: Option, text: str) -> None:
        if text not in BOOLEANS:
            raise self._invalid(option, text, "ParseBool")
        self.parsed.values[option.dest] = BOOLEANS[text]

    def _value(self, option: Option, text: str) -> None:
        values = self.parsed.values
        if option.kind == "list":
            values[option.dest] = [*values.get(option.dest, []), text]
        elif option.kind == "int":
            try:
                values[option.dest] = int(text)
            except ValueError:
                raise self._invalid(option, text, "ParseInt") from None
        else:
            values[option.dest] = text

    def _invalid(self, option: Option, text: str, parser: str) -> UsageError:
        said = f'invalid argument "{text}" for "{option.spelling}" flag'
        return self._error(f'{said}: strconv.{parser}: parsing "{text}": invalid syntax')

    def _error(self, message: str) -> UsageError:
        return UsageError(f"{message} See '{self.parsed.path} --help'.")


def counts(arguments: Sequence[Argument]) -> tuple[int, int | None]:
    """How many arguments there must be at least and at most (None: any number)."""
    at_least = sum(argument.required for argument in arguments)
    return at_least, None if any(argument.repeats for argument in arguments) else len(arguments)


def _count(parsed: Parsed) -> None:
    at_least, at_most = counts(parsed.command.arguments)
    given = len(parsed.arguments)
    if parsed.command.commands or (given >= at_least and (at_most is None or given <= at_most)):
        return
    if at_most == 0:
        wanted = "accepts no arguments"
    elif at_most is None:
        wanted = f"requires at least {_plural(at_least)}"
    elif at_least == at_most:
        wanted = f"requires exactly {_plural(at_least)}"
    elif at_least == 0:
        wanted = f"requires at most {_plural(at_most)}"
    else:
        wanted = f"requires at least {at_least} and at most {_plural(at_most)}"
    raise UsageError(f"\"{parsed.path}\" {wanted}. See '{parsed.path} --help'.")


def _plural(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"
