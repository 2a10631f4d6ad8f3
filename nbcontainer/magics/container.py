"""The tree of `%container`."""

from __future__ import annotations

from nbcontainer.magics import (
    container_files,
    container_lifecycle,
    container_look,
    container_run,
    container_stats,
)
from nbcontainer.magics.grammar import Command

CONTAINER = Command(
    "%container",
    "Manage containers",
    commands=(
        *container_run.COMMANDS,
        *container_lifecycle.COMMANDS,
        *container_look.COMMANDS,
        *container_stats.COMMANDS,
        *container_files.COMMANDS,
    ),
)
