"""`%image layers` and `%container layers`: the stack that a container's root is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nbcontainer.image.stack import Stack
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import layers
from nbcontainer.view.layer_stack import LayerStack

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def of_image(call: Call) -> Stack:
    """Its layers, topmost first."""
    return _show(call, call.lab.images.get(call.arguments[0]).layers)


def of_container(call: Call) -> Stack:
    """Its image's layers, and its own on top."""
    container = call.lab.containers.get(call.arguments[0])
    return _show(call, container.layers, container)


def _show(call: Call, stack: Stack, container: Container | None = None) -> Stack:
    path, trunc = call.get("path", ""), not call.get("no_trunc")
    table = layers.table(stack, path, trunc)
    if call.get("format", "table").strip() == "table":
        call.show(LayerStack(stack, container, table, path))
    else:
        formats.show_rows(call, table.caption, table.columns, table.rows)
    return shown(stack)


OPTIONS = (
    formats.FORMAT,
    formats.NO_TRUNC,
    Option("path", "", "string", "Show which layer this path of a container comes from"),
)

OF_IMAGE = Command(
    "layers", "Show the layers of an image, the topmost first", OPTIONS,
    (Argument("IMAGE", completes="image"),), action=of_image,
)  # fmt: skip
OF_CONTAINER = replace(
    OF_IMAGE,
    summary="Show the layers of a container, its writable one on top",
    arguments=(Argument("CONTAINER", completes="container"),),
    action=of_container,
)
