"""What a group has used, in one vocabulary for v1 and v2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What a group has used. Bytes, microseconds and counts; None where this machine does not say."""

    cpu_usec: int | None = None
    throttled_periods: int | None = None
    throttled_usec: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    memory_anon: int | None = None
    memory_file: int | None = None
    memory_kernel: int | None = None
    pids: int | None = None
    oom_kills: int | None = None
