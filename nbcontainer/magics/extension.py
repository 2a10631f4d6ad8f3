"""`%load_ext nbcontainer`: the magics, what Tab offers for them, and how objects look. It starts no lab."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.utils.text import DollarFormatter

from nbcontainer.errors import NbcontainerError
from nbcontainer.magics.call import forget_shown, was_shown
from nbcontainer.magics.completion import complete
from nbcontainer.magics.dispatch import DOCKER, ROOTS, dispatch
from nbcontainer.magics.grammar import Command
from nbcontainer.magics.live import LIVE
from nbcontainer.view import frontend, groups, layers, network, objects, packets, topology

Undo = list[Callable[[], object]]

#: What loading changed, by the shell it was loaded into, so that unloading undoes exactly that.
_loaded: dict[int, Undo] = {}


def load(ipython: Any) -> None:
    """Register everything; a second time does nothing."""
    if id(ipython) in _loaded:
        return
    undo = _loaded[id(ipython)] = []
    for root in (*ROOTS, DOCKER):
        _add_magic(ipython, root, undo)
    _add_completer(ipython, undo)
    _add_displayhook(ipython, undo)
    _add_views(ipython, undo)
    _add_live_views(ipython, undo)
    frontend.get_ready()


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


def _register(ipython: Any, function: Callable[..., object], kind: str, name: str, root: Command, undo: Undo) -> None:
    function.__doc__ = f"{root.summary}. See `{root.name} --help`."
    ipython.register_magic_function(function, magic_kind=kind, magic_name=name)
    undo.append(lambda: ipython.magics_manager.magics[kind].pop(name, None))


def _run(ipython: Any, root: Command, line: str, cell: str | None, local_ns: dict[str, Any] | None) -> object:
    try:
        return dispatch(root, expand(line, {**ipython.user_ns, **(local_ns or {})}), cell)
    except (NbcontainerError, KeyboardInterrupt) as error:
        show_in_one_line(error)
        raise


def show_in_one_line(error: NbcontainerError | KeyboardInterrupt) -> None:
    """Have IPython show the error without a traceback; the cell fails all the same."""
    text = "Interrupted" if isinstance(error, KeyboardInterrupt) else f"Error: {error}"
    error.__dict__["_render_traceback_"] = lambda: [text]


def expand(line: str, names: dict[str, Any]) -> str:
    """`{expression}` and `$name` as in every line magic, but for `{{…}}`, which is left to Go's templates."""
    doubled = line.replace("{{", "{{{{").replace("}}", "}}}}")
    try:
        return DollarFormatter().vformat(doubled, [], names)
    except Exception:
        # As IPython does: what does not evaluate is meant as it stands.
        return line


# -- completion


#: A line that is, or assigns, one of our magics: its name, then what is typed after it.
_TYPED = re.compile(r"\s*(?:[\w\s,.]+=\s*)?%?%(\w+)\s(.*)", re.DOTALL)


def _add_completer(ipython: Any, undo: Undo) -> None:
    @context_matcher()  # type: ignore[untyped-decorator, unused-ignore]
    def nbcontainer_matcher(context: CompletionContext) -> SimpleMatcherResult:
        word, found = candidates(context.line_with_cursor[: context.cursor_position])
        # Without candidates other matchers may have some: files, Python names between braces.
        return {
            "completions": [SimpleCompletion(text, type="magic") for text in found],
            "matched_fragment": word,
            "suppress": bool(found),
            "ordered": True,
        }

    matchers = ipython.Completer.custom_matchers
    matchers.append(nbcontainer_matcher)
    undo.append(lambda: matchers.remove(nbcontainer_matcher))


def candidates(text: str) -> tuple[str, list[str]]:
    """The word at the end of a line, and what it can become; nothing when the line is none of ours."""
    match = _TYPED.fullmatch(text)
    root = next((root for root in (*ROOTS, DOCKER) if match and root.name == f"%{match[1]}"), None)
    if match is None or root is None:
        return "", []
    *before, word = match[2].split(" ")
    return word, complete(root, [*_shell_words(" ".join(before)), word], LIVE)


def _shell_words(text: str) -> list[str]:
    """The words of a line that may end within a quotation."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


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
    ("nbcontainer.cgroup.cgroup", "Cgroup", groups.group_html, None),
    ("nbcontainer.container.container", "Container", objects.container_html, None),
    ("nbcontainer.container.volumes", "Volume", objects.volume_html, None),
    ("nbcontainer.network.capture.session", "Capture", packets.capture_html, packets.capture_text),
    ("nbcontainer.network.capture.talk", "Talk", packets.talk_html, str),
    ("nbcontainer.network.netns", "Netns", network.netns_html, None),
    ("nbcontainer.network.network", "Network", objects.network_html, None),
    ("nbcontainer.image.image", "Image", objects.image_html, None),
    ("nbcontainer.image.stack", "Stack", layers.stack_html, layers.stack_text),
    ("nbcontainer.topology.graph", "Topology", topology.topology_html, topology.topology_text),
    ("nbcontainer.topology.network", "TopologyNetwork", topology.network_html, topology.network_text),
    ("nbcontainer.topology.results", "Flow", topology.flow_html, None),
    ("nbcontainer.topology.results", "Flows", topology.flows_html, None),
    ("nbcontainer.topology.results", "Path", topology.path_html, None),
    ("nbcontainer.topology.results", "Reach", topology.reach_html, None),
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


def _card(container: Any) -> Any:
    from nbcontainer.view.container_card import ContainerCard

    return ContainerCard(container)


def _stack(stack: Any) -> Any:
    from nbcontainer.view.layer_stack import LayerStack

    return LayerStack(stack)


#: What a page shows as a widget when it is a cell's last value.
LIVE_VIEWS = (
    ("nbcontainer.container.container", "Container", _card),
    ("nbcontainer.image.stack", "Stack", _stack),
)


def _add_live_views(ipython: Any, undo: Undo) -> None:
    formatter = ipython.display_formatter.mimebundle_formatter
    for module, name, make in LIVE_VIEWS:
        formatter.for_type_by_name(module, name, _live(make))
        undo.append(_popper(formatter, f"{module}.{name}"))


def _live(make: Callable[[Any], Any]) -> Callable[..., dict[str, Any]]:
    """As IPython wants it: the widget of the view that `make` gives, one for each thing."""

    def show(thing: Any, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if not frontend.live():
            return {}
        from nbcontainer.view.widgets import widget

        made = thing.__dict__.get("_view") or thing.__dict__.setdefault("_view", make(thing))
        return {"application/vnd.jupyter.widget-view+json": widget.of(made).get_view_spec()}

    return show


def _popper(formatter: Any, name: str) -> Callable[[], object]:
    return lambda: formatter.pop(name, None)


def _pretty(text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    """As IPython's pretty printer wants it."""

    def show(thing: Any, printer: Any, cycle: bool) -> None:
        printer.text(text(thing))

    return show
