"""From statements to instructions: which flags and words each takes, and what is wrong when they are others.

Dockerfile reference; the wording of errors is BuildKit's, since that is what people search for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.mounts import parse_mount
from nbcontainer.image.dockerfile.statements import Heredoc, Statement, heredoc_opening
from nbcontainer.image.dockerfile.words import ExpansionError
from nbcontainer.image.dockerfile.wrong import Wrong, nearest

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
#: What Docker takes for a yes.
_TRUE = {"", "1", "t", "true"}
_BOOLEANS = _TRUE | {"0", "f", "false"}


def parse(statement: Statement, escape: str) -> i.Instruction:
    """The instruction that a statement is. Raises `DockerfileError`."""
    try:
        if statement.name not in _PARSERS:
            raise Wrong(f"unknown instruction: {statement.name}{nearest(statement.name, _PARSERS)}")
        return _PARSERS[statement.name](_Arguments(statement, escape))
    except (Wrong, ExpansionError) as error:
        message = f"dockerfile parse error on line {statement.start}: {error}"
        raise statement.source.error(message, statement.start, statement.end) from None


class _Arguments:
    """What follows an instruction's name."""

    def __init__(self, statement: Statement, escape: str) -> None:
        self.statement = statement
        self.name = statement.name
        self.rest = statement.rest
        self.escape = escape

    # -- flags

    def flags(self, *known: str, several: tuple[str, ...] = (), booleans: tuple[str, ...] = ()) -> dict[str, Any]:
        """The values of the flags that were given. Raises `Wrong` for any that is not known, or comes twice."""
        found: dict[str, Any] = {}
        for flag in self.statement.flags:
            name, equals, value = flag.removeprefix("--").partition("=")
            if name in several:
                if not equals:
                    raise Wrong(f"missing a value on flag: {name}")
                found.setdefault(name, []).append(value)
                continue
            if name not in (*known, *booleans):
                raise Wrong(f"unknown flag: --{name}{nearest(name, (*known, *several, *booleans))}")
            if name in found:
                raise Wrong(f"duplicate flag specified: {name}")
            if name in booleans:
                if value.lower() not in _BOOLEANS:
                    raise Wrong(f"expecting boolean value for flag {name}, not: {value}")
                found[name] = value.lower() in _TRUE
            elif not equals:
                raise Wrong(f"missing a value on flag: {name}")
            else:
                found[name] = value
        return found

    # -- words

    def json(self) -> tuple[str, ...] | None:
        """The words, when they are written as a JSON array."""
        return json_words(self.rest)

    def command(self) -> tuple[tuple[str, ...], bool]:
        """The exec form's words, or the shell form's one text; and whether it is the shell form."""
        words = self.json()
        if words is not None:
            return words, False
        return ((self.rest,) if self.rest else ()), True

    def list(self) -> tuple[str, ...]:
        """Words between blanks, or of a JSON array."""
        words = self.json()
        return tuple(self.rest.split()) if words is None else words

    def pairs(self) -> i.Pairs:
        """`NAME=VALUE…`, or the old form, `NAME VALUE`."""
        words = split_words(self.rest, self.escape)
        if not words:
            raise Wrong(f"{self.name} requires at least one argument")
        if "=" not in words[0]:
            old = self.rest.split(None, 1)
            if len(old) < 2:
                raise Wrong(f"{self.name} must have two arguments")
            return ((old[0], old[1]),)
        found = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise Wrong(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
            if not key:
                raise Wrong(f"{self.name} names can not be blank")
            found.append((key, value))
        return tuple(found)

    def one(self) -> str:
        """The whole rest as one argument."""
        if not self.rest:
            raise Wrong(f"{self.name} requires exactly one argument")
        return self.rest

    def some(self, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words:
            raise Wrong(f"{self.name} requires at least one argument")
        return words


def json_words(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None when the text is none. Raises `Wrong` when they are no strings."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in found):
        raise Wrong("When using JSON array syntax, arrays must be comprised of strings only.")
    return tuple(found)


def split_words(text: str, escape: str) -> list[str]:
    """Words between blanks, with their quotes and escapes left in them."""
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == escape and quote != "'":
            # The character after it belongs to the word whatever it is; an escape at the end is nothing.
            if at < len(text):
                word += char + text[at]
                at += 1
            continue
        if char.isspace() and not quote:
            if word:
                words.append(word)
            word = ""
            continue
        if char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
        word += char
    return [*words, word] if word else words


# -- one by one


def _from(args: _Arguments) -> i.From:
    flags = args.flags("platform")
    words = args.rest.split()
    if len(words) == 3 and words[1].upper() == "AS":
        name = words[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise Wrong(
                f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
            )
    elif len(words) == 1:
        name = ""
    else:
        raise Wrong("FROM requires either one or three arguments")
    return i.From(args.statement, words[0], name, flags.get("platform", ""))


def _arg(args: _Arguments) -> i.Arg:
    args.flags()
    found: list[tuple[str, str | None]] = []
    for word in args.some(tuple(split_words(args.rest, args.escape))):
        name, equals, value = word.partition("=")
        if not name:
            raise Wrong("ARG names can not be blank")
        found.append((name, value if equals else None))
    return i.Arg(args.statement, tuple(found))


def _env(args: _Arguments) -> i.Env:
    args.flags()
    return i.Env(args.statement, args.pairs())


def _label(args: _Arguments) -> i.Label:
    args.flags()
    return i.Label(args.statement, args.pairs())


def _sources(args: _Arguments) -> tuple[tuple[str | Heredoc, ...], str]:
    words = args.list()
    if len(words) < 2:
        raise Wrong(
            f"{args.name} requires at least two arguments"
            + (", but only one was provided. Destination could not be determined" if words else "")
        )
    if heredoc_opening(words[-1], args.escape):
        raise Wrong(f"{args.name} cannot accept a heredoc as a destination")
    heredocs = list(args.statement.heredocs)
    sources: list[str | Heredoc] = []
    for word in words[:-1]:
        opening = heredoc_opening(word, args.escape) if heredocs else None
        sources.append(heredocs.pop(0) if opening else word)
    return tuple(sources), words[-1]


def _copy(args: _Arguments) -> i.Copy:
    flags = args.flags("from", "chown", "chmod", several=("exclude",), booleans=("link", "parents"))
    sources, target = _sources(args)
    return i.Copy(args.statement, sources, target, origin=flags.pop("from", ""), **_tupled(flags))


def _add(args: _Arguments) -> i.Add:
    booleans = ("link", "keep-git-dir", "unpack")
    flags = args.flags("chown", "chmod", "checksum", several=("exclude",), booleans=booleans)
    flags.pop("keep-git-dir", None)
    sources, target = _sources(args)
    return i.Add(args.statement, sources, target, **_tupled(flags))


def _tupled(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in flags.items()}


def _run(args: _Arguments) -> i.Run:
    flags = args.flags("network", "security", several=("mount",))
    words, shell = args.command()
    if not words:
        raise Wrong("RUN requires at least one argument")
    network, security = flags.get("network", "default"), flags.get("security", "sandbox")
    if network not in ("default", "none", "host"):
        raise Wrong(f'invalid network mode "{network}": it is default, none or host')
    if security not in ("sandbox", "insecure"):
        raise Wrong(f'security "{security}" is not valid: it is sandbox or insecure')
    # Mounts may hold variables: they are read once those are known. What is wrong without them is said now.
    for text in flags.get("mount", ()):
        parse_mount(text, lambda word: word)
    return i.Run(args.statement, words, shell, network=network, security=security)


def mounts(run: i.Run, expand: i.Expand) -> tuple[i.Mount, ...]:
    """The mounts of RUN, their variables replaced. Raises `Wrong`, `ExpansionError`."""
    flags = (flag.removeprefix("--mount=") for flag in run.statement.flags if flag.startswith("--mount="))
    return tuple(parse_mount(text, expand) for text in flags)


def _cmd(args: _Arguments) -> i.Cmd:
    args.flags()
    return i.Cmd(args.statement, *args.command())


def _entrypoint(args: _Arguments) -> i.Entrypoint:
    args.flags()
    return i.Entrypoint(args.statement, *args.command())


def _healthcheck(args: _Arguments) -> i.Healthcheck:
    kind, _, rest = args.rest.partition(" ")
    if not kind:
        raise Wrong("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        args.flags()
        if rest.strip():
            raise Wrong("HEALTHCHECK NONE takes no arguments")
        return i.Healthcheck(args.statement, {"Test": ["NONE"]})
    flags = args.flags("interval", "timeout", "start-period", "start-interval", "retries")
    if kind.upper() != "CMD":
        raise Wrong(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    words = json_words(rest.strip())
    test = ["CMD-SHELL", rest.strip()] if words is None else ["CMD", *words]
    if not test[1:] or not test[1]:
        raise Wrong("Missing command after HEALTHCHECK CMD")
    check: dict[str, Any] = {"Test": test}
    for flag, field in _TIMES.items():
        if flag in flags and (time := _nanoseconds(flag, flags[flag])):
            check[field] = time
    if "retries" in flags:
        if not re.fullmatch(r"[+-]?\d{1,9}", flags["retries"]):
            raise Wrong(f'--retries: parsing "{flags["retries"]}": invalid syntax')
        if int(flags["retries"]) < 0:
            raise Wrong(f"--retries cannot be negative ({int(flags['retries'])})")
        check["Retries"] = int(flags["retries"])
    return i.Healthcheck(args.statement, check)


_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def _nanoseconds(flag: str, text: str) -> int:
    """Go's durations: `1m30s`; below a millisecond Docker refuses them."""
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise Wrong(f'--{flag}: time: invalid duration "{text}"')
    total = int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))
    if 0 < total < 10**6:
        raise Wrong(f'Interval "{flag}" cannot be less than 1ms')
    return total


def _expose(args: _Arguments) -> i.Expose:
    args.flags()
    args.some(tuple(args.rest.split()))
    return i.Expose(args.statement, args.rest)


def _volume(args: _Arguments) -> i.Volume:
    args.flags()
    paths = args.some(args.list())
    if not all(path.strip() for path in paths):
        raise Wrong("VOLUME specified can not be an empty string")
    return i.Volume(args.statement, paths)


def _user(args: _Arguments) -> i.User:
    args.flags()
    return i.User(args.statement, args.one())


def _workdir(args: _Arguments) -> i.Workdir:
    args.flags()
    return i.Workdir(args.statement, args.one())


def _shell(args: _Arguments) -> i.Shell:
    args.flags()
    words = args.json()
    if words is None:
        raise Wrong("SHELL requires the arguments to be in JSON form")
    return i.Shell(args.statement, args.some(words))


def _stopsignal(args: _Arguments) -> i.StopSignal:
    args.flags()
    return i.StopSignal(args.statement, args.one())


def _onbuild(args: _Arguments) -> i.OnBuild:
    args.flags()
    trigger = args.rest.split(None, 1)
    if not trigger:
        raise Wrong("ONBUILD requires at least one argument")
    name = trigger[0].upper()
    if name == "ONBUILD":
        raise Wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("FROM", "MAINTAINER"):
        raise Wrong(f"{name} isn't allowed as an ONBUILD trigger")
    if name not in _PARSERS:
        raise Wrong(f"unknown instruction: {name}{nearest(name, _PARSERS)}")
    documents = "".join(f"\n{one.content}{one.name}" for one in args.statement.heredocs)
    return i.OnBuild(args.statement, args.rest + documents)


def _maintainer(args: _Arguments) -> i.Maintainer:
    args.flags()
    return i.Maintainer(args.statement, args.one())


_PARSERS: dict[str, Callable[[_Arguments], i.Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
