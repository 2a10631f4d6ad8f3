"""The look of everything rich: one style (style.css), which fits light and dark pages alike.

Nothing here depends on time, order or chance: the same object gives the same letters. There are no scripts;
where a page drops the style (an untrusted notebook, a code host), plain semantic HTML is left.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

escape = html.escape

#: The style sheet in one line, so that it adds as little as it can to a saved notebook.
STYLE = " ".join(files("nbcontainer.view").joinpath("style.css").read_text("utf-8").split())


def framed(inside: str) -> str:
    """The style and what it applies to."""
    return f'<div class="nbc"><style>{STYLE}</style>{inside}</div>'


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
