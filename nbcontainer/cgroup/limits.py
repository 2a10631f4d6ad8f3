"""What a group may be limited to, in one vocabulary for v1 and v2."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Limits:
    """None: not limited. Sizes in bytes, times in microseconds; `memory_swap` is memory and swap, -1 unlimited."""

    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids: int | None = None
    io_weight: int | None = None

    def controllers(self) -> frozenset[str]:
        """The controllers that these limits need, by v2's names."""
        return frozenset(_CONTROLLER[f.name] for f in fields(self) if getattr(self, f.name) is not None)

    def only(self, controllers: frozenset[str]) -> Limits:
        """Those of these limits that `controllers`, by v2's names, are for."""
        return replace(
            self, **{name: None for name, controller in _CONTROLLER.items() if controller not in controllers}
        )


_CONTROLLER = {
    "memory": "memory",
    "memory_swap": "memory",
    "memory_reservation": "memory",
    "cpu_quota_us": "cpu",
    "cpu_period_us": "cpu",
    "cpu_shares": "cpu",
    "cpuset_cpus": "cpuset",
    "cpuset_mems": "cpuset",
    "pids": "pids",
    "io_weight": "io",
}
