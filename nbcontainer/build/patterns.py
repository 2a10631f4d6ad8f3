"""Path patterns: those of .dockerignore and `--exclude`, and those of COPY's sources.

Dockerfile reference, ".dockerignore file"; moby/patternmatcher and Go's path/filepath.Match, which Docker uses.
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import posixpath
import re

from nbcontainer.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def is_pattern(text: str) -> bool:
    """Whether a path has a wildcard, or an escape, in it."""
    return any(char in text for char in "*?[\\")


def component(pattern: str) -> re.Pattern[str]:
    """A pattern for one name: `*`, `?`, `[a-z]`, `[^a]`, `\\x`. Raises `InvalidArgument`."""
    return _translated(pattern, deep=False)


def _translated(pattern: str, deep: bool) -> re.Pattern[str]:
    """With `deep`, `**` stands for any number of directories."""
    made, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and deep and pattern.startswith("*", at):
            at += 2 if pattern.startswith("/", at + 1) else 1
            made += ".*" if at == len(pattern) else "(?:.*/)?"
        elif char == "*":
            made += "[^/]*"
        elif char == "?":
            made += "[^/]"
        elif char == "[":
            klass, at = _class(pattern, at)
            made += klass
        elif char == "\\":
            if at == len(pattern):
                raise InvalidArgument(f"syntax error in pattern: {pattern}")
            made += re.escape(pattern[at])
            at += 1
        else:
            made += re.escape(char)
    try:
        return re.compile(made, re.DOTALL)
    except re.error:
        raise InvalidArgument(f"syntax error in pattern: {pattern}") from None


def _class(pattern: str, at: int) -> tuple[str, int]:
    """`[…]` from after its bracket on, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    made = ""
    while at < len(pattern) and (pattern[at] != "]" or not made):
        if pattern[at] == "\\":
            at += 1
            if at == len(pattern):
                break
            made += re.escape(pattern[at])
        elif pattern[at] == "-" and made and pattern[at + 1 : at + 2] not in ("]", ""):
            made += "-"
        else:
            made += re.escape(pattern[at])
        at += 1
    if at >= len(pattern):
        raise InvalidArgument(f"syntax error in pattern: {pattern}")
    return f"[{'^' if negated else ''}{made}]", at + 1


class Ignored:
    """What a list of patterns hides: of those that match a path, or a directory above it, the last one counts.

    A pattern that begins with `!` shows again what earlier ones have hidden.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        self._known: dict[str, list[bool]] = {}
        for pattern in patterns:
            shows = pattern.startswith("!")
            bare = pattern[1:] if shows else pattern
            if not bare:
                raise InvalidArgument('illegal exclusion pattern: "!"')
            # As Docker: `/a/`, `./a` and `a` are the same.
            clean = posixpath.normpath(bare.strip()).lstrip("/")
            self._rules.append((shows, _translated(clean, deep=True)))

    def __bool__(self) -> bool:
        return bool(self._rules)

    @property
    def has_exceptions(self) -> bool:
        """Whether something below a hidden directory can be seen."""
        return any(shows for shows, _ in self._rules)

    def hides(self, path: str) -> bool:
        """Whether `path`, relative to the root and without `.` or `..`, is hidden."""
        hidden = False
        for (shows, _), matched in zip(self._rules, self._matched(path), strict=True):
            if matched:
                hidden = not shows
        return hidden

    def _matched(self, path: str) -> list[bool]:
        """For each pattern, whether it matches `path` or a directory above it."""
        if path in self._known:
            return self._known[path]
        parent = posixpath.dirname(path)
        above = self._matched(parent) if parent else [False] * len(self._rules)
        found = [was or bool(rule.fullmatch(path)) for was, (_, rule) in zip(above, self._rules, strict=True)]
        if len(self._known) < 100_000:
            self._known[path] = found
        return found


def ignore_patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore file."""
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        shows = pattern.startswith("!")
        pattern = pattern[1:].strip() if shows else pattern
        if pattern:
            pattern = posixpath.normpath(pattern)
            pattern = pattern.lstrip("/") or "/"
        found.append(f"!{pattern}" if shows else pattern)
    return found
