"""`%container stats`: what containers use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbcontainer.container import usage
from nbcontainer.errors import Conflict
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call
from nbcontainer.magics.formats import FORMAT, NO_TRUNC
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.watching import FOR, NO_STREAM, again, stream
from nbcontainer.view import stats
from nbcontainer.view.tables import Table
from nbcontainer.view.usage import Usage

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def show(call: Call) -> object:
    """What containers use; again and again, until Ctrl-C."""
    containers = call.lab.containers
    asked = [(containers.get(name), name) for name in call.arguments]
    for container, name in asked:
        if not container.state.running and not call.get("all"):
            raise Conflict(f"Container {name} is not running: --all shows it all the same")

    def rows() -> list[dict[str, object]]:
        batch = call.lab.sampler.take()
        samples = {key: batch.sample(index) for index, key in enumerate(batch.keys)}
        every = asked or [(c, c.name) for c in containers.list(all=call.get("all", False))]
        return [
            stats.stats_row(
                container, name, samples.get(usage.key_of(container)), _limit(container), not call.get("no_trunc")
            )
            for container, name in every
        ]

    if call.get("format", "table").strip() == "table":
        names = [container.name for container, _ in asked]
        return stream(
            call,
            lambda: Table("Usage of containers", stats.STATS_COLUMNS, tuple(rows())),
            lambda table: Usage(call.lab, "container/", names, table),
        )
    return again(
        call, rows, lambda made: formats.show_rows(call, "Usage of containers", stats.STATS_COLUMNS, made, KNOWN)
    )


KNOWN = stats.STATS_KNOWN


def _limit(container: Container) -> int:
    group = container.cgroup
    limit = group.memory_limit() if group is not None else None
    return min(limit or usage.machine_memory(), usage.machine_memory())


COMMANDS = (
    Command(
        "stats", "Display a live stream of container(s) resource usage statistics",
        (
            Option("all", "a", help="Show all containers (default shows just running)"),
            FORMAT, NO_STREAM, FOR, NO_TRUNC,
        ),
        (Argument("CONTAINER", required=False, repeats=True, completes="container"),), action=show,
    ),
)  # fmt: skip
