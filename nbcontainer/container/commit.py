"""A new image from a container: what it has written, as one more layer, and what it was started with."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbcontainer.container import files, signals
from nbcontainer.errors import Unavailable
from nbcontainer.image.dockerfile.describe import changed
from nbcontainer.image.images import Image

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

_NANO = 10**9


def commit(
    container: Container,
    name: str | None = None,
    *,
    changes: Sequence[str] = (),
    author: str = "",
    message: str = "",
    pause: bool = True,
) -> Image:
    """`docker commit`: the new image, which has `name` when that is given.

    `changes` are Dockerfile instructions. With `pause`, a running container stands still meanwhile. What lies in
    volumes is no part of it. Raises `InvalidArgument`, `InvalidReference`, `Conflict`, `ImageError`.
    """
    config = changed(config_of(container), changes)
    step = {"created_by": " ".join(container.options.command or container.image.config.get("Cmd") or [])}
    step |= {key: value for key, value in (("author", author), ("comment", message)) if value}
    with _still(container) if pause else _as_it_is():
        image = container.owner.images.commit_layer(
            container.image,
            files.written(container),
            step,
            config,
            driver=container.owner.driver,
            names=[name] if name else [],
        )
    container.owner.event("commit", container, comment=message)
    return image


def config_of(container: Container) -> dict[str, Any]:
    """The image's config with what the container's options have changed of it, as Docker keeps a container's."""
    options, config = container.options, dict(container.image.config)
    asked: dict[str, Any] = {
        "User": options.user,
        "WorkingDir": options.workdir,
        "StopSignal": options.stop_signal,
        "Labels": {**(config.get("Labels") or {}), **options.label} if options.label else None,
        "Env": _environment(config.get("Env") or [], options.env) if options.env else None,
        "Volumes": {**(config.get("Volumes") or {}), **{path: {} for path in options.volume if ":" not in path}},
    }
    config.update({key: value for key, value in asked.items() if value})
    if options.entrypoint is not None:
        config["Entrypoint"], config["Cmd"] = list(options.entrypoint), list(options.command)
    elif options.command:
        config["Cmd"] = list(options.command)
    check = _healthcheck(container)
    if check:
        config["Healthcheck"] = check
    return config


def _environment(before: Sequence[str], asked: Sequence[str]) -> list[str]:
    entries = dict(entry.partition("=")[::2] for entry in before)
    entries.update(entry.partition("=")[::2] for entry in asked)
    return [f"{key}={value}" for key, value in entries.items()]


def _healthcheck(container: Container) -> dict[str, Any]:
    options = container.options
    if options.no_healthcheck:
        return {"Test": ["NONE"]}
    check = dict(container.image.config.get("Healthcheck") or {})
    if options.health_cmd:
        check["Test"] = ["CMD-SHELL", options.health_cmd]
    for key, seconds in (
        ("Interval", options.health_interval),
        ("Timeout", options.health_timeout),
        ("StartPeriod", options.health_start_period),
        ("StartInterval", options.health_start_interval),
    ):
        if seconds:
            check[key] = int(seconds * _NANO)
    if options.health_retries:
        check["Retries"] = options.health_retries
    return check


# -- standing still


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _still(container: Container) -> Iterator[None]:
    """Nothing of the container runs meanwhile: frozen, or, where there is no control group to freeze, stopped."""
    if container.status != "running":
        yield
        return
    try:
        container.pause()
    except Unavailable:
        _signal(container, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(container, signal.SIGCONT)
        return
    try:
        yield
    finally:
        container.unpause()


def _signal(container: Container, number: signal.Signals) -> None:
    process, entry = container.process, container.entry
    if process is None or entry is None:
        return  # it has just ended
    process.kill(number)
    container.lab.spawn(signals.signal_others, number, pidns=entry.pidfd).wait()
