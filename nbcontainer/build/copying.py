"""COPY and ADD: what is taken from where, what it is called in the cache, and the writing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbcontainer.build import modes
from nbcontainer.build.context import Context
from nbcontainer.build.sources import FromContext, Sources, is_url
from nbcontainer.errors import InvalidArgument
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.statements import Heredoc
from nbcontainer.image.dockerfile.words import Words


def check(copy: i.Copy) -> None:
    """Raises `InvalidArgument` for what can be known to be wrong without looking at a file."""
    if copy.chmod:
        modes.check(copy.chmod)
    if len(copy.sources) > 1 and not copy.target.endswith("/"):
        raise InvalidArgument(
            f"When using {copy.statement.name} with more than one source file, the destination must be a directory and "
            "end with a /"
        )
    if isinstance(copy, i.Add):
        urls = [source for source in copy.sources if isinstance(source, str) and is_url(source)]
        if copy.checksum and (len(copy.sources) > 1 or not urls):
            raise InvalidArgument("checksum can't be specified for multiple sources or for what is no URL")


@contextmanager
def from_context(
    copy: i.Copy, context: Context | None, env: dict[str, str], escape: str, home: Path, workspace: Path
) -> Iterator[Sources]:
    """What a COPY without `--from`, or an ADD, takes. Raises `InvalidArgument`, `ExpansionError`."""
    found = FromContext(context.tree if context is not None else None)
    # In a here-document only variables mean something, as in a shell's.
    inner = Words(escape, raw_quotes=True, raw_escapes=True, quotes=False)
    try:
        for source in copy.sources:
            if isinstance(source, Heredoc):
                found.add_text(source.name, inner.expand(source.text, env) if source.expand else source.text)
            elif not isinstance(copy, i.Add):
                found.add_paths(source, copy.parents, copy.exclude)
            elif is_url(source):
                named = copy.target.endswith("/")
                found.add_url(source, copy.checksum, copy.unpack is True, named, home, workspace)
            elif copy.unpack is False:
                found.add_paths(source, False, copy.exclude)
            else:
                found.add_archives(source, copy.exclude, workspace)
        yield found
    finally:
        found.close()
