"""What the sampler reads of containers: the files of their groups, their networks' counters, and, where no control
group is to be had, /proc."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbcontainer.cgroup.counters import INDEX, Source
from nbcontainer.cgroup.group import Group, NoGroup, count_io
from nbcontainer.cgroup.sampler import Target
from nbcontainer.container.processes import Processes

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
    processes = Processes()
    found = {}
    for container in containers.list():
        group, process = container.cgroup, container.process
        if group is None or process is None:
            continue
        extra = [_network(container)]
        if isinstance(group, NoGroup):
            extra.append(_processes(container, processes))
        found[key_of(container)] = Target(group, _sources(group), _all(extra))
    return found


def _sources(group: Group) -> Callable[[], list[Source]]:
    def sources() -> list[Source]:
        count_io(group)
        return group.sources()

    return sources


def _all(functions: list[Callable[[array[float]], object]]) -> Callable[[array[float]], object]:
    def fill(row: array[float]) -> None:
        for function in functions:
            function(row)

    return fill


def _processes(container: Container, processes: Processes) -> Callable[[array[float]], object]:
    def read(row: array[float]) -> None:
        process = container.entry
        if process is not None:
            processes.read(process.outside_pid(), row)

    return read


def _network(container: Container) -> Callable[[array[float]], object]:
    def read(row: array[float]) -> None:
        process = container.process
        if process is None:
            return
        row[_READ] = row[_WRITTEN] = 0
        if container.options.network in ("none", "host"):
            return  # as in Docker: the lab's own traffic is not the container's
        try:
            with open(f"/proc/{process.outside_pid()}/net/dev") as file:
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


def machine_memory() -> int:
    """What a container without a limit may use: the machine's memory in bytes (sysconf(3))."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
