"""Samples as a table: a DataFrame where pandas is there, else records."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

from nbcontainer.cgroup.series import COLUMNS


def records(samples: Sequence[array[float]]) -> list[dict[str, float | None]]:
    """A dict a sample, by column; None for what this machine does not count."""
    return [
        {name: None if math.isnan(value) else value for name, value in zip(COLUMNS, sample, strict=True)}
        for sample in samples
    ]


def table(samples: Sequence[array[float]]) -> Any:
    """A DataFrame with the time as its index, columns that are not counted here left out; or `records`."""
    try:
        import pandas  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return records(samples)
    frame = pandas.DataFrame([list(sample) for sample in samples], columns=list(COLUMNS))
    frame["time"] = pandas.to_datetime(frame["time"], unit="s", utc=True)
    return frame.set_index("time").dropna(axis="columns", how="all")
