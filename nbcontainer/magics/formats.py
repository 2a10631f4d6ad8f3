"""What `--format`, `--quiet` and `--filter` do to a list of rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from nbcontainer.container.values import duration
from nbcontainer.errors import InvalidArgument, UsageError
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Option
from nbcontainer.magics.parsing import BOOLEANS
from nbcontainer.view import words
from nbcontainer.view.tables import Column, Table
from nbcontainer.view.template import Template, go_json

Row = Mapping[str, Any]

FORMAT = Option(
    "format", "", "string",
    "Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template",
)  # fmt: skip
QUIET = Option("quiet", "q", help="Only display IDs")
NO_TRUNC = Option("no-trunc", help="Don't truncate output")
FILTER = Option("filter", "f", "list", "Filter output based on conditions provided", metavar="filter")


def show_rows(
    call: Call,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    known: Sequence[Column] = (),
    key: str = "ID",
) -> Table | list[str]:
    """Show rows as `--quiet` (the `key` of each) or `--format` wants them, or as a table.

    `known` are the headers of a `table TEMPLATE` besides those of `columns`.
    """
    if call.get("quiet"):
        return show_lines(call, [str(row[key]) for row in rows])
    wanted = call.get("format", "table").strip()
    if wanted == "table":
        return call.show_table(Table(caption, tuple(columns), tuple(rows)))
    if wanted == "json":
        return show_lines(call, [go_json(row) for row in rows])
    if wanted.startswith("table "):
        return call.show_table(_table(caption, wanted[6:], (*columns, *known), rows))
    template = Template(wanted)
    return show_lines(call, [template.render(row) for row in rows])


def show_lines(call: Call, lines: list[str]) -> list[str]:
    """Print each line and give them all back."""
    for line in lines:
        call.print(line)
    return shown(lines)


def _table(caption: str, text: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A table whose columns a template names: its cells stand between tabs."""
    template = Template(text)
    headers = {key: key.upper() for row in rows for key in row} | {c.key: c.header for c in columns}
    head = template.render(headers | {"Label": str}).split("\t")
    kinds = {column.header: column.kind for column in columns}
    made = tuple(Column(str(at), header, kinds.get(header, "text")) for at, header in enumerate(head))
    cells = [template.render(row).split("\t") for row in rows]
    return Table(caption, made, tuple({str(at): cell for at, cell in enumerate(line)} for line in cells))


# -- filters

Test = Callable[[Any, str], bool]


def filtered(call: Call, things: Sequence[Any], tests: Mapping[str, Test]) -> list[Any]:
    """Those that pass every `--filter KEY=VALUE`: of several with one key one is enough (of labels all).

    Raises `InvalidArgument` for a key that `tests` does not have.
    """
    wanted: dict[str, list[str]] = {}
    for text in call.get("filter", []):
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)'
            )
        if key not in tests:
            raise InvalidArgument(f"invalid filter '{key}': there are {', '.join(sorted(tests))}")
        wanted.setdefault(key, []).append(value)
    return [thing for thing in things if all(_passes(tests[key], thing, key, values) for key, values in wanted.items())]


def _passes(test: Test, thing: Any, key: str, values: list[str]) -> bool:
    return (all if key == "label" else any)(test(thing, value) for value in values)


def boolean(text: str) -> bool:
    """A filter's yes or no. Raises `InvalidArgument`."""
    if text not in BOOLEANS:
        raise InvalidArgument(f"invalid filter value '{text}': it is yes or no, as true or false")
    return BOOLEANS[text]


def moment(text: str, now: datetime) -> datetime:
    """A time, or how long ago that was: RFC 3339, seconds since 1970, or a duration such as 1h30m.

    Raises `ValueError`.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    if re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+", text):
        return now - timedelta(seconds=duration(text, "filter"))
    return words.rfc3339(text)


def has_label(thing: Any, wanted: str) -> bool:
    """Whether its labels have `key` or `key=value`."""
    return label_in(thing.labels, wanted)


def label_in(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether `key` or `key=value` is one of the labels."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def matches(text: str, pattern: str) -> bool:
    """Docker's name filter: a regular expression that is found somewhere."""
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise InvalidArgument(f"invalid filter 'name={pattern}': {error}") from None


def reference_matches(tag: str, pattern: str) -> bool:
    """Docker's reference filter: a shell pattern against `name:tag`, or against the name alone."""
    return fnmatchcase(tag, pattern) or fnmatchcase(tag.rpartition(":")[0], pattern)
