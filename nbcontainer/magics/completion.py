"""What Tab offers: subcommands, options, choices, and the names of what there is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from nbcontainer.magics.grammar import HELP, Command, Option

#: Names that exist now, by what `completes` of an option or argument says: "container", "image", "volume"…
Live = Mapping[str, Callable[[], Iterable[str]]]


def complete(root: Command, words: Sequence[str], live: Live) -> list[str]:
    """What the last of `words` (perhaps empty) can become. `words` do not have the root's own name."""
    *before, word = words or [""]
    if root.raw:
        while before and before[0].startswith("-"):
            if before.pop(0) in ("-n", "-netns") and not before:
                return _starting(word, _live("netns", live))
            if before and before[0] in live["netns"]():
                before.pop(0)
    command = root
    while command.commands and before:
        found = command.subcommand(before.pop(0))
        if found is None:
            return []
        command = found
    place, waiting, ended = _walk(command, before)
    if waiting is not None:
        return _starting(word, _values(waiting, live))
    if word.startswith("-") and not ended:
        return _options(command, word, live)
    if command.commands:
        return _starting(word, [known.name for known in command.commands])
    return _starting(word, _argument(command, place, live))


def _walk(command: Command, words: Sequence[str]) -> tuple[int, Option | None, bool]:
    """How many arguments `words` have, the option that waits for its value, and whether options ended."""
    place, waiting, ended = 0, None, False
    for word in words:
        if waiting is not None:
            waiting = None
        elif ended or not word.startswith("-") or word == "-":
            place += 1
            ended = ended or command.stops_at_argument
        elif word == "--":
            ended = True
        elif word.startswith("--"):
            option = command.option(word[2:])
            waiting = option if option is not None and option.kind != "flag" else None
        else:
            waiting = _waiting_in(command, word[1:])
    return place, waiting, ended


def _waiting_in(command: Command, letters: str) -> Option | None:
    for index, letter in enumerate(letters):
        option = command.short_option(letter)
        if option is None:
            return None
        if option.kind != "flag":
            return option if index == len(letters) - 1 else None
    return None


def _options(command: Command, word: str, live: Live) -> list[str]:
    name, equals, _ = word.partition("=")
    if equals:
        option = command.option(name[2:])
        return _starting(word, [f"{name}={value}" for value in _values(option, live)]) if option else []
    return _starting(word, sorted(f"--{option.long}" for option in {*command.options, HELP}))


def _values(option: Option, live: Live) -> list[str]:
    return [*option.choices, *_live(option.completes, live)]


def _argument(command: Command, place: int, live: Live) -> list[str]:
    if not command.arguments:
        return []
    argument = command.arguments[min(place, len(command.arguments) - 1)]
    if place >= len(command.arguments) and not argument.repeats:
        return []
    return _live(argument.completes, live)


def _live(what: str, live: Live) -> list[str]:
    # "container:" is a container's name behind that word, as --network takes it.
    key, colon, _ = what.partition(":")
    return [f"{what}{name}" if colon else name for name in live[key]()] if key in live else []


def _starting(word: str, candidates: Iterable[str]) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(word)]
