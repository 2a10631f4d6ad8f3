"""`%container diff|cp|export|commit`: a container's files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.container import files
from nbcontainer.errors import InvalidArgument, UsageError
from nbcontainer.magics.call import Call, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.image_layers import OF_CONTAINER
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.image.images import Image

DIFF_COLUMNS = (Column("Kind", "KIND"), Column("Path", "PATH", "code"))


class Changes(Table):
    """What a container changed: on a terminal a change a line without headers, as `docker diff` has it."""

    def __str__(self) -> str:
        return "\n".join(f"{row['Kind']} {row['Path']}" for row in self.rows)


def diff(call: Call) -> Table:
    """A was added, C changed, D deleted."""
    name = call.arguments[0]
    found = call.lab.containers.get(name).diff()
    made = tuple({"Kind": kind, "Path": path} for kind, path in found)
    return call.show_table(Changes(f"Changes in {name}", DIFF_COLUMNS, made))


def copy(call: Call) -> None:
    """To or from a container."""
    source, target = call.arguments
    from_name, from_path = _place(source)
    to_name, to_path = _place(target)
    if from_name and to_name:
        raise InvalidArgument("copying between containers is not supported")
    if from_name and to_path == "-":
        _to_stdout(call.lab.containers.get(from_name).copy_out(from_path))
        return
    if to_name and from_path == "-":
        call.lab.containers.get(to_name).copy_in(_from_stdin(), to_path)
        return
    if from_name:
        container = call.lab.containers.get(from_name)
        with writing(to_path):
            files.copy_to_machine(container, from_path, Path(to_path).expanduser())
    elif to_name:
        container = call.lab.containers.get(to_name)
        files.copy_from_machine(container, Path(from_path).expanduser(), to_path, from_path.endswith("/."))
    else:
        raise InvalidArgument("must specify at least one container source")
    if not call.get("quiet"):
        call.say(f"Successfully copied {source} to {target}")


def _to_stdout(archive: bytes) -> None:
    """`cp CONTAINER:PATH -`: a tar archive, where standard output is a file or a pipe."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None or sys.stdout.isatty():
        raise InvalidArgument("a notebook is no place for an archive: name a file or a directory instead of -")
    sys.stdout.flush()
    stream.write(archive)
    stream.flush()


def _from_stdin() -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise InvalidArgument("there is no archive to read here: name a file or a directory instead of -")
    return bytes(stream.read())


@contextmanager
def writing(path: str) -> Iterator[None]:
    """What the machine says of a file that cannot be written, in one line."""
    try:
        yield
    except OSError as error:
        raise InvalidArgument(f"cannot write {path}: {str(error.strerror).lower()}") from None


def _place(text: str) -> tuple[str, str]:
    """`NAME:PATH` as its two parts; a path alone, such as ./a:b, has no name."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")) or "/" in name:
        return "", text
    return name, path


def export(call: Call) -> None:
    """The root as one tar archive, or as a bundle that an OCI runtime runs."""
    container = call.lab.containers.get(call.arguments[0])
    bundle, output = call.get("bundle"), call.get("output")
    if bundle and output:
        raise UsageError(f"conflicting options: --bundle and --output. See '{call.path} --help'.")
    if bundle:
        with writing(bundle):
            container.export_bundle(Path(bundle).expanduser())
        call.say(f"{bundle} is an OCI bundle: runc run -b {bundle} {container.name}")
    elif output:
        with writing(output):
            container.export(Path(output).expanduser())
    else:
        raise InvalidArgument(f"a notebook is no place for an archive: name a file, {call.path} --output FILE")


def commit(call: Call) -> Image:
    """A new image of what a container has written."""
    container = call.lab.containers.get(call.arguments[0])
    image = container.commit(
        call.arguments[1] if len(call.arguments) > 1 else None,
        changes=call.get("change", []),
        author=call.get("author", ""),
        message=call.get("message", ""),
        pause=call.get("pause", True),
    )
    if not call.get("quiet"):
        call.print(image.id)
    return shown(image)


ONE = Argument("CONTAINER", completes="container")

COMMANDS = (
    Command(
        "diff", "Inspect changes to files or directories on a container's filesystem", (), (ONE,), action=diff
    ),
    Command(
        "commit", "Create a new image from a container's changes",
        (
            Option("author", "a", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
            Option("change", "c", "list", "Apply Dockerfile instruction to the created image"),
            Option("message", "m", "string", "Commit message"),
            Option("pause", "p", help="Pause container during commit", default="true"),
            Option("quiet", "q", help="Do not print the image's ID"),
        ),
        (ONE, Argument("REPOSITORY[:TAG]", required=False, completes="image")), action=commit,
    ),
    Command(
        "cp", "Copy files/folders between a container and the local filesystem",
        (Option("quiet", "q", help="Suppress progress output during copy"),),
        (
            Argument("CONTAINER:SRC_PATH|SRC_PATH", completes="path"),
            Argument("DEST_PATH|CONTAINER:DEST_PATH", completes="path"),
        ),
        action=copy,
    ),
    Command(
        "export", "Export a container's filesystem as a tar archive, or the container as an OCI bundle",
        (
            Option("bundle", "", "string", "Write an OCI bundle to this directory, for runc run"),
            Option("output", "o", "string", "Write to a file"),
        ),
        (ONE,), action=export,
    ),
    OF_CONTAINER,
)  # fmt: skip
