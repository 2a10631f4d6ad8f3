"""`%image save|load|import`: images to and from files."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.errors import ImageError, UsageError
from nbcontainer.image.dockerfile.describe import changed
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.save import FORMATS
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.progress import followed
from nbcontainer.view.progress.transfer import Transfer

if TYPE_CHECKING:
    from nbcontainer.image.images import Image


def save(call: Call) -> None:
    """Images to one file."""
    if "output" not in call.values:
        raise UsageError(f"a notebook is no place for an archive: name a file, {call.path} --output FILE IMAGE")
    target = Path(call.values["output"]).expanduser()
    call.lab.images.save(call.arguments, target, call.get("format", FORMATS[0]))


def load(call: Call) -> object:
    """Images from an archive that `docker save` wrote, or from an OCI layout."""
    if "input" not in call.values:
        raise UsageError(f"a notebook has no standard input: name the archive, {call.path} --input FILE")
    archive = call.values["input"]
    with _followed(call, archive) as progress:
        loaded = call.lab.images.load(Path(archive).expanduser(), lambda line: progress(Event(line)), progress=progress)
    return shown(loaded[0] if len(loaded) == 1 else loaded)


def _followed(call: Call, archive: str) -> AbstractContextManager[Progress]:
    def names(event: Event) -> None:
        if not event.layer:
            call.print(event.status)

    return nullcontext(nobody) if call.get("quiet") else followed(Transfer("Load", archive), names)


def import_(call: Call) -> Image:
    """An image of one layer from the archive of a whole root."""
    origin = call.arguments[0]
    if origin == "-":
        raise UsageError(f"a notebook has no standard input: name the archive, {call.path} FILE")
    if "://" in origin:
        raise UsageError(f"{call.path} takes a file: download {origin} first")
    config = changed({}, call.get("change", []))
    try:
        file = Path(origin).expanduser().open("rb")
    except OSError as error:
        raise ImageError(f"open {origin}: {str(error.strerror).lower()}") from None
    with file:
        image = call.lab.images.import_root(
            file,
            call.arguments[1] if len(call.arguments) > 1 else None,
            config,
            message=call.get("message", ""),
            origin=Path(origin).name,
        )
    call.print(image.id)
    return shown(image)


COMMANDS = (
    Command(
        "save", "Save one or more images to a tar archive; .gz and .zst in its name compress it",
        (
            Option("format", "", "string", "What to write: an archive for docker load, or an OCI layout in a tar "
                   "file or a directory", choices=FORMATS, default=FORMATS[0]),
            Option("output", "o", "string", "Write to a file"),
        ),
        (Argument("IMAGE", repeats=True, completes="image"),), action=save,
    ),
    Command(
        "load", "Load images from a tar archive or an OCI layout",
        (
            Option("input", "i", "string", "Read from tar archive file, or from the directory of an OCI layout"),
            Option("quiet", "q", help="Suppress the load output"),
        ),
        action=load,
    ),
    Command(
        "import", "Import the contents from a tarball to create a filesystem image",
        (
            Option("change", "c", "list", "Apply Dockerfile instruction to the created image"),
            Option("message", "m", "string", "Set commit message for imported image"),
        ),
        (Argument("FILE"), Argument("REPOSITORY[:TAG]", required=False)), action=import_,
    ),
)  # fmt: skip
