"""Runs inside the lab, in a container's pid namespace: signals to all that is in it."""

from __future__ import annotations

import os


def signal_others(number: int, *, fds: list[int]) -> None:
    """Signal every process but pid 1 and this one (kill(2), pid -1)."""
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        pass
