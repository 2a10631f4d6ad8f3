"""The part of Go's text/template that `--format` is used with, over JSON values.

`{{.Names}}`, `{{.State.Health.Status}}`, `{{json .}}`, `{{index .Config.Env 0}}`, `{{len .Mounts}}`,
`{{join .Config.Cmd " "}}`, `{{upper .}}`, `{{split .Image ":"}}`, `{{println .}}` and the like, pipes,
`{{if}}…{{else}}…{{end}}`, `{{range .X}}…{{end}}` and `{{range $key, $value := .X}}`, `{{with}}`,
`{{- trimming -}}`.
Values print as Go prints them. Anything else raises `InvalidArgument` and says what is not supported.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbcontainer.errors import InvalidArgument

_ACTION = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<number>-?\d+)
      | (?P<variable>\$\w*)
      | (?P<field>\.\w*)
      | (?P<word>\w+)
      | (?P<mark>:=|[|(),])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r"}


class Template:
    """A parsed template. `render(value)` prints it with `.` being `value`."""

    def __init__(self, text: str) -> None:
        for escaped, character in _ESCAPES.items():
            text = text.replace(escaped, character)
        self._nodes, _ = _Nodes(list(_pieces(text))).until()

    def render(self, value: Any) -> str:
        """Raises `InvalidArgument` for a field that the value does not have."""
        return "".join(_print_nodes(self._nodes, value, {"$": value}))


def go_text(value: Any) -> str:
    """A JSON value as Go's fmt prints it: `true`, `<no value>`, `[a b]`, `map[a:1]`."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(go_text, value)) + "]"
    return str(value)


def go_json(value: Any) -> str:
    """A value as `{{json .}}` prints it: no blanks."""
    if isinstance(value, Mapping):
        value = {key: item for key, item in value.items() if not callable(item)}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# -- the template as a tree


@dataclass(frozen=True)
class _Text:
    text: str


@dataclass(frozen=True)
class _Print:
    pipe: _Pipe


@dataclass(frozen=True)
class _Block:
    """`if`, `range` or `with`; a range may name its key and its value."""

    kind: str
    pipe: _Pipe
    names: tuple[str, ...]
    body: tuple[_Node, ...]
    otherwise: tuple[_Node, ...]


_Node = _Text | _Print | _Block


@dataclass(frozen=True)
class _Value:
    """A literal (no `base`); or a variable ("$…"), the dot ("") or a pipe, and fields to follow from it."""

    literal: Any = None
    base: str | _Pipe | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class _CallTo:
    function: str
    arguments: tuple[_Operand, ...]


@dataclass(frozen=True)
class _Pipe:
    stages: tuple[_Operand, ...]


_Operand = _Value | _CallTo | _Pipe


def _pieces(text: str) -> Iterator[_Text | str]:
    """Text between actions, and the inside of each action."""
    at, trim = 0, False
    for match in _ACTION.finditer(text):
        between = text[at : match.start()]
        between = between.lstrip() if trim else between
        yield _Text(between.rstrip() if match[1] else between)
        yield match[2].strip()
        at, trim = match.end(), bool(match[3])
    rest = text[at:]
    if "{{" in rest:
        raise InvalidArgument("template parsing error: unclosed action: a {{ has no }}")
    yield _Text(rest.lstrip() if trim else rest)


class _Nodes:
    """Reads nodes from the pieces of a template."""

    def __init__(self, pieces: list[_Text | str]) -> None:
        self.pieces = pieces
        self.depth = 0

    def until(self) -> tuple[tuple[_Node, ...], str]:
        """The nodes up to the `else` or `end` (which is returned) of the block they are in."""
        nodes: list[_Node] = []
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, _Text):
                nodes.append(piece)
                continue
            word, _, rest = piece.partition(" ")
            if word in ("end", "else"):
                if not self.depth:
                    raise InvalidArgument(f"template parsing error: unexpected {{{{{piece}}}}}")
                if rest:
                    raise InvalidArgument(f"template parsing error: {{{{{piece}}}}} is not supported")
                return tuple(nodes), word
            if word in ("if", "range", "with"):
                nodes.append(self._block(word, rest))
            elif not piece.startswith("/*"):
                nodes.append(_Print(_Expression(piece).whole()))
        if self.depth:
            raise InvalidArgument("template parsing error: unexpected EOF: an {{end}} is missing")
        return tuple(nodes), ""

    def _block(self, kind: str, rest: str) -> _Block:
        names: tuple[str, ...] = ()
        if ":=" in rest:
            left, _, rest = rest.partition(":=")
            names = tuple(name.strip() for name in left.split(","))
        self.depth += 1
        body, ended_by = self.until()
        otherwise: tuple[_Node, ...] = ()
        if ended_by == "else":
            otherwise, _ = self.until()
        self.depth -= 1
        return _Block(kind, _Expression(rest).whole(), names, body, otherwise)


class _Expression:
    """Reads the inside of one action."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise InvalidArgument(
                    f"template parsing error: {{{{{text}}}}} is not supported: at {text[at:].strip()!r}"
                )
            assert match.lastgroup is not None
            # A field right behind something continues it: .State.Status, $value.Name.
            joined = match.lastgroup == "field" and match.start("field") == at and at > 0
            self.tokens.append(("follow" if joined else match.lastgroup, match[match.lastgroup]))
            at = match.end()

    def whole(self) -> _Pipe:
        pipe = self._pipe()
        if self.tokens:
            raise self._unexpected()
        return pipe

    def _unexpected(self) -> InvalidArgument:
        said = repr(self.tokens[0][1]) if self.tokens else "the end"
        return InvalidArgument(f"template parsing error: unexpected {said} in {{{{{self.text}}}}}")

    def _pipe(self) -> _Pipe:
        stages = [self._command()]
        while self.tokens and self.tokens[0][1] == "|":
            self.tokens.pop(0)
            stages.append(self._command())
        return _Pipe(tuple(stages))

    def _command(self) -> _Operand:
        if self.tokens and self.tokens[0][0] == "word" and self.tokens[0][1] not in ("true", "false", "nil"):
            name = self.tokens.pop(0)[1]
            if name not in FUNCTIONS:
                raise InvalidArgument(
                    f'template parsing error: function "{name}" not defined; there are {", ".join(sorted(FUNCTIONS))}'
                )
            arguments: list[_Operand] = []
            while self.tokens and self.tokens[0][1] not in ("|", ")"):
                arguments.append(self._operand())
            return _CallTo(name, tuple(arguments))
        operand = self._operand()
        if not self.tokens or self.tokens[0][1] in ("|", ")"):
            return operand
        # A method with arguments: {{.Label "key"}}.
        arguments = [operand]
        while self.tokens and self.tokens[0][1] not in ("|", ")"):
            arguments.append(self._operand())
        return _CallTo("call", tuple(arguments))

    def _operand(self) -> _Operand:
        if not self.tokens:
            raise self._unexpected()
        kind, text = self.tokens.pop(0)
        if kind == "string":
            return _Value(text[1:-1] if text[0] == "`" else json.loads(text.replace("\n", "\\n").replace("\t", "\\t")))
        if kind == "number":
            return _Value(int(text))
        if kind == "word":
            return _Value({"true": True, "false": False}.get(text))
        if kind in ("variable", "field"):
            base = text if kind == "variable" else ""
            first = (text[1:],) if kind == "field" and text != "." else ()
            return _Value(base=base, fields=(*first, *self._following()))
        if text == "(":
            pipe = self._pipe()
            if not self.tokens or self.tokens.pop(0)[1] != ")":
                raise self._unexpected()
            return _Value(base=pipe, fields=self._following())
        self.tokens.insert(0, (kind, text))
        raise self._unexpected()

    def _following(self) -> tuple[str, ...]:
        fields = []
        while self.tokens and self.tokens[0][0] == "follow":
            fields.append(self.tokens.pop(0)[1][1:])
        return tuple(fields)


# -- printing


def _print_nodes(nodes: Sequence[_Node], dot: Any, names: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, _Text):
            yield node.text
        elif isinstance(node, _Print):
            yield go_text(_evaluate(node.pipe, dot, names))
        else:
            yield from _print_block(node, dot, names)


def _print_block(block: _Block, dot: Any, names: Mapping[str, Any]) -> Iterator[str]:
    value = _evaluate(block.pipe, dot, names)
    if not value:
        yield from _print_nodes(block.otherwise, dot, names)
    elif block.kind == "range":
        if not isinstance(value, Mapping | list | tuple):
            raise InvalidArgument(f"template: range can't iterate over {go_text(value)}")
        items = sorted(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
        for key, item in items:
            named = (key, item) if len(block.names) == 2 else (item,)
            yield from _print_nodes(block.body, item, {**names, **dict(zip(block.names, named, strict=False))})
    else:
        inner = value if block.kind == "with" else dot
        bound = dict.fromkeys(block.names, value)
        yield from _print_nodes(block.body, inner, {**names, **bound})


def _evaluate(operand: _Operand, dot: Any, names: Mapping[str, Any], piped: tuple[Any, ...] = ()) -> Any:
    if isinstance(operand, _Pipe):
        value: tuple[Any, ...] = ()
        for stage in operand.stages:
            value = (_evaluate(stage, dot, names, value),)
        return value[0]
    if isinstance(operand, _CallTo):
        arguments = [_evaluate(argument, dot, names) for argument in operand.arguments]
        return _apply(operand.function, [*arguments, *piped])
    if operand.base is None:
        return operand.literal
    if isinstance(operand.base, _Pipe):
        found = _evaluate(operand.base, dot, names)
    elif operand.base and operand.base not in names:
        raise InvalidArgument(f'template: undefined variable "{operand.base}"')
    else:
        found = names[operand.base] if operand.base else dot
    for field in operand.fields:
        found = _field(found, field)
    return found


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"template: can't evaluate field {name} in {go_text(value)}")
    if name in value:
        return value[name]
    near = difflib.get_close_matches(name, list(value), n=1)
    hint = f" (did you mean .{near[0]}?)" if near else f"; there are {', '.join(sorted(value))}"
    raise InvalidArgument(f'template: map has no entry for key "{name}"{hint}')


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return value


def _join(values: Sequence[Any], separator: str) -> str:
    return separator.join(map(go_text, values))


def _call(method: Any, *arguments: Any) -> Any:
    if not callable(method):
        raise InvalidArgument(f"template: {go_text(method)} takes no arguments")
    return method(*arguments)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "json": go_json,
    "index": _index,
    "len": len,
    "join": _join,
    "split": lambda text, separator: text.split(separator),
    "upper": lambda text: go_text(text).upper(),
    "lower": lambda text: go_text(text).lower(),
    "title": lambda text: go_text(text).title(),
    "print": lambda *values: "".join(map(go_text, values)),
    "println": lambda *values: " ".join(map(go_text, values)) + "\n",
    "eq": lambda first, *others: first in others,
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


def _apply(function: str, arguments: list[Any]) -> Any:
    try:
        return FUNCTIONS[function](*arguments)
    except (TypeError, IndexError, KeyError, AttributeError, ValueError) as error:
        raise InvalidArgument(f"template: error calling {function}: {error}") from None
