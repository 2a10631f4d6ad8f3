"""Progress as a saved notebook shows it: rows, without scripts; what a step printed is folded below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbcontainer.view import html

#: A row's mark; its state says the same in words.
MARKS = {"waiting": "○", "running": "◔", "done": "✓", "known": "✓", "failed": "✕", "stopped": "–"}
#: The whole's state in words.
STATES = {"running": "Running", "done": "Done", "failed": "Failed", "interrupted": "Interrupted"}
#: And in colour.
DOTS = {"running": "", "done": " nbc-good", "failed": " nbc-bad", "interrupted": " nbc-wait"}


def progress_html(snapshot: Mapping[str, Any]) -> str:
    """What `Progress.snapshot` says."""
    dot = f'<span class="nbc-dot{DOTS[snapshot["state"]]}" aria-hidden="true"></span>'
    name = f' <span class="nbc-code">{html.escape(snapshot["name"])}</span>' if snapshot["name"] else ""
    head = (
        f'<div class="nbc-head"><span><b>{snapshot["verb"]}</b>{name}</span>'
        f'<span class="nbc-aside">{snapshot["summary"]}</span><span>{dot}{STATES[snapshot["state"]]}</span></div>'
    )
    return html.framed(f'<div class="nbc-progress">{head}{"".join(map(_entry, snapshot["entries"]))}</div>')


def _entry(entry: Mapping[str, Any]) -> str:
    if "line" in entry:
        return f'<div class="nbc-line">{html.escape(entry["line"])}</div>'
    row = _row(entry)
    log = entry.get("log")
    if not log:
        return f'<div class="nbc-step">{row}</div>'
    cut = f"… {entry['cut']} lines before these\n" if entry["cut"] else ""
    shown = " open" if entry["mood"] == "failed" else ""
    text = html.escape(cut + "\n".join(log))
    return f'<details{shown}><summary class="nbc-step">{row}</summary><pre>{text}</pre></details>'


def _row(entry: Mapping[str, Any]) -> str:
    mood = entry["mood"]
    cells = [
        f'<span class="nbc-mark nbc-{mood}" aria-hidden="true">{MARKS[mood]}</span>',
        f'<span class="nbc-code">{html.escape(entry["label"])}</span>',
    ]
    if "title" in entry:
        cells.append(f'<span class="nbc-code nbc-what">{html.escape(entry["title"])}</span>')
    cells.append(f'<span class="nbc-aside">{html.escape(entry["state"])}</span>')
    if "part" in entry:
        width = round(100 * entry["part"])
        cells.append(f'<span class="nbc-gauge" aria-hidden="true"><i style="width:{width}%"></i></span>')
        cells.append(f'<span class="nbc-bytes">{entry["detail"]}</span>')
    return "".join(cells)
