"""What is wrong with a statement, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Wrong(ValueError):
    """What is wrong with a statement, without its place."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`" (did you mean X?)"`, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""
