"""`%image build`, and `%%image build` with the Dockerfile as its cell."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import DockerfileError, InvalidArgument, UsageError
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.container_files import writing
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.image_registry import shown_while
from nbcontainer.magics.progress import followed

if TYPE_CHECKING:
    from nbcontainer.build.builder import Watcher
    from nbcontainer.image.image import Image

#: What is about the magic and not about the build.
_OURS = ("file", "iidfile", "progress", "quiet")


def build(call: Call) -> Image:
    """Build an image; what its steps do and print is the cell's output."""
    options: dict[str, Any] = {key: value for key, value in call.values.items() if key not in _OURS}
    quiet = call.get("quiet") or call.get("progress") == "quiet"
    # In a notebook the output of a step that an earlier kernel has done is printed again, so that it repeats.
    replay = "IPython" in sys.modules
    try:
        with _followed(call, quiet) as progress, nullcontext() if quiet else shown_while(call):
            image = call.lab.builder.build(
                _context(call), dockerfile=call.cell, file=call.get("file"), progress=progress, replay=replay, **options
            )
    except DockerfileError as error:
        call.say(error.excerpt)
        raise
    if "iidfile" in call.values:
        with writing(call.values["iidfile"]):
            Path(call.values["iidfile"]).expanduser().write_text(image.id)
    if quiet:
        call.print(image.id)
    return shown(image)


def _followed(call: Call, quiet: bool) -> AbstractContextManager[Watcher | None]:
    from nbcontainer.build.progress import PlainProgress
    from nbcontainer.view.progress.building import Building

    if quiet:
        return nullcontext()
    return followed(Building(" ".join(call.get("tag", []))), PlainProgress(call.print))


def _context(call: Call) -> str:
    path = call.arguments[0] if call.arguments else ""
    if call.cell is not None and "file" in call.values:
        raise UsageError(
            f"conflicting options: the cell is the Dockerfile, and --file names another. See '{call.path}'"
        )
    if not path and call.cell is None:
        raise UsageError(f"\"{call.path}\" requires 1 argument, the context, such as . See '{call.path} --help'.")
    if path == "-":
        raise UsageError(f"a notebook has no standard input: write the Dockerfile into the cell of %{call.path}")
    if "://" in path or path.startswith("git@"):
        raise InvalidArgument(f"the context {path} is no directory of this machine: download or clone it first")
    return path or "."


COMMAND = Command(
    "build", "Build an image from a Dockerfile",
    (
        Option("add-host", "", "list", "Add a custom host-to-IP mapping (host:ip)"),
        Option("build-arg", "", "list", "Set build-time variables"),
        Option("cpu-period", "", "int", "Limit the CPU CFS (Completely Fair Scheduler) period"),
        Option("cpu-quota", "", "int", "Limit the CPU CFS (Completely Fair Scheduler) quota"),
        Option("cpu-shares", "c", "int", "CPU shares (relative weight)"),
        Option("cpuset-cpus", "", "string", "CPUs in which to allow execution (0-3, 0,1)"),
        Option("cpuset-mems", "", "string", "MEMs in which to allow execution (0-3, 0,1)"),
        Option("file", "f", "string", 'Name of the Dockerfile (default is "PATH/Dockerfile")'),
        Option("iidfile", "", "string", "Write the image ID to a file"),
        Option("label", "", "list", "Set metadata for an image"),
        Option("memory", "m", "bytes", "Memory limit of each RUN"),
        Option("memory-swap", "", "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
        Option(
            "network", "", "string", "Set the networking mode for the RUN instructions during build", default="default",
            choices=("default", "none", "host"),
        ),
        Option("no-cache", help="Do not use cache when building the image"),
        Option("platform", "", "string", "Set the platform of the image, such as linux/amd64"),
        Option(
            "progress", "", "string", "Set type of progress output", default="auto",
            choices=("auto", "plain", "quiet"),
        ),
        Option("pull", help="Always attempt to pull all referenced images"),
        Option("quiet", "q", help="Suppress the build output and print image ID on success"),
        Option("secret", "", "list", 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")'),
        Option("shm-size", "", "bytes", "Size of /dev/shm"),
        Option("tag", "t", "list", "Name and optionally a tag (format: name:tag)"),
        Option("target", "", "string", "Set the target build stage to build"),
        Option("ulimit", "", "list", "Ulimit options", metavar="ulimit"),
    ),
    (Argument("PATH", required=False),), action=build, cell="the Dockerfile",
)  # fmt: skip
