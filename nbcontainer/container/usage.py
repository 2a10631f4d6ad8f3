"""What the sampler reads of containers: their groups' files, and their networks' counters."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbcontainer.cgroup.counters import INDEX
from nbcontainer.cgroup.group import Group
from nbcontainer.cgroup.sampler import Target

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.containers import Containers

_READ, _WRITTEN = INDEX["net_read_bytes"], INDEX["net_write_bytes"]


def key_of(container: Container) -> str:
    """What the sampler and the events call a container."""
    return f"container/{container.name}"


def groups(containers: Containers) -> dict[str, Group]:
    """The groups of the containers that run, by key."""
    return {key_of(c): c.cgroup for c in containers.list() if c.cgroup is not None}


def targets(containers: Containers) -> dict[str, Target]:
    """What there is to sample of the containers that run, by key."""
    return {
        key_of(c): Target(c.cgroup, c.cgroup.sources, _network(c)) for c in containers.list() if c.cgroup is not None
    }


def _network(container: Container) -> Callable[[array[float]], object]:
    def read(row: array[float]) -> None:
        process = container.process
        if process is None:
            return
        row[_READ] = row[_WRITTEN] = 0
        if container.options.network in ("none", "host"):
            return  # as in Docker: the lab's own traffic is not the container's
        try:
            pid = process.outside_pid()
            with open(f"/proc/{pid}/net/dev") as file:
                row[_READ], row[_WRITTEN] = traffic(file.read())
        except OSError:
            return  # it has ended

    return read


def traffic(text: str) -> tuple[int, int]:
    """Bytes received and sent on every interface but lo: proc(5), /proc/PID/net/dev."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            words = numbers.split()
            received += int(words[0])
            sent += int(words[8])
    return received, sent
