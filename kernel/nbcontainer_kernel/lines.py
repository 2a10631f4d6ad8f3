"""Which lines of a cell are commands, not Python: `docker run …`, `ip netns add r1`, `ping -c 1 …`.

Python stays Python: a line that Python could mean something by is never taken. What is taken becomes a call of a
magic, in one of IPython's token transformers (IPython.core.inputtransformer2), so text within strings is left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from tokenize import DEDENT, INDENT, TokenInfo
from typing import Any

from IPython.core.inputtransformer2 import TokenTransformBase

DOCKER = "docker"
#: What runs on the lab's host.
ON_HOST = frozenset(
    "arp arping bridge brctl conntrack ethtool ifconfig ip ip6tables iptables netstat nft ping ping6 route ss sysctl "
    "tc tcpdump traceroute".split()
)
COMMANDS = ON_HOST | {DOCKER}
#: What begins the rest of a line when it is Python's: an assignment, an attribute, a call, an index, an annotation.
_PYTHONS = re.compile(r"[=.(\[,:;)\]]|[-+*/%&|^@<>]{1,2}=|(is|in|and|or|if|not|for|as)\b")
#: Characters by which a shell does more than run one program.
SHELL = re.compile(r"[|&;<>$`*?~\n]")
_FILLED = re.compile(r"'[^']*'|(?<![$\\])\{(([a-zA-Z]\w*)(?:[.\[(][^{}\n]*)?)\}|(?<![$\\])\$([a-zA-Z]\w*)")
_HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


def command_of(text: str, bound: Callable[[str], bool]) -> str | None:
    """The command that a logical line of a cell is, by its first word, or None for Python.

    `bound` says whether a name has a value: Python's meaning then comes first wherever there is one.
    """
    text = uncommented(text)
    match = re.match(r"\s*([a-z][a-z0-9]*)(?:\s+(.*))?\s*$", text, re.DOTALL)
    if match is None or match[1] not in COMMANDS:
        return None
    name, rest = match[1], match[2] or ""
    if not rest:
        return None if bound(name) else name
    if _PYTHONS.match(rest):
        return None
    try:
        ast.parse(text.strip())
    except (SyntaxError, ValueError):
        return name
    # `docker -v` is Python, of a name without a value: nobody means that.
    return name if re.match(r"-\S", rest) and not bound(name) else None


def uncommented(text: str) -> str:
    """Without what a shell takes for comments."""
    return re.sub(r"('[^']*'|\"(?:[^\"\\]|\\.)*\")|(?<!\S)#[^\n]*", lambda match: match[1] or "", text)


def filled_in(text: str, names: Mapping[str, Any]) -> str:
    """A shell's line with Python's values for `{name}`, `{name.attribute}` and `$name`, as IPython's `!` has them.

    What stands in single quotes and what Python has no value for is the shell's; so are the names that the line sets.
    """

    def value(match: re.Match[str]) -> str:
        name = match[2] or match[3]
        if name is None or name not in names or re.search(rf"\b(for|read)\s+{name}\b|\b{name}=", text):
            return match[0]
        try:
            return str(eval(match[1] or name, {}, dict(names)))
        except Exception:
            return match[0]

    return _FILLED.sub(value, text)


def plain(text: str) -> bool:
    """Whether a command line needs no shell: one program, its words, quotes at most."""
    outside = re.sub(r"'[^']*'|\"(?:[^\"\\$`]|\\.)*\"", "", text)
    return SHELL.search(outside) is None


def call_of(text: str) -> str:
    """The Python that runs a command line."""
    words = re.sub(r"\\\n\s*", "", text.strip()) if "<<" not in text else text.strip()
    if command_of(words, lambda name: False) == DOCKER and plain(uncommented(words)):
        return f"get_ipython().run_line_magic('docker', {uncommented(words).strip().partition(' ')[2].strip()!r})"
    return f"get_ipython().run_line_magic('on_host', {words!r})"


def transformer(bound: Callable[[str], bool]) -> type[TokenTransformBase]:
    """The token transformer for a shell in which `bound` tells whether a name has a value."""

    class CommandLine(TokenTransformBase):
        """A line that is a command of ours."""

        priority = 5

        @classmethod
        def find(cls, tokens_by_line: Sequence[Sequence[TokenInfo]]) -> CommandLine | None:
            """The first one in a cell."""
            for line in tokens_by_line:
                first = next((token for token in line if token.type not in (INDENT, DEDENT)), None)
                if first is None or first.string not in COMMANDS:
                    continue
                found = cls(first.start)
                if command_of(found.source_of(line), bound) is not None:
                    return found
            return None

        def source_of(self, line: Sequence[TokenInfo]) -> str:
            """The text of a logical line."""
            lines: dict[int, str] = {}
            for token in line:
                for offset, text in enumerate(token.line.splitlines(keepends=True)):
                    lines.setdefault(token.start[0] + offset, text)
            return "".join(lines[number] for number in sorted(lines)).strip()

        def transform(self, lines: list[str]) -> list[str]:
            """The cell with that line as a call."""
            start, end = self.start_line, _end(lines, self.start_line)
            indent = lines[start][: self.start_col]
            text = "".join(lines[start:end])[self.start_col :].rstrip("\n")
            return [*lines[:start], f"{indent}{call_of(text)}\n", *lines[end:]]

    return CommandLine


def _end(lines: Sequence[str], start: int) -> int:
    """Behind the last line of the command that begins at `start`: continued by a backslash, or by here-documents."""
    end = start
    while end < len(lines) - 1 and lines[end].rstrip("\n").endswith("\\"):
        end += 1
    for _, word in _HERE.findall("".join(lines[start : end + 1])):
        while end < len(lines) - 1 and lines[end + 1].strip() != word:
            end += 1
        end = min(end + 1, len(lines) - 1)
    return end + 1
