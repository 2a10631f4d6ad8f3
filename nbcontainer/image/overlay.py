"""What of an image is mounted, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlay:
    """The lower directories, topmost first, for the part of a root below `prefix`."""

    prefix: str
    lowers: tuple[str, ...]
