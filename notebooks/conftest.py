"""nbval: cells tagged `cgroups` are left out where no control group may be written, and pytest says so."""

from __future__ import annotations

import pytest

from nbcontainer.cgroup.cgroups import Cgroups

TAG = "cgroups"
REASON = "no control group here may be written: see `%lab doctor`"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot be shown here."""
    tagged = [item for item in items if TAG in getattr(getattr(item, "cell", None), "metadata", {}).get("tags", [])]
    if tagged and not Cgroups.detect().controllers >= {"cpu", "memory", "pids"}:
        for item in tagged:
            item.add_marker(pytest.mark.skip(reason=REASON))
