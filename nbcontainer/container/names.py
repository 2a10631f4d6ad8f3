"""Names and ids that come out the same on every run: from the lab's seed and a counter."""

from __future__ import annotations

import hashlib
import re

from nbcontainer.errors import InvalidArgument

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_MOODS = (
    "amber brave brisk calm clever coral deft eager early fleet frank gentle glad golden hardy honest jolly keen "
    "kind light lively lucid mellow merry mild modest neat nimble noble patient plain polite prompt proud quick quiet "
    "ready robust sage serene sharp silent silver sleek smart solid spry stable steady stoic sturdy subtle sunny swift "
    "tidy trusty upbeat vivid warm wise witty zesty"
).split()
_PEOPLE = (
    "allen babbage backus bartik boole bryant cerf church codd cook corbato curie dahl diffie dijkstra elion engelbart "
    "floyd franklin goldberg hamilton hamming hoare holberton hopper huffman iverson johnson kahn kernighan kildall "
    "knuth lamport lamarr liskov lovelace mccarthy mcclintock meitner mills milner minsky moore naur noether nygaard "
    "perlis perlman postel ritchie shannon sutherland tarjan thompson torvalds turing wilkes wilkinson wing wirth yao"
).split()


def container_id(seed: str, number: int) -> str:
    """The id of a lab's `number`th container: 64 hex digits."""
    return hashlib.sha256(f"{seed}/container/{number}".encode()).hexdigest()


def generated(seed: str, number: int) -> str:
    """A name for a container that was given none, such as `brisk_hopper`."""
    digest = hashlib.sha256(f"{seed}/name/{number}".encode()).digest()
    mood = _MOODS[int.from_bytes(digest[:4], "big") % len(_MOODS)]
    return f"{mood}_{_PEOPLE[int.from_bytes(digest[4:8], 'big') % len(_PEOPLE)]}"


def check(name: str) -> str:
    """`name` without a leading slash. Raises `InvalidArgument` in Docker's words."""
    bare = name.removeprefix("/")
    if not NAME.fullmatch(bare):
        raise InvalidArgument(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and at least two of them"
        )
    return bare
