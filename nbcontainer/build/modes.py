"""`--chmod` of COPY and ADD: octal, or symbolic as chmod(1) has it.

Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import re
import stat

from nbcontainer.errors import InvalidArgument

_OCTAL = re.compile(r"[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def check(text: str) -> None:
    """Raises `InvalidArgument` for what is no mode."""
    if not _OCTAL.fullmatch(text) and not all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        raise InvalidArgument(
            f"invalid chmod parameter: '{text}': it is octal, such as 755, or symbolic, such as u+x,go-w"
        )


def changed(mode: int, directory: bool, text: str) -> int:
    """The mode of a file that had `mode` before."""
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        assert match is not None
        who = 0
        for letter in match[1] or "a":
            who |= _WHO[letter]
        for sign, letters in _ACTION.findall(match[2]):
            mode = _applied(mode, directory, who, sign, letters)
    return stat.S_IMODE(mode)


def _applied(mode: int, directory: bool, who: int, sign: str, letters: str) -> int:
    bits = 0
    for letter in letters:
        if letter in _SHIFT:
            bits |= (mode >> _SHIFT[letter] & 7) * 0o111
        elif letter == "X":
            bits |= 0o111 if directory or mode & 0o111 else 0
        else:
            bits |= _BITS[letter]
    if sign == "+":
        return mode | (bits & who)
    if sign == "-":
        return mode & ~(bits & who)
    return (mode & ~who) | (bits & who)
