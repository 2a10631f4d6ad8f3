"""`%load_ext nbcontainer`: the magics, what Tab offers for them, and how objects look. It starts no lab."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.utils.text import DollarFormatter

from nbcontainer.errors import NbcontainerError
from nbcontainer.magics.call import forget_shown, was_shown
from nbcontainer.magics.completion import complete
from nbcontainer.magics.dispatch import ROOTS, dispatch
from nbcontainer.magics.grammar import Command
from nbcontainer.magics.live import LIVE
from nbcontainer.view import objects

Undo = list[Callable[[], object]]

#: What loading changed, by the shell it was loaded into, so that unloading undoes exactly that.
_loaded: dict[int, Undo] = {}


def load(ipython: Any) -> None:
    """Register everything; a second time does nothing."""
    if id(ipython) in _loaded:
        return
    undo = _loaded[id(ipython)] = []
    for root in ROOTS:
        _add_magic(ipython, root, undo)
        _add_completer(ipython, root, undo)
    _add_displayhook(ipython, undo)
    _add_views(ipython, undo)


def unload(ipython: Any) -> None:
    """Undo what `load` did. The lab goes on until the process ends."""
    for step in reversed(_loaded.pop(id(ipython), [])):
        step()


# -- magics


def _add_magic(ipython: Any, root: Command, undo: Undo) -> None:
    name = root.name.strip("%")
    if not root.name.startswith("%%"):

        @no_var_expand
        @needs_local_scope
        def line_magic(line: str, local_ns: dict[str, Any] | None = None) -> object:
            return _run(ipython, root, line, None, local_ns)

        _register(ipython, line_magic, "line", name, root, undo)
    if root.name.startswith("%%") or any(command.cell for command in root.commands):

        @no_var_expand
        @needs_local_scope
        def cell_magic(line: str, cell: str, local_ns: dict[str, Any] | None = None) -> object:
            return _run(ipython, root, line, cell, local_ns)

        _register(ipython, cell_magic, "cell", name, root, undo)


def _register(
    ipython: Any, function: Callable[..., object], kind: str, name: str, root: Command, undo: Undo
) -> None:
    function.__doc__ = f"{root.summary}. See `{root.name} --help`."
    ipython.register_magic_function(function, magic_kind=kind, magic_name=name)
    undo.append(lambda: ipython.magics_manager.magics[kind].pop(name, None))


def _run(ipython: Any, root: Command, line: str, cell: str | None, local_ns: dict[str, Any] | None) -> object:
    try:
        return dispatch(root, expand(line, {**ipython.user_ns, **(local_ns or {})}), cell)
    except NbcontainerError as error:
        # IPython shows what this returns instead of a traceback, and the cell fails all the same.
        text = f"Error: {error}"
        error.__dict__["_render_traceback_"] = lambda: [text]
        raise


def expand(line: str, names: dict[str, Any]) -> str:
    """`{expression}` and `$name` as in every line magic, but for `{{…}}`, which is left to Go's templates."""
    doubled = line.replace("{{", "{{{{").replace("}}", "}}}}")
    try:
        return DollarFormatter().vformat(doubled, [], names)
    except Exception:
        # As IPython does: what does not evaluate is meant as it stands.
        return line


# -- completion


def _add_completer(ipython: Any, root: Command, undo: Undo) -> None:
    starts = [root.name]
    if not root.name.startswith("%%") and any(command.cell for command in root.commands):
        starts.append(f"%{root.name}")

    def completer(_: Any, event: Any) -> list[str]:
        return candidates(root, event.text_until_cursor, event.symbol)

    for start in starts:
        ipython.set_hook("complete_command", completer, str_key=start)
    # `c = %container run …`
    assigned = rf"\s*\w[\w\s,.]*=\s*{re.escape(root.name)}\s"
    ipython.set_hook("complete_command", completer, re_key=assigned)
    known = ipython.strdispatchers["complete_command"]
    undo.append(lambda: [known.strs.pop(start, None) for start in starts])
    undo.append(lambda: known.regexs.pop(re.compile(assigned), None))


def candidates(root: Command, text: str, symbol: str) -> list[str]:
    """What the word at the end of `text` can become. IPython takes its part `symbol` for the whole word."""
    typed = text.rpartition(root.name)[2]
    try:
        words = shlex.split(typed)
    except ValueError:
        words = typed.split()
    if not typed or typed[-1].isspace():
        words.append("")
    kept = words[-1].removesuffix(symbol)
    return [found.removeprefix(kept) for found in complete(root, words, LIVE)]


# -- display


def _add_displayhook(ipython: Any, undo: Undo) -> None:
    """What a command has shown is not shown once more because it is the cell's last value."""
    trap = ipython.display_trap
    before = trap.hook

    def hook(value: object = None) -> object:
        return None if was_shown(value) else before(value)

    def end_of_cell(*_: object) -> None:
        forget_shown()

    trap.hook = hook
    undo.append(lambda: setattr(trap, "hook", before))
    ipython.events.register("post_run_cell", end_of_cell)
    undo.append(lambda: ipython.events.unregister("post_run_cell", end_of_cell))


VIEWS = (
    ("nbcontainer.container.container", "Container", objects.container_html, None),
    ("nbcontainer.container.volumes", "Volume", objects.volume_html, None),
    ("nbcontainer.image.images", "Image", objects.image_html, None),
    ("nbcontainer.runtime", "Lab", objects.lab_html, objects.lab_text),
)


def _add_views(ipython: Any, undo: Undo) -> None:
    formatters = ipython.display_formatter.formatters
    for module, name, html, text in VIEWS:
        formatters["text/html"].for_type_by_name(module, name, html)
        undo.append(_popper(formatters["text/html"], f"{module}.{name}"))
        if text is not None:
            formatters["text/plain"].for_type_by_name(module, name, _pretty(text))
            undo.append(_popper(formatters["text/plain"], f"{module}.{name}"))


def _popper(formatter: Any, name: str) -> Callable[[], object]:
    return lambda: formatter.pop(name, None)


def _pretty(text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    """As IPython's pretty printer wants it."""

    def show(thing: Any, printer: Any, cycle: bool) -> None:
        printer.text(text(thing))

    return show
