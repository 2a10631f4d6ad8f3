"""The one way in: words of iproute2's command line, and what they give."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from nbcontainer.errors import UsageError
from nbcontainer.network.ip import bridge as bridges
from nbcontainer.network.ip import netns as names
from nbcontainer.network.ip.addr import address
from nbcontainer.network.ip.answer import Answer
from nbcontainer.network.ip.context import Context, Options
from nbcontainer.network.ip.link import link
from nbcontainer.network.ip.neigh import neighbour
from nbcontainer.network.ip.route import route
from nbcontainer.network.ip.rule import rule
from nbcontainer.network.ip.tuntap import tuntap
from nbcontainer.network.ip.words import Words
from nbcontainer.network.netns import Netns

#: In the order in which an abbreviation is looked up, as in ip.c: `a` is address, `r` route, `l` link, `n` neighbour.
OBJECTS: dict[str, Callable[[Context, Words], Answer | None]] = {
    "address": address,
    "route": route,
    "rule": rule,
    "neighbour": neighbour,
    "neighbor": neighbour,
    "link": link,
    "tuntap": tuntap,
    "tap": tuntap,
}
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "link": 0}


def ip(netns: Netns, words: Sequence[str]) -> Answer | None:
    """`ip [OPTIONS] OBJECT [COMMAND …]` in `netns`; `-n NAME` names another.

    A `show` gives an `Answer`, the rest None. Raises `UsageError` for what does not follow the grammar,
    `InvalidArgument`, `NotFound`, `Conflict` and `Unavailable`, in iproute2's words, for what cannot be.
    """
    options, rest, netns = _options(netns, list(words), "ip")
    if not rest or rest[0] == "help":
        raise UsageError(f"Usage: ip [ OPTIONS ] OBJECT {{ COMMAND | help }}; OBJECT is {', '.join(OBJECTS)}")
    word = rest[0]
    name = next((known for known in OBJECTS if known.startswith(word)), "")
    if not name:
        raise UsageError(f'Object "{word}" is unknown, try "ip help": {", ".join(OBJECTS)}')
    return _run(netns, options, OBJECTS[name], rest[1:], f"ip {name}")


def run(netns: Netns, words: Sequence[str]) -> Answer | Netns | None:
    """A whole line, `ip …` or `bridge …`, `ip netns …` too (`netns.netns`), but for its `exec` and `monitor`.

    Those are for who can show what goes on: `Netns.exec`, `Namespaces.monitor`.
    """
    program, *rest = words
    if program == "bridge":
        return bridge(netns, rest)
    options, after, place = _options(netns, rest, "ip")
    if after and len(after[0]) >= 3 and "netns".startswith(after[0]):  # "ne" is neighbour
        return names.netns(place.namespaces, after[1:], options.everything)
    return ip(netns, rest)


def bridge(netns: Netns, words: Sequence[str]) -> Answer | None:
    """`bridge [OPTIONS] {link|fdb|vlan} [COMMAND …]` in `netns`."""
    options, rest, netns = _options(netns, list(words), "bridge")
    return _run(netns, options, bridges.bridge, rest, "bridge")


def _run(
    netns: Netns, options: Options, act: Callable[[Context, Words], Answer | None], words: list[str], path: str
) -> Answer | None:
    with Context(netns, options) as context:
        given = act(context, Words(words, path))
    if given is None:
        return None
    if options.json:
        return given.as_json()
    if options.oneline:
        return Answer(given.kind, given.rows, given.text.replace("\n ", "\\ "))
    return given


def _options(netns: Netns, words: list[str], program: str) -> tuple[Options, list[str], Netns]:
    options = Options()
    while words and words[0].startswith("-"):
        word = words.pop(0)
        name = word.lstrip("-")
        if name in ("n", "netns", "net"):
            if not words:
                raise UsageError(f"Command line is not complete: {program} -n takes the name of a netns")
            netns = netns.namespaces.get(words.pop(0))
        elif name == "4":
            options.family = socket.AF_INET
        elif name == "6":
            options.family = socket.AF_INET6
        elif name in ("f", "family"):
            family = words.pop(0) if words else ""
            if family not in FAMILIES:
                raise UsageError(f'"{family}" is no family: {", ".join(FAMILIES)}')
            options.family = FAMILIES[family]
        elif name and "details".startswith(name):
            options.details = True
        elif name and ("statistics".startswith(name) or name == "stats"):
            options.stats = True
        elif name == "br" or (name and "brief".startswith(name)):
            options.brief = True
        elif name and "oneline".startswith(name):
            options.oneline = True
        elif name and ("json".startswith(name) or name in ("p", "pretty")):
            options.json = options.json or name[0] == "j"
        elif name in ("c", "color", "color=never", "c=never", "N", "Numeric", "r", "resolve"):
            continue
        elif name in ("a", "all"):
            options.everything = True
        else:
            raise UsageError(f'Option "{word}" is unknown, try "{program} -help".')
    return options, words, netns
