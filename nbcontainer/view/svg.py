"""Pictures that are saved: SVG on a ground of its own, which follows the reader's light or dark."""

from __future__ import annotations

from nbcontainer.view.html import escape

#: Colours by class. Okabe and Ito's hues, which colour-blind readers tell apart; text stands out by 4.5:1.
STYLE = " ".join(
    """
    .ground { fill: #ffffff; stroke: #d9dfe7; } .ink { fill: #1c2430; } .quiet { fill: #5b6675; }
    .line { stroke: #8a95a3; fill: none; } .grid { stroke: #e3e8ee; fill: none; }
    .c0 { --c: #0072b2; } .c1 { --c: #c25400; } .c2 { --c: #007a5a; } .c3 { --c: #a8508a; } .c4 { --c: #8a6a00; }
    .c5 { --c: #2b7fb8; } .c6 { --c: #7a4f2a; } .c7 { --c: #555f6e; }
    .shape { fill: color-mix(in srgb, var(--c) 14%, #ffffff); stroke: var(--c); }
    .stroke { stroke: var(--c); fill: none; }
    .fill { fill: var(--c); }
    text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
    .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
    @media (prefers-color-scheme: dark) {
    .ground { fill: #12161c; stroke: #2d3641; } .ink { fill: #e4e9f0; } .quiet { fill: #9aa6b5; }
    .line { stroke: #6b7684; } .grid { stroke: #232b35; }
    .c0 { --c: #5fb0e8; } .c1 { --c: #f0915a; } .c2 { --c: #4cc9a0; } .c3 { --c: #dd9ac4; } .c4 { --c: #e6c34a; }
    .c5 { --c: #8fcdf5; } .c6 { --c: #c79a73; } .c7 { --c: #a5adbb; }
    .shape { fill: color-mix(in srgb, var(--c) 16%, #12161c); } }
    """.split()
)


def drawing(width: float, height: float, title: str, description: str, inside: str) -> str:
    """A whole picture: `title` is its name for screen readers, `description` its text form."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
        f"<style>{STYLE}</style>"
        f'<rect class="ground" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>{inside}</svg>'
    )


def text(
    x: float, y: float, said: str, *, size: float = 12, kind: str = "ink", anchor: str = "start", bold: bool = False
) -> str:
    """A line of text."""
    weight = ' font-weight="600"' if bold else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}"{where}{weight}>{escape(said)}</text>'
