"""What the grammar offers is what the objects take."""

from __future__ import annotations

import dataclasses

from nbcontainer.container.options import ExecOptions, RunOptions, UpdateOptions
from nbcontainer.magics.container_options import CREATE, EXEC, NO_CHECK, RESOURCES, RESTART


def fields(of: type) -> set[str]:
    return {field.name for field in dataclasses.fields(of)} | {"env_file", "label_file"}


def test_every_option_of_create_is_one_of_the_container() -> None:
    assert {option.dest for option in CREATE} <= fields(RunOptions)


def test_every_option_of_the_container_can_be_typed() -> None:
    # Networks besides the first are `--network` again.
    assert fields(RunOptions) - {option.dest for option in CREATE} == {"image", "command", "more_networks"}


def test_options_of_exec_and_update_are_known_too() -> None:
    assert {option.dest for option in EXEC if option != NO_CHECK} <= fields(ExecOptions)
    assert {option.dest for option in (*RESOURCES, RESTART)} == UpdateOptions.NAMES
