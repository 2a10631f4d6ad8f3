"""Docker's words for durations and sizes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nbcontainer.view import words

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "Less than a minute"),
        (59.9, "Less than a minute"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (HOUR, "About an hour"),
        (89 * 60, "About an hour"),
        (91 * 60, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (364 * DAY, "12 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1_240_000, "1.24MB"),
        (4_261_502, "4.26MB"),
        (187_000_000, "187MB"),
    ],
)
def test_sizes(number: int, said: str) -> None:
    assert words.size(number) == said


def test_binary_sizes() -> None:
    assert words.binary_size(64 << 20) == "64MiB"
    assert words.binary_size(1536 << 10) == "1.5MiB"


def test_since_reads_dockers_times() -> None:
    now = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert words.since("2025-01-01T11:59:00.123456789Z", now) == pytest.approx(59.876544)
    assert words.since("2025-01-01T13:00:00Z", now) == 0
