"""The words of a command line as iproute2 reads them: keywords, abbreviations, and what is wrong with a value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from nbcontainer.errors import InvalidArgument, UsageError

#: Bytes a link's name may have (IFNAMSIZ, less its end).
LONGEST_LINK_NAME = 15


class Words:
    """What is still to be read of a command line. `path` is what has been: `ip link add`."""

    def __init__(self, words: Sequence[str], path: str) -> None:
        self._words = list(words)
        self.path = path

    def __bool__(self) -> bool:
        return bool(self._words)

    @property
    def head(self) -> str:
        """The next word, or an empty one."""
        return self._words[0] if self._words else ""

    def next(self, what: str = "") -> str:
        """Take a word, the value of `what`. Raises `UsageError` at the end."""
        if not self._words:
            after = f' after "{what}"' if what else ""
            raise UsageError(f"Command line is not complete{after}: {self.path}. Try '{self.path} help'.")
        return self._words.pop(0)

    def rest(self) -> list[str]:
        """Take all that is left."""
        words, self._words = self._words, []
        return words

    def take(self, *keywords: str) -> str:
        """Take the next word if it is one of these; else an empty one."""
        return self._words.pop(0) if self._words and self._words[0] in keywords else ""

    def command(self, choices: Sequence[str], default: str, thing: str) -> str:
        """Take a command by any beginning of its name; the first of `choices` that fits, as iproute2 does it."""
        if not self._words:
            self.path = f"{self.path} {default}"
            return default
        word = self._words[0]
        found = next((choice for choice in choices if word and choice.startswith(word)), "")
        if not found:
            raise UsageError(f'Command "{word}" is unknown, try "{thing} help": {", ".join(choices)}')
        self._words.pop(0)
        self.path = f"{self.path} {found}"
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self._words:
            self.garbage(self._words[0])

    def garbage(self, word: str) -> NoReturn:
        """A word that means nothing here."""
        raise UsageError(f'either "dev" is duplicate, or "{word}" is a garbage: {self.path}')

    # -- values

    def wrong(self, value: str, why: str) -> NoReturn:
        """As iproute2's invarg."""
        raise InvalidArgument(f'argument "{value}" is wrong: {why}')

    def number(self, what: str, highest: int = 0xFFFFFFFF, base: int = 0, lowest: int = 0) -> int:
        """A number, hexadecimal after 0x."""
        word = self.next(what)
        try:
            value = int(word, base)
        except ValueError:
            self.wrong(word, f'"{what}" value is invalid')
        if not lowest <= value <= highest:
            self.wrong(word, f'"{what}" value must be {lowest} to {highest}')
        return value

    def switch(self, what: str) -> int:
        """`on` or `off`; 1 and 0 too."""
        word = self.next(what)
        if word in ("on", "1", "yes"):
            return 1
        if word in ("off", "0", "no"):
            return 0
        raise InvalidArgument(f'Error: argument of "{what}" must be "on" or "off", not "{word}"')

    def choice(self, what: str, choices: Iterable[str]) -> str:
        """One of these words."""
        word, known = self.next(what), list(choices)
        if word not in known:
            self.wrong(word, f'"{what}" is one of {", ".join(known)}')
        return word

    def mac(self, what: str) -> str:
        """A link-layer address of six bytes."""
        word = self.next(what)
        if not re.fullmatch(r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}", word):
            self.wrong(word, f'"{what}" is six bytes such as 02:00:00:00:00:01')
        return ":".join(part.zfill(2) for part in re.split("[:-]", word.lower()))

    def address(self, what: str, family: int = 0) -> str:
        """An address without a prefix length."""
        return address(self.next(what), family)

    def link_name(self, what: str) -> str:
        """A name a link can have."""
        return link_name(self.next(what), what)


def link_name(name: str, what: str = "name") -> str:
    """`name`, or `InvalidArgument` when the kernel would not take it (net/core/dev.c, dev_valid_name)."""
    long = len(name.encode(errors="surrogateescape")) > LONGEST_LINK_NAME
    if not name or long or name in (".", "..") or re.search(r"[/:\s\0]", name) or not name.isprintable():
        raise InvalidArgument(
            f'argument {name!a} is wrong: "{what}" not a valid ifname '
            f"(1 to {LONGEST_LINK_NAME} bytes, no blank, slash or colon)"
        )
    return name


def family_of(text: str) -> int:
    """AF_INET or AF_INET6 of an address or prefix."""
    return 10 if ":" in text else 2


def address(text: str, family: int = 0) -> str:
    """An address in its usual form. Raises `InvalidArgument`."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or (family and family_of(text) != family):
        kind = {2: "inet", 10: "inet6"}.get(family, "inet")
        raise InvalidArgument(f'{kind} address is expected rather than "{text}".')
    return str(found)


def prefix(text: str, family: int = 0) -> tuple[str, int]:
    """`10.1.0.0/24` as address and length; without a length, that of one host. Raises `InvalidArgument`."""
    if text in ("default", "any", "all"):
        return ("::" if family == 10 else "0.0.0.0"), 0
    host, slash, length = text.partition("/")
    try:
        made = ipaddress.ip_interface(_completed(host) + (f"/{length}" if slash else ""))
    except ValueError:
        made = None
    if made is None or (family and family_of(text) != family):
        kind = {2: "inet", 10: "inet6"}.get(family, "any valid")
        raise InvalidArgument(f'{kind} prefix is expected rather than "{text}".')
    return str(made.ip), made.network.prefixlen


def _completed(host: str) -> str:
    """`10.1` as 10.1.0.0, as inet_net_pton(3) takes it."""
    if ":" not in host and re.fullmatch(r"\d+(\.\d+){0,2}", host):
        return host + ".0" * (3 - host.count("."))
    return host
