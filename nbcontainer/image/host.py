"""The image `host`: the machine's own programs, read-only, as lower directories. Nothing is downloaded.

`nbcontainer.image.skeleton` says of what it is put together.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import Any

from nbcontainer.image import skeleton
from nbcontainer.image.image import architecture
from nbcontainer.image.overlay import Overlay
from nbcontainer.lab.handle import Handle

NAME = "host"
TAG = f"{NAME}:latest"
#: In the config of an image whose lowest layer is this machine's root: the name of that.
BASE = "io.nbcontainer.base"
WHAT = "this machine's /usr, /etc and /opt, read-only"


def document() -> dict[str, Any]:
    """Its OCI image config."""
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["/bin/sh"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": WHAT, "empty_layer": True}],
    }


def image_id(config: dict[str, Any]) -> str:
    """Its id: the digest of its config, as any image's."""
    return f"sha256:{hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()}"


def overlays(lab: Handle) -> tuple[Overlay, ...]:
    """What to mount for a container of it. What is not the machine's own is made once a lab, in its directory."""
    place = lab.directory / "host"
    place.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        uid, gid = lab.idmap.uid_outside(0), lab.idmap.gid_outside(0)
        os.chown(place, -1 if uid is None else uid, -1 if gid is None else gid)
    return tuple(Overlay(prefix, tuple(lowers)) for prefix, lowers in lab.call(skeleton.prepare, str(place)))


def is_base_of(config: dict[str, Any]) -> bool:
    """Whether the layers of an image with this config lie on this machine's root."""
    return config.get(BASE) == NAME


def below(lab: Handle, layers: Overlay) -> tuple[Overlay, ...]:
    """What to mount for a container of an image whose layers lie on `host`: each overlay with its part of them."""
    return tuple(Overlay(one.prefix, (*_parts(layers.lowers, one.prefix), *one.lowers)) for one in overlays(lab))


def places(stacked: tuple[Overlay, ...], path: str) -> list[tuple[str, str]]:
    """Where a path of the container is to be looked for, topmost first: a directory, and the path below it."""
    one = max(
        (one for one in stacked if f"{path}/".startswith(f"{one.prefix.rstrip('/')}/")), key=lambda o: len(o.prefix)
    )
    rest = path[len(one.prefix.rstrip("/")) :]
    return [(lower, rest) for lower in one.lowers]


def _parts(layers: tuple[str, ...], prefix: str) -> list[str]:
    """The directories that are `prefix` in the layers. One behind a link is none: it could lead anywhere."""
    found = []
    for layer in layers:
        path = layer
        for part in prefix.split("/")[1:] if prefix != "/" else ():
            path = f"{path}/{part}"
            try:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    break
            except OSError:
                break
        else:
            found.append(path)
    return found
