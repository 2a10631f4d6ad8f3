"""A command as it was called: what was typed, where its output goes, and what has been shown of it."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from nbcontainer.errors import NbcontainerError
from nbcontainer.magics.parsing import Parsed
from nbcontainer.view import frontend
from nbcontainer.view.tables import Table

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

T = TypeVar("T")


class ExitCode(int):
    """An exit code that has been printed: an object of its own, so that only this one is not shown again."""


class Text(str):
    """A text that has been printed."""

    __slots__ = ()


@dataclass
class Call:
    """What an action gets. `cell` is the cell's text for `%%…`, else None."""

    parsed: Parsed
    cell: str | None = None

    @property
    def lab(self) -> Lab:
        """This process's lab; the first use starts it."""
        from nbcontainer import runtime

        return runtime.current_lab()

    @property
    def path(self) -> str:
        """What was called, such as `%container run`."""
        return self.parsed.path

    @property
    def arguments(self) -> list[str]:
        """The words after the options."""
        return self.parsed.arguments

    @property
    def values(self) -> dict[str, Any]:
        """The options that were given."""
        return self.parsed.values

    def get(self, dest: str, otherwise: Any = None) -> Any:
        """The value of an option, or `otherwise`."""
        return self.parsed.values.get(dest, otherwise)

    def stdin(self) -> bytes | None:
        """The cell as the standard input of what runs."""
        return None if self.cell is None else self.cell.encode(errors="surrogateescape")

    def print(self, text: str) -> None:
        """A line of what the command gives out."""
        print(text)

    def say(self, text: str) -> None:
        """A line about what the command does."""
        print(text, file=sys.stderr)

    def show(self, thing: T) -> T:
        """Display it now: rich in a notebook, its text on a terminal."""
        if "IPython" in sys.modules and not _plain.get():
            from IPython.display import display

            display(thing)  # type: ignore[no-untyped-call]
        else:
            print(thing)
        return shown(thing)

    def show_table(self, table: Table) -> Table:
        """Display a table."""
        return self.show(table)

    def show_text(self, text: str) -> str:
        """Print a text and give it back."""
        self.print(text)
        return shown(Text(text))

    def each(self, names: Iterable[str], act: Callable[[str], T]) -> list[T]:
        """Do it to every name and print the name, as Docker does: the others are done although one fails.

        Raises the last error; what is said of those before goes to stderr.
        """
        done: list[T] = []
        failed: NbcontainerError | None = None
        for name in names:
            try:
                done.append(act(name))
            except NbcontainerError as error:
                if failed is not None:
                    self.say(f"Error: {failed}")
                failed = error
            else:
                self.print(name)
        if failed is not None:
            raise failed
        return done


def one_or_all(things: list[T]) -> T | list[T]:
    """What a command gives back that takes several names: the thing itself when there was one name."""
    return shown(things[0] if len(things) == 1 else things)


_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_output() -> Iterator[None]:
    """Within it, what is shown is printed as text: where output goes into a pipe or a file."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def rich() -> bool:
    """Whether what a command shows goes to a page that shows widgets."""
    return frontend.live() and not _plain.get()


_shown: list[object] = []


def shown(thing: T) -> T:
    """Mark what a command gives back as already shown: as a cell's last value it is not shown once more."""
    _shown.append(thing)
    return thing


def was_shown(thing: object) -> bool:
    """Whether a command of this cell has shown this very object."""
    return any(thing is known for known in _shown)


def forget_shown() -> None:
    """The cell has ended: from now on everything is shown when asked for."""
    _shown.clear()


class Writer:
    """Bytes of a command into a text stream, as they come: UTF-8, other bytes become the replacement mark."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._terminal = stream.isatty()

    def __call__(self, data: bytes) -> None:
        self._stream.write(self._decoder.decode(data))
        if self._terminal:
            self._stream.flush()

    def finish(self) -> None:
        """No more will come: an unfinished character is written as the replacement mark."""
        self._stream.write(self._decoder.decode(b"", final=True))
        self._stream.flush()


class Output:
    """A command's two streams into the cell's: `with Output() as output: …` and its `stdout`, `stderr`."""

    def __init__(self) -> None:
        self.stdout = Writer(sys.stdout)
        self.stderr = Writer(sys.stderr)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.finish()
        self.stderr.finish()
