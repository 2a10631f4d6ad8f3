"""The context of a build: a directory of the machine, less what .dockerignore hides; and the Dockerfile in it."""

from __future__ import annotations

import os
from pathlib import Path

from nbcontainer.build.patterns import Ignored, ignore_patterns
from nbcontainer.build.tree import Tree
from nbcontainer.errors import InvalidArgument, NotFound
from nbcontainer.image.dockerfile.source import Source

#: The largest Dockerfile and .dockerignore that are read.
LARGEST = 16 << 20
NAME = "Dockerfile"


class Context:
    """The directory `path`. Raises `NotFound`, `InvalidArgument`."""

    def __init__(self, path: Path, dockerfile: Path | None = None) -> None:
        self.path = path
        if not path.is_dir():
            what = "is not a directory" if path.exists() else "not found"
            raise NotFound(f'unable to prepare context: path "{path}" {what}')
        # A Dockerfile of another name may have an ignore file of its own, beside it.
        own = dockerfile.with_name(f"{dockerfile.name}.dockerignore") if dockerfile is not None else None
        file = own if own is not None and own.is_file() else path / ".dockerignore"
        try:
            ignored = Ignored(ignore_patterns(_text(file))) if file.is_file() else Ignored(())
        except InvalidArgument as error:
            raise InvalidArgument(f"{file.name}: {error}") from None
        try:
            self.tree = Tree(os.fspath(path), ignored)
        except OSError as error:
            raise InvalidArgument(f"unable to prepare context: {path}: {str(error.strerror).lower()}") from None

    def close(self) -> None:
        """Let go of it."""
        self.tree.close()


def find_dockerfile(context: Path, file: Path | None) -> tuple[Source, Path]:
    """The Dockerfile of a build: `file`, or the one in the context. Raises `NotFound`, `InvalidArgument`."""
    path = file if file is not None else context / NAME
    if file is None and not path.is_file() and (context / NAME.lower()).is_file():
        path = context / NAME.lower()
    if not path.is_file():
        raise NotFound(f"failed to read dockerfile: open {file or NAME}: no such file or directory")
    return Source(path.name, _text(path)), path


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidArgument(f"{path} is larger than {LARGEST >> 20} MiB")
        return path.read_bytes().decode()
    except OSError as error:
        raise InvalidArgument(f"open {path}: {str(error.strerror).lower()}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{path} is not text in UTF-8") from None
