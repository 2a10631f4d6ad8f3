"""Durations, times and sizes in Docker's words (go-units), but for one thing.

A duration below a minute is always `Less than a minute`, so that a notebook's output repeats.
"""

from __future__ import annotations

from datetime import UTC, datetime

MINUTE, HOUR = 60, 3600


def duration(seconds: float) -> str:
    """`Less than a minute`, `About a minute`, `5 minutes`, `About an hour`, `2 days` (go-units)."""
    if seconds < MINUTE:
        return "Less than a minute"
    minutes = int(seconds / MINUTE)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{int(seconds / HOUR) // 24 // 365} years"


def ago(seconds: float) -> str:
    """`5 minutes ago`."""
    return f"{duration(seconds)} ago"


def since(moment: datetime | str, now: datetime | None = None) -> float:
    """Seconds from `moment` (or its RFC 3339 text) until `now`; never negative."""
    then = rfc3339(moment) if isinstance(moment, str) else moment
    return max(0.0, ((now or datetime.now(UTC)) - then).total_seconds())


def rfc3339(text: str) -> datetime:
    """A moment as Docker's JSON writes it, nanoseconds cut to microseconds; without a zone it is UTC.

    Raises `ValueError`.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def size(number: float, digits: int = 3) -> str:
    """`0B`, `1.24MB`: decimal units, three significant digits (units.HumanSizeWithPrecision)."""
    return _scaled(number, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def binary_size(number: float) -> str:
    """`64MiB`: binary units, four significant digits (units.BytesSize)."""
    return _scaled(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), 4)


def _scaled(number: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while number >= base and step < len(units) - 1:
        number /= base
        step += 1
    return f"{number:.{digits}g}{units[step]}"
