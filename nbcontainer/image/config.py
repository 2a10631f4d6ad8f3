"""An OCI image config, checked once when it comes in, so that nobody has to ask again what its fields are.

OCI image-spec, config.md, "Properties"; moby, image/spec/spec.md, for Healthcheck and Shell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nbcontainer.errors import ImageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_environment(value: Any) -> bool:
    return _is_texts(value) and all("=" in entry.lstrip("=") for entry in value)


def _is_healthcheck(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    times = (value.get(key) or 0 for key in ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"))
    return _is_texts(value.get("Test") or []) and all(isinstance(time, int) and time >= 0 for time in times)


#: What a container is started with; any of it may be missing or null.
_CONFIG: dict[str, Callable[[Any], bool]] = {
    "User": _is_text,
    "WorkingDir": _is_text,
    "StopSignal": _is_text,
    "Env": _is_environment,
    "Cmd": _is_texts,
    "Entrypoint": _is_texts,
    "Shell": _is_texts,
    "Volumes": _is_object,
    "ExposedPorts": _is_object,
    "Labels": _is_labels,
    "Healthcheck": _is_healthcheck,
}
_DOCUMENT: dict[str, Callable[[Any], bool]] = {
    "architecture": _is_text,
    "os": _is_text,
    "created": _is_text,
    "author": _is_text,
    "config": _is_object,
    "history": lambda value: isinstance(value, list) and all(map(_is_object, value)),
    "rootfs": _is_object,
}


def diff_ids_of(document: dict[str, Any]) -> list[str]:
    """The layers that an image config names, lowest first (OCI image-spec, config.md, rootfs)."""
    return list((document.get("rootfs") or {}).get("diff_ids") or [])


def checked(document: Any) -> dict[str, Any]:
    """`document`, if it is the config of an image that can be run here. Raises `ImageError`."""
    if not isinstance(document, dict):
        raise ImageError("the config of the image is no object")
    _check(document, _DOCUMENT, "")
    _check(document.get("config") or {}, _CONFIG, "config.")
    for step in document.get("history") or []:
        _check(step, {"created": _is_text, "created_by": _is_text, "comment": _is_text}, "history.")
    diff_ids = (document.get("rootfs") or {}).get("diff_ids")
    if diff_ids is not None and not (_is_texts(diff_ids) and all(map(_DIGEST.fullmatch, diff_ids))):
        raise ImageError("the config of the image is wrong: rootfs.diff_ids is no list of sha256 digests")
    if document.get("os") not in ("linux", None, ""):
        raise ImageError(f"the image is for {document['os']}, and containers here are Linux's")
    return document


def _check(found: dict[str, Any], fields: dict[str, Callable[[Any], bool]], prefix: str) -> None:
    for name, right in fields.items():
        if found.get(name) is not None and not right(found[name]):
            raise ImageError(f"the config of the image is wrong: {prefix}{name} is not what the specification says")
