"""The look of everything rich, which fits light and dark pages alike: style/, of which each output has what it needs.

Nothing here depends on time, order or chance: the same object gives the same letters. There are no scripts;
where a page drops the style (an untrusted notebook, a code host), plain semantic HTML is left.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

escape = html.escape

#: The style sheets: that of all, then NAME for what has the class `nbc-NAME`. What is later goes before.
SHEETS = (
    "all", "table", "sorts", "tree", "card", "dot", "same", "stack", "graph", "matrix", "screen", "progress",
)  # fmt: skip


def framed(inside: str) -> str:
    """What is shown, and the style that it needs."""
    return f'<div class="nbc"><style>{style(inside)}</style>{inside}</div>'


def style(inside: str) -> str:
    """The style sheets that apply to something in `inside`."""
    return "".join(_sheet(name) for name in SHEETS if name == SHEETS[0] or f"nbc-{name}" in inside)


@cache
def _sheet(name: str) -> str:
    """style/NAME.css in as few letters as can be, since every saved output has them."""
    text = files("nbcontainer.view").joinpath("style", f"{name}.css").read_text("utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*([{};])\s*", r"\1", " ".join(text.split()))
    return re.sub(r"(?<=[a-z1]): ", ":", text).replace(";}", "}")


def state(text: str) -> str:
    """A state's words behind a dot that says the same in colour: up, failed, in between, or at rest."""
    return f'<span class="nbc-dot{_mood(text)}" aria-hidden="true"></span>{escape(text)}'


def _mood(text: str) -> str:
    words = text.lower()
    if any(word in words for word in ("unhealthy", "dead", "missing")):
        return " nbc-bad"
    if any(word in words for word in ("paused", "restarting", "starting", "removal", "warn")):
        return " nbc-wait"
    if words.startswith(("up", "running", "ok")):
        return " nbc-good"
    if words.startswith("exited") and not words.startswith("exited (0)"):
        return " nbc-bad"
    return ""


@dataclass(frozen=True)
class Fact:
    """A line of a card."""

    what: str
    value: str
    code: bool = False


def card(title: str, facts: Sequence[Fact], *, status: str = "", aside: str = "", short_id: str = "") -> str:
    """An object: its name, its state, its id or a quiet word beside it, then what is known of it."""
    head = f'<span class="nbc-title">{escape(title)}</span>'
    if status:
        head += f"<span>{state(status)}</span>"
    if aside:
        head += f'<span class="nbc-aside">{escape(aside)}</span>'
    if short_id:
        head += f'<span class="nbc-aside nbc-code">{escape(short_id)}</span>'
    code_class = ' class="nbc-code"'
    lines = "".join(
        f"<dt>{escape(fact.what)}</dt><dd{code_class if fact.code else ''}>{escape(fact.value)}</dd>" for fact in facts
    )
    return framed(f'<div class="nbc-card"><div class="nbc-head">{head}</div><dl>{lines}</dl></div>')
