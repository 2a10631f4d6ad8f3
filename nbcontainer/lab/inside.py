"""Runs inside the lab: one function call, answered over a socket."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Descriptors:
    """What a called function returns when descriptors go back with its value."""

    def __init__(self, value: Any, fds: list[int]) -> None:
        self.value = value
        self.fds = fds


def resolve(target: str) -> Any:
    """`"package.module:function"` as the function."""
    module, _, name = target.partition(":")
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def answer(target: str, args: list[Any], with_fds: bool, fds: list[int]) -> None:
    """Call `target(*args)` and send what it returned, or raised, over `fds[0]`."""
    reply: dict[str, Any]
    back: list[int] = []
    try:
        function = resolve(target)
        result = function(*args, fds=fds[1:]) if with_fds else function(*args)
        if isinstance(result, Descriptors):
            result, back = result.value, result.fds
        reply = {"result": result}
        encoded = json.dumps(reply).encode()
    except BaseException as error:
        encoded = json.dumps({"error": describe(error)}).encode()
    with socket.socket(fileno=fds[0]) as sock:
        # The length goes first with the descriptors: an answer may be larger than one message.
        socket.send_fds(sock, [len(encoded).to_bytes(8, "big")], back)
        sock.sendall(encoded)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as JSON, for `nbcontainer.lab.handle` to raise again."""
    if isinstance(error, OSError) and error.errno is not None:
        return {"kind": "OSError", "errno": error.errno, "filename": _text(error.filename), "message": str(error)}
    return {"kind": type(error).__name__, "message": str(error)}


def _text(name: Any) -> str | None:
    return None if name is None else os.fsdecode(name) if isinstance(name, bytes) else str(name)
