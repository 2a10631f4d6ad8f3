"""`nbcontainer kernelspec wrap`: another kernelspec beside a given one, whose kernel runs in a container."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from nbcontainer.errors import Conflict, InvalidArgument, NotFound

PROVISIONER = "nbcontainer"


def wrap(name: str, *, new_name: str = "", display_name: str = "", user: bool = True, **config: Any) -> Path:
    """Write the spec `NAME-container`, a copy of `name` with our provisioner; the directory it is in.

    `config` are the provisioner's options (`ContainerProvisioner`). Raises `NotFound`, `Conflict`, `InvalidArgument`.
    """
    specs = KernelSpecManager()
    try:
        spec = specs.get_kernel_spec(name)
    except NoSuchKernel:
        known = ", ".join(sorted(specs.find_kernel_specs())) or "none"
        raise NotFound(f"there is no kernelspec {name}; there are: {known}") from None
    document = spec.to_dict()
    metadata = dict(document.get("metadata") or {})
    if "kernel_provisioner" in metadata:
        held = metadata["kernel_provisioner"].get("provisioner_name")
        raise Conflict(f"the kernelspec {name} has a provisioner already: {held}")
    metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER, "config": {k: v for k, v in config.items() if v}}
    document["metadata"] = metadata
    document["display_name"] = display_name or f"{spec.display_name} (in a container)"
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "spec"
        if spec.resource_dir and Path(spec.resource_dir).is_dir():
            shutil.copytree(spec.resource_dir, source)
        else:
            source.mkdir()
        (source / "kernel.json").write_text(json.dumps(document, indent=1) + "\n")
        try:
            return Path(specs.install_kernel_spec(str(source), new_name or f"{name}-container", user=user))
        except ValueError as error:
            raise InvalidArgument(f"invalid kernelspec name: {error}") from None
        except OSError as error:
            raise InvalidArgument(f"cannot write {error.filename}: {error.strerror}") from None
