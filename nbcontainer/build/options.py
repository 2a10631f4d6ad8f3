"""The options of a build: those of `docker build`, dashes as underscores, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nbcontainer.errors import InvalidArgument
from nbcontainer.image import commit
from nbcontainer.image.image import ARCHITECTURES, architecture

#: Build arguments that need no ARG, reach every RUN, and make no difference to the cache (Dockerfile reference).
PROXIES = tuple(
    name
    for word in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (word.upper(), word)
)
EPOCH = commit.SOURCE_DATE_EPOCH
#: Options that go to the containers of RUN as they are.
FOR_RUN = (
    "add_host", "cpu_period", "cpu_quota", "cpu_shares", "cpus", "cpuset_cpus", "cpuset_mems", "memory", "memory_swap",
    "shm_size", "ulimit",
)  # fmt: skip
_PLATFORM = re.compile(r"(?:(\w+)/)?([\w]+)(?:/(\w+))?")
_ALIASES = {**ARCHITECTURES, "x86-64": "amd64", "armhf": "arm", "arm": "arm"}


@dataclass(frozen=True)
class BuildOptions:
    """What was asked for. `epoch`, in seconds since 1970, is when all that is built says to be from."""

    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    no_cache: bool = False
    pull: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    platform: str | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    epoch: int | None = None
    for_run: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, **raw: Any) -> Self:
        """From text or Python values. Raises `InvalidArgument`, `InvalidReference`."""
        raw = {key: value for key, value in raw.items() if value is not None}
        known = {"tag", "build_arg", "target", "no_cache", "pull", "label", "network", "platform", "secret", *FOR_RUN}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise InvalidArgument(f"there is no option {unknown[0]} to build")
        build_args = _arguments(raw.get("build_arg", {}))
        return cls(
            tags=tuple(commit.name(tag) for tag in _several(raw.get("tag", ()))),
            build_args=build_args,
            target=raw.get("target") or None,
            no_cache=bool(raw.get("no_cache")),
            pull=bool(raw.get("pull")),
            labels=_labels(raw.get("label", {})),
            network=str(raw.get("network", "default")),
            platform=platform(raw["platform"]) if raw.get("platform") else None,
            secrets=dict(_secret(secret) for secret in _secrets(raw.get("secret", {}))),
            epoch=_epoch(build_args),
            for_run={key: raw[key] for key in FOR_RUN if key in raw},
        )


def _several(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _arguments(given: Mapping[str, object] | str | Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE`; `NAME` alone has the environment's value, or is left out when there is none."""
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    found = {}
    for text in _several(given):
        name, equals, value = text.partition("=")
        if not name:
            raise InvalidArgument(f'invalid argument "{text}" for "--build-arg" flag: invalid variable: {text}')
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def _labels(given: Mapping[str, object] | str | Iterable[str]) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return dict(text.partition("=")[::2] for text in _several(given))


def _secrets(given: Mapping[str, object] | str | Iterable[str]) -> Iterable[object]:
    return given.items() if isinstance(given, Mapping) else _several(given)


def _secret(given: object) -> tuple[str, bytes]:
    """`id=ID,src=FILE` or `id=ID,env=VARIABLE`; in Python also `{ID: content}`."""
    if isinstance(given, tuple):
        name, content = given
        return str(name), content if isinstance(content, bytes) else str(content).encode()
    fields = dict(part.partition("=")[::2] for part in str(given).split(","))
    path, variable = fields.get("src") or fields.get("source"), fields.get("env")
    name = fields.get("id") or (os.path.basename(path) if path else variable or "")
    if not name or fields.keys() - {"id", "src", "source", "env", "type"}:
        raise InvalidArgument(f'invalid argument "{given}" for "--secret" flag: it is id=ID,src=FILE or id=ID,env=NAME')
    if variable or (not path and name in os.environ):
        return name, os.environ.get(variable or name, "").encode()
    try:
        return name, Path(path or name).expanduser().read_bytes()
    except OSError as error:
        reason = str(error.strerror).lower()
        raise InvalidArgument(f"failed to stat {path or name}: {reason}: the file of secret {name}") from None


def _epoch(build_args: Mapping[str, str]) -> int | None:
    text = build_args.get(EPOCH)
    if text is None:
        return commit.epoch()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise InvalidArgument(f"{EPOCH} is {text!r}: it must be a number of seconds since 1970")
    return int(text)


def platform(text: str) -> str:
    """`linux/arm64/v8` and shorter forms as `os/architecture[/variant]`. Raises `InvalidArgument`."""
    match = _PLATFORM.fullmatch(text.lower())
    if match is None or "," in text:
        raise InvalidArgument(f'"{text}" is an invalid platform: it is OS/ARCHITECTURE, such as linux/amd64')
    system, kind, variant = match[1] or "linux", match[2], match[3]
    if kind == "local" or (kind == "linux" and not match[1]):
        kind = architecture()
    kind = _ALIASES.get(kind, kind)
    return f"{system}/{kind}" + (f"/{variant}" if variant and (kind, variant) != ("arm64", "v8") else "")


def automatic(wanted: str | None) -> dict[str, str]:
    """The arguments that say what is built where (Dockerfile reference, "Automatic platform ARGs")."""
    here = platform("local")
    found = {}
    for prefix, text in (("BUILD", here), ("TARGET", wanted or here)):
        system, kind, *variant = text.split("/")
        values = {"PLATFORM": text, "OS": system, "ARCH": kind, "VARIANT": "".join(variant)}
        found.update({f"{prefix}{name}": value for name, value in values.items()})
    return found
