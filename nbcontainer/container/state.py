"""What state a container is in, and, for a lab with a name, its record on disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: The zero of Go's time: what Docker prints for "never".
NEVER = "0001-01-01T00:00:00Z"


def now() -> str:
    """The time as Docker writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds_since(when: str) -> float:
    """Seconds from a time that `now` gave until now."""
    return (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()


@dataclass
class State:
    """Docker's `State`: status is created, running, paused, restarting, exited or removing."""

    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: str = NEVER
    finished_at: str = NEVER
    restart_count: int = 0
    health: str = ""
    health_failures: int = 0
    health_log: list[dict[str, Any]] = field(default_factory=list)
    #: `stop` was asked for: restart policies other than always leave it stopped.
    stopped_by_user: bool = False

    @property
    def running(self) -> bool:
        """True while it has a process (a paused one does)."""
        return self.status in ("running", "paused")

    def to_json(self) -> dict[str, Any]:
        """For the record on disk."""
        return asdict(self)


def write(path: Path, record: dict[str, Any]) -> None:
    """Replace the file at `path` in one step."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(record, indent=1))
    os.replace(beside, path)
