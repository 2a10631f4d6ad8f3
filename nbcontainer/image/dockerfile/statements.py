"""From the text of a Dockerfile to its statements: parser directives, comments, continued lines, here-documents.

Dockerfile reference, "Format", "Parser directives", "Here-documents". Where the reference leaves something open,
BuildKit's parser is followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.words import ExpansionError, Words

#: Bytes that one line may have.
LONGEST = 65_535
#: Instructions whose words may begin a here-document.
_WITH_HEREDOCS = ("ADD", "COPY", "RUN")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)")
_WHITESPACE = " \t\v\f\r"


@dataclass(frozen=True)
class Heredoc:
    """`<<NAME` and the lines up to one that is NAME; with `chomp` (`<<-`) leading tabs do not count."""

    name: str
    content: str
    expand: bool
    chomp: bool

    @property
    def text(self) -> str:
        """The content, without leading tabs if so asked."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


@dataclass(frozen=True)
class Statement:
    """One instruction as written: its name in capitals, its `--flags`, the rest, and where it stands."""

    source: Source
    name: str
    flags: tuple[str, ...]
    rest: str
    start: int
    end: int
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def text(self) -> str:
        """The whole statement on one line, without its here-documents."""
        return " ".join(part for part in (self.name, *self.flags, self.rest) if part)


@dataclass(frozen=True)
class Statements:
    """A Dockerfile taken apart; `escape` is the character that escapes in it."""

    escape: str
    directives: dict[str, str]
    statements: tuple[Statement, ...]
    warnings: tuple[str, ...]


def read(source: Source) -> Statements:
    """Take a Dockerfile apart. Raises `DockerfileError` that points at the line."""
    return _Reader(source).read()


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.lines = list(source.lines)
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.at = 0
        self.escape = "\\"
        self.directives: dict[str, str] = {}
        self.warnings: list[str] = []

    def read(self) -> Statements:
        self._read_directives()
        found = []
        while self.at < len(self.lines):
            statement = self._statement()
            if statement is not None:
                found.append(statement)
        if not found:
            raise self.source.error("file with no instructions", max(len(self.lines), 1))
        return Statements(self.escape, self.directives, tuple(found), tuple(self.warnings))

    def _read_directives(self) -> None:
        """They come first: after anything else a line like one is a comment."""
        for number, line in enumerate(self.lines, 1):
            match = _DIRECTIVE.fullmatch(line.strip())
            key = match[1].lower() if match else ""
            if match is None or key not in _DIRECTIVES:
                return
            if key in self.directives:
                raise self.source.error(f"only one {key} parser directive can be used", number)
            if key == "escape":
                if match[2] not in ("\\", "`"):
                    raise self.source.error(f"invalid escape token '{match[2]}' does not match ` or \\", number)
                self.escape = match[2]
            self.directives[key] = match[2]

    def _line(self) -> str:
        line = self.lines[self.at]
        self.at += 1
        if len(line.encode()) > LONGEST:
            raise self.source.error(f"dockerfile line greater than max allowed size of {LONGEST}", self.at)
        if "\0" in line:
            raise self.source.error("the line has a NUL character", self.at)
        return line

    def _continued(self, line: str) -> tuple[str, bool]:
        """`line` without the escape at its end, and whether there was one; a doubled one is a character."""
        bare = line.rstrip(" \t")
        ends = bare.endswith(self.escape) and not bare.endswith(self.escape * 2)
        return (bare[:-1], True) if ends else (line, False)

    def _statement(self) -> Statement | None:
        start = self.at + 1
        line = self._line().lstrip()
        if not line or line.startswith("#"):
            return None
        text, more = self._continued(line)
        empty = False
        while more and self.at < len(self.lines):
            line = self._line()
            if line.lstrip().startswith("#"):
                continue
            if not line.strip():
                empty = True
                continue
            line, more = self._continued(line)
            text += line
        if empty:
            self.warnings.append(
                f"{self.source.name}:{start}: empty continuation line: it will become an error in Docker"
            )
        if not text.strip():
            return None
        name, flags, rest = self._split(text, start)
        heredocs = self._heredocs(name, rest, start)
        return Statement(self.source, name, flags, rest, start, self.at, heredocs)

    def _split(self, text: str, start: int) -> tuple[str, tuple[str, ...], str]:
        name, *tail = re.split(f"[{_WHITESPACE}]+", text.strip(), maxsplit=1)
        try:
            flags, rest = split_flags(tail[0] if tail else "", self.escape)
        except ExpansionError as error:
            raise self.source.error(str(error), start, self.at) from None
        return name.upper(), flags, rest

    # -- here-documents

    def _heredocs(self, name: str, rest: str, start: int) -> tuple[Heredoc, ...]:
        if name == "ONBUILD":
            name, _, rest = rest.strip().partition(" ")
        if name.upper() not in _WITH_HEREDOCS or rest.lstrip().startswith("[") or "<<" not in rest:
            return ()
        try:
            words = Words(self.escape, raw_quotes=True, raw_escapes=True, keep_unset=True).split(rest, {})
        except ExpansionError:
            return ()  # the instruction itself will say what is wrong with it
        found = []
        for word in words:
            opening = heredoc_opening(word, self.escape)
            if opening is not None:
                mark, chomp, expand = opening
                found.append(Heredoc(mark, self._body(mark, chomp, start), expand, chomp))
        return tuple(found)

    def _body(self, name: str, chomp: bool, start: int) -> str:
        content: list[str] = []
        while self.at < len(self.lines):
            line = self._line()
            if (line.lstrip("\t") if chomp else line) == name:
                return "".join(f"{one}\n" for one in content)
            content.append(line)
        raise self.source.error("unterminated heredoc: there is no line that is " + name, start)


def heredoc_opening(word: str, escape: str) -> tuple[str, bool, bool] | None:
    """Name, chomp and expand of `<<NAME`, `<<-NAME`, `<<"NAME"`, `3<<NAME`; None when the word opens none."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    try:
        words = Words(escape, keep_unset=True).split(match[3], {})
    except ExpansionError:
        return None
    if len(words) != 1 or (match[3][0] in _WHITESPACE):
        return None
    # Any quoting of the name means that the content is taken as it is, as in a shell.
    return words[0], match[2] == "-", words[0] == match[3]


def split_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """`--flag=value` words at the beginning, their quotes taken off, and the rest."""
    flags: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in _WHITESPACE:
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), text[at:].strip()
        word, at = _flag(text, at, escape)
        if word == "--":
            return tuple(flags), text[at:].strip()
        flags.append(word)


def _flag(text: str, at: int, escape: str) -> tuple[str, int]:
    word, quote = "", ""
    while at < len(text):
        char = text[at]
        if char == escape and quote != "'":
            at += 1
            word += text[at : at + 1]
        elif quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "'\"":
            quote = char
        elif char in _WHITESPACE:
            break
        else:
            word += char
        at += 1
    if quote:
        raise ExpansionError("unexpected end of statement while looking for matching quote of a flag")
    return word, at
