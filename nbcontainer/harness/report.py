"""What a failed test's report carries: its labs' containers, what they printed, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import NbcontainerError

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.runtime import Lab

#: Lines of a container's log.
TAIL = 40


def sections(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and text for each lab, container and topology among a test's fixtures."""
    from nbcontainer.runtime import Lab
    from nbcontainer.topology.network import TopologyNetwork

    found = []
    for name, value in arguments.items():
        if isinstance(value, Lab) and not value.closed:
            found += _lab(name, value)
        elif isinstance(value, TopologyNetwork):
            found.append((f"topology {name}", repr(value)))
    return found


def _lab(name: str, lab: Lab) -> list[tuple[str, str]]:
    from nbcontainer.view.objects import lab_text

    if lab.gone:
        return [(f"lab {name}", "its init has ended")]
    try:
        return [(f"lab {name}", lab_text(lab)), *(_container(each) for each in lab.containers.list(all=True))]
    except (NbcontainerError, OSError) as error:
        return [(f"lab {name}", f"cannot be looked into: {error}")]


def _container(container: Container) -> tuple[str, str]:
    state = container.state
    lines = [f"{container.status}, exit code {container.exit_code}{', out of memory' if state.oom_killed else ''}"]
    if state.error:
        lines.append(state.error)
    total = sum(step.microseconds for step in container.trace)
    if container.trace:
        slowest = sorted(container.trace, key=lambda step: -step.microseconds)[:3]
        said = ", ".join(f"{step.kind} {step.what} {step.microseconds:.0f} µs" for step in slowest)
        lines.append(f"made in {len(container.trace)} steps, {total:.0f} µs; the longest: {said}")
    printed = container.logs(tail=TAIL).rstrip()
    return f"container {container.name}", "\n".join([*lines, *([printed] if printed else ["(it printed nothing)"])])
