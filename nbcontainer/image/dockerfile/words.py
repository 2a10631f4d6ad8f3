"""Words of a Dockerfile: quotes, escapes, `$variable` and `${variable…}` with every modifier of the reference.

Dockerfile reference, "Environment replacement"; POSIX Shell Command Language, 2.6.2, for what it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: A shell's special parameters. A Dockerfile has none of them, so each is empty.
_SPECIAL = "@*#?-$!0"


class ExpansionError(ValueError):
    """What is wrong with a word, without its place."""


class Words:
    """How words are read: with which escape, and what of the quoting stays in them.

    `keep_unset` leaves a variable that is not set as it stands.
    """

    def __init__(
        self,
        escape: str = "\\",
        *,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
        quotes: bool = True,
        keep_unset: bool = False,
    ) -> None:
        self.escape = escape
        self.raw_quotes = raw_quotes
        self.raw_escapes = raw_escapes
        self.quotes = quotes
        self.keep_unset = keep_unset

    def expand(self, text: str, env: Mapping[str, str]) -> str:
        """`text` as one word, blanks and all. Raises `ExpansionError`."""
        return self._process(text, env)[0]

    def split(self, text: str, env: Mapping[str, str]) -> list[str]:
        """`text` split at the blanks that are not quoted, after variables are replaced. Raises `ExpansionError`."""
        return self._process(text, env)[1]

    def _process(self, text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
        try:
            return _Scanner(self, text, env).until("", self.raw_escapes)
        except ExpansionError as error:
            raise ExpansionError(f'failed to process "{text}": {error}') from None


class _Collected:
    """A text, and the words in it."""

    def __init__(self) -> None:
        self.text = ""
        self.words: list[str] = []
        self._word: str | None = None

    def add(self, text: str) -> None:
        """What a blank in splits."""
        self.text += text
        for char in text:
            if not char.isspace():
                self._word = (self._word or "") + char
            elif self._word:
                self.words.append(self._word)
                self._word = None

    def add_quoted(self, text: str) -> None:
        """What belongs to one word."""
        self.text += text
        self._word = (self._word or "") + text

    def finish(self) -> tuple[str, list[str]]:
        return self.text, [*self.words, *([self._word] if self._word else [])]


class _Scanner:
    def __init__(self, rules: Words, text: str, env: Mapping[str, str]) -> None:
        self.rules = rules
        self.text = text
        self.env = env
        self.at = 0

    def peek(self) -> str:
        """The next character; "" at the end."""
        return self.text[self.at : self.at + 1]

    def next(self) -> str:
        char = self.peek()
        self.at += len(char)
        return char

    def until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """What is before the character `stop`, or before the end when there is none."""
        found = _Collected()
        while char := self.peek():
            if char == stop:
                self.next()
                return found.finish()
            if char == "$":
                found.add(self.dollar())
            elif char == "'" and self.rules.quotes:
                found.add_quoted(self.single())
            elif char == '"' and self.rules.quotes:
                found.add_quoted(self.double(raw_escapes))
            else:
                self.next()
                if char != self.rules.escape:
                    found.add(char)
                    continue
                if raw_escapes:
                    found.add_quoted(char)
                if escaped := self.next():
                    found.add_quoted(escaped)
        if stop:
            raise ExpansionError(f"unexpected end of statement while looking for matching {stop}")
        return found.finish()

    def single(self) -> str:
        quote = self.next() if self.rules.raw_quotes else self.next() and ""
        end = self.text.find("'", self.at)
        if end < 0:
            self.at = len(self.text)
            raise ExpansionError("unexpected end of statement while looking for matching single-quote")
        inner, self.at = self.text[self.at : end], end + 1
        return quote + inner + quote

    def double(self, raw_escapes: bool) -> str:
        quote = self.next() if self.rules.raw_quotes else self.next() and ""
        found = quote
        while char := self.peek():
            if char == '"':
                self.next()
                return found + quote
            if char == "$":
                found += self.dollar()
                continue
            self.next()
            if char == self.rules.escape:
                # Only these can be escaped here; before anything else the escape is a character like any other.
                if self.peek() in ('"', "$", self.rules.escape) and self.peek():
                    found += (char if raw_escapes else "") + self.next()
                elif self.peek():
                    found += char
            else:
                found += char
        raise ExpansionError("unexpected end of statement while looking for matching double-quote")

    # -- variables

    def dollar(self) -> str:
        self.next()
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            return f"${name}" if self.rules.keep_unset and name not in self.env else self.env.get(name, "")
        self.next()
        if not self.peek():
            raise ExpansionError("syntax error: missing '}'")
        if self.peek() in "{}:":
            raise ExpansionError("syntax error: bad substitution")
        name = self.name()
        char = self.next()
        if char == "}":
            return f"${{{name}}}" if self.rules.keep_unset and name not in self.env else self.env.get(name, "")
        if char == "/":
            return self.replaced(name)
        modifier = char + (self.next() if char == ":" else "")
        if modifier not in ("-", "+", "?", ":-", ":+", ":?", "#", "%"):
            raise ExpansionError(f"unsupported modifier ({modifier}) in substitution")
        word = self.operand("}", raw_escapes=modifier in "#%")
        if self.rules.keep_unset and name not in self.env:
            return f"${{{name}{modifier}{word}}}"
        return self.modified(name, modifier, word)

    def name(self) -> str:
        start = self.at
        if self.peek().isdigit():
            while self.peek().isdigit():
                self.at += 1
        elif self.peek() and self.peek() in _SPECIAL:
            self.at += 1
        else:
            while self.peek().isalnum() or self.peek() == "_":
                self.at += 1
        return self.text[start : self.at]

    def operand(self, stop: str, raw_escapes: bool) -> str:
        try:
            return self.until(stop, raw_escapes)[0]
        except ExpansionError:
            if self.peek():
                raise
            missing = "missing '}'" if stop == "}" else "missing '/' in ${}"
            raise ExpansionError(f"syntax error: {missing}") from None

    def modified(self, name: str, modifier: str, word: str) -> str:
        value = self.env.get(name)
        unset = value is None or (modifier.startswith(":") and value == "")
        kind = modifier[-1]
        if kind == "-":
            return word if unset else value or ""
        if kind == "+":
            return "" if unset else word
        if kind == "?":
            if unset:
                state = "unset" if value is None else "empty"
                raise ExpansionError(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        longest = word.startswith(kind)
        pattern = _pattern(word[1:] if longest else word)
        return _trimmed(value or "", pattern, kind, longest)

    def replaced(self, name: str) -> str:
        every = self.peek() == "/"
        if every:
            self.next()
        pattern = self.operand("/", raw_escapes=True)
        replacement = self.operand("}", raw_escapes=True)
        if self.rules.keep_unset and name not in self.env:
            return f"${{{name}/{'/' if every else ''}{pattern}/{replacement}}}"
        return _pattern(pattern).sub(lambda _: replacement, self.env.get(name, ""), count=0 if every else 1)


def _pattern(text: str) -> re.Pattern[str]:
    """A shell's pattern of `*` and `?`, without brackets, as a regular expression."""
    made, at = "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            made += ".*"
        elif char == "?":
            made += "."
        elif char == "\\":
            # Before } and / the escape was for the braces around the pattern.
            escaped = text[at : at + 1]
            if escaped not in ("*", "?", "\\", "}", "/"):
                raise ExpansionError(f"invalid pattern ({text}) in substitution: invalid escape '\\{escaped}'")
            made += re.escape(escaped)
            at += 1
        else:
            made += re.escape(char)
    return re.compile(made)


def _trimmed(value: str, pattern: re.Pattern[str], side: str, longest: bool) -> str:
    """`value` without the shortest or longest beginning (`#`) or end (`%`) that is as `pattern` says."""
    lengths = range(len(value), -1, -1) if longest else range(len(value) + 1)
    for length in lengths:
        if side == "#" and pattern.fullmatch(value, 0, length):
            return value[length:]
        if side == "%" and pattern.fullmatch(value, len(value) - length):
            return value[: len(value) - length]
    return value
