"""The facts a write-up was made under: `%lab snapshot` puts them into a notebook, `%lab verify` compares."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbcontainer
from nbcontainer.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

#: The key in a notebook's metadata.
KEY = "nbcontainer"


def facts(lab: Lab) -> dict[str, Any]:
    """What results depend on: of the machine, of the lab, and the digests of the images that are there."""
    return {
        "machine": {
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
            "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        },
        "lab": {
            "seed": lab.seed,
            "ids": "one" if lab.idmap.single else "many",
            "cgroup": lab.cgroups.mode,
            "controllers": sorted(lab.cgroups.controllers),
            "storage": lab.containers.driver,
        },
        "versions": {"nbcontainer": nbcontainer.__version__, "python": platform.python_version()},
        "images": {tag: image.id for image in lab.images.list() for tag in image.tags if tag != "host:latest"},
    }


def snapshot(lab: Lab, notebook: Path) -> dict[str, Any]:
    """Write the facts into the metadata of `notebook`; they are given back. Raises `NotFound`, `InvalidArgument`."""
    import nbformat

    document = _read(notebook)
    found = facts(lab)
    document.metadata.setdefault(KEY, {})["facts"] = found
    nbformat.write(document, str(notebook))  # type: ignore[no-untyped-call]
    return found


def verify(lab: Lab, notebook: Path) -> list[tuple[str, Any, Any]]:
    """`(fact, then, now)` for each that differs. Raises `NotFound` for a notebook without a snapshot."""
    then = _read(notebook).metadata.get(KEY, {}).get("facts")
    if then is None:
        raise NotFound(f"{notebook} has no snapshot: `%lab snapshot {notebook}` makes one")
    before, now = dict(_flat(then)), dict(_flat(facts(lab)))
    names = [name for name in before if not name.startswith("images.") or name in now or before[name]]
    return [(name, before[name], now.get(name)) for name in names if before[name] != now.get(name)]


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _read(notebook: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(str(notebook), as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise NotFound(f"open {notebook}: {str(error.strerror).lower()}") from None
    except Exception as error:
        raise InvalidArgument(f"{notebook} is no notebook: {error}") from None


def this_notebook() -> Path:
    """The notebook this kernel runs for, where its front end has said so. Raises `NotFound`."""
    name = os.environ.get("JPY_SESSION_NAME", "")
    if name.endswith(".ipynb"):
        return Path(name)
    raise NotFound("this front end does not say which notebook it shows: name its file")
