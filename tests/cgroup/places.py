"""Where a name stands below /sys/fs/cgroup, while groups of others come and go there."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path


def places(pattern: str) -> list[Path]:
    """Every file and directory there whose path ends with `pattern` (fnmatch)."""
    found = []
    for directory, names, files in os.walk("/sys/fs/cgroup"):  # which passes over what is gone meanwhile
        paths = (f"{directory}/{name}" for name in (*names, *files))
        found += [Path(path) for path in paths if fnmatch.fnmatch(path, f"*/{pattern}")]
    return found
