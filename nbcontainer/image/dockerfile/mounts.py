"""`RUN --mount=type=…`: its keys. Dockerfile reference, "RUN --mount"."""

from __future__ import annotations

import csv
import re
from typing import Any

from nbcontainer.image.dockerfile.instructions import Expand, Mount
from nbcontainer.image.dockerfile.wrong import Wrong, nearest

KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
#: Every key, by the field of `Mount` it sets.
_KEYS = {
    "type": "kind", "from": "origin", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "readonly": "read_only", "ro": "read_only", "readwrite": "read_only", "rw": "read_only",
    "required": "required", "size": "size", "id": "id", "sharing": "sharing", "mode": "mode", "uid": "uid",
    "gid": "gid", "env": "env",
}  # fmt: skip
_WITHOUT_VALUE = ("readonly", "ro", "readwrite", "rw", "required")
_TRUE = ("1", "t", "true")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def parse_mount(text: str, expand: Expand) -> Mount:
    """The mount that `text` asks for. Raises `Wrong`, and what `expand` raises."""
    found: dict[str, Any] = {}
    kind = "bind"
    for part in next(csv.reader([text]), []):
        key, equals, value = part.partition("=")
        key = key.lower()
        if key not in _KEYS:
            raise Wrong(f"unexpected key '{key}' in '{part}'{nearest(key, _KEYS)}")
        if not equals and key not in _WITHOUT_VALUE:
            raise Wrong(f"invalid field '{part}' must be a key=value pair")
        value = expand(value) if equals else "true"
        if key == "type":
            kind = value.lower()
            if kind not in KINDS:
                raise Wrong(f'unsupported mount type "{value}"{nearest(kind, KINDS)}')
        found[_KEYS[key]] = _value(key, value)
    found["kind"] = kind
    _check(kind, found, text)
    found.setdefault("read_only", kind not in ("cache", "tmpfs"))
    return Mount(**found)


def _value(key: str, value: str) -> Any:
    if key in _WITHOUT_VALUE:
        if value.lower() not in (*_TRUE, "0", "f", "false"):
            raise Wrong(f"invalid value for {key}: {value}")
        return (value.lower() in _TRUE) != (key in ("rw", "readwrite"))
    if key == "size":
        match = _SIZE.fullmatch(value)
        if match is None:
            raise Wrong(f"invalid value for {key}: {value}")
        return int(float(match[1]) * (1 << _UNITS[match[2].lower()]))
    if key == "mode":
        if not re.fullmatch(r"[0-7]{1,5}", value):
            raise Wrong(f"invalid value {value} for mode")
        return int(value, 8)
    if key in ("uid", "gid"):
        if not re.fullmatch(r"\d{1,10}", value):
            raise Wrong(f"invalid value {value} for {key}")
        return int(value)
    if key == "sharing":
        if value.lower() not in SHARING:
            raise Wrong(f'unsupported sharing value "{value}": it is {", ".join(SHARING)}')
        return value.lower()
    return value.lower() if key == "type" else value


def _check(kind: str, found: dict[str, Any], text: str) -> None:
    for key in ("mode", "uid", "gid"):
        if key in found and kind not in ("cache", "secret", "ssh"):
            raise Wrong(f'{key} not allowed for "{kind}" type mounts')
    for key, kinds in (("required", ("secret", "ssh")), ("size", ("tmpfs",)), ("env", ("secret",))):
        if key in found and kind not in kinds:
            raise Wrong(f"unexpected key '{key}' for mount type '{kind}'")
    if "sharing" in found and kind != "cache":
        raise Wrong(f"invalid cache sharing set for {kind} mount")
    if kind == "secret":
        if "origin" in found:
            raise Wrong("secret mount should not have a from")
        if not {"source", "target", "id"} & found.keys():
            raise Wrong("invalid secret mount. one of source, target required")
        if "source" in found and "id" in found:
            raise Wrong("both source and id can't be set")
    elif kind != "ssh" and not found.get("target"):
        raise Wrong(f"invalid mount '{text}': target is required")
