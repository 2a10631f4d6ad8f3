"""What a kernel sees when it runs in a container: its own program, the notebook's folder, and nothing else of yours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from nbcontainer.errors import InvalidArgument, NotFound

#: The machine's directories that the image `host` has, so that nothing below them needs to be mounted.
OF_THE_HOST = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt")
#: What of the environment is nobody's secret and changes how text looks.
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "JPY_SESSION_NAME")


@dataclass(frozen=True)
class Sandbox:
    """The options of one kernel's container. `folder` is how the notebook's folder is seen: rw, ro or none."""

    image: str = "host"
    folder: str = "rw"
    mounts: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)

    def options(
        self, command: Sequence[str], *, folder: Path, connection_file: Path, sockets: Path, env: Mapping[str, str]
    ) -> dict[str, Any]:
        """For `lab.containers.create`. `env` is what Jupyter would give the kernel as a process of its own.

        Raises `NotFound` when the kernel's program is not there, `InvalidArgument` for a folder that shows too much.
        """
        program = _program(command[0])
        binds = [f"{path}:{path}:ro" for path in _seen_by(program)] if self.image == "host" else []
        binds += [f"{connection_file}:{connection_file}:ro", f"{sockets}:{sockets}"]
        workdir = "/"
        if self.folder != "none":
            _check_folder(folder)
            binds.append(f"{folder}:{folder}:{self.folder}")
            workdir = str(folder)
        path = os.pathsep.join([str(program.parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
        given = {name: env[name] for name in PASSED_ON if name in env}
        return {
            "init": True,
            "volume": [*binds, *self.mounts],
            "workdir": workdir,
            "env": {"PATH": path, **given, **self.env},
            **{name: value for name, value in self.limits.items() if value not in (None, "", 0, 0.0)},
        }


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise NotFound(f"the kernel's program {name} is not there; `jupyter kernelspec list` shows where its spec is")
    return Path(os.path.abspath(found))


def _seen_by(program: Path) -> list[Path]:
    """The directories that a program of the machine needs and the image `host` lacks: its environments.

    Those are what holds a virtual environment (pyvenv.cfg) or a conda environment (conda-meta), and, where the
    program itself lies elsewhere, the prefix it was installed below (…/bin/program).
    """
    needed = []
    real = Path(os.path.realpath(program))
    for parent in program.parents:
        if (parent / "pyvenv.cfg").is_file() or (parent / "conda-meta").is_dir():
            needed.append(parent)
            break
    needed.append(real.parent.parent if real.parent.name == "bin" else real.parent)
    kept: list[Path] = []
    for path in needed:
        inside = (*OF_THE_HOST, *map(str, kept))
        if not any(path == Path(top) or Path(top) in path.parents for top in inside):
            kept.append(path)
    return kept


def _check_folder(folder: Path) -> None:
    """Neither all that is the user's, nor what is Jupyter's: keys of other kernels, specs of what starts outside."""
    real, home = folder.resolve(), Path.home().resolve()
    jupyters = [Path(place).resolve() for place in (jupyter_runtime_dir(), jupyter_data_dir(), jupyter_config_dir())]
    if real in (home, *home.parents):
        seen = "all of your home directory"
    elif any(real in (place, *place.parents) or place in real.parents for place in jupyters):
        seen = "Jupyter's own files"
    else:
        return
    raise InvalidArgument(
        f"the notebook's folder is {folder}, and with it {seen} would be seen: "
        'give the notebook a folder of its own, or say "folder": "none"'
    )
