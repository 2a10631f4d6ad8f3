"""`%container explain`: the steps that made a container, as a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbcontainer.view import svg
from nbcontainer.view.html import escape
from nbcontainer.view.rows import ellipsis
from nbcontainer.view.tables import Column, Table
from nbcontainer.view.view import View

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.timeline import Step

COLUMNS = (Column("step", "STEP"), Column("what", "WHAT", "code"))
WIDTH, LEFT, RIGHT, LINE, HEAD = 860, 330, 76, 20, 58
#: Colours by kind of step, in the order in which kinds appear.
HUES = 7


class ContainerSteps(View):
    """How a container was made: every step, in order. The text leaves out how long each took, which never repeats."""

    def __init__(self, container: Container) -> None:
        self.title = f"Steps that made {container.name}"
        self.steps: Sequence[Step] = container.trace

    def text(self) -> str:
        """What was done, in order."""
        rows: tuple[dict[str, Any], ...] = tuple({"step": step.kind, "what": step.what} for step in self.steps)
        return str(Table(self.title, COLUMNS, rows))

    def svg(self) -> str:
        """A bar for each step, from when it began to when it was done."""
        total = sum(step.microseconds for step in self.steps) or 1.0
        kinds = list(dict.fromkeys(step.kind for step in self.steps))
        room = WIDTH - LEFT - RIGHT
        height = HEAD + LINE * len(self.steps) + 14
        parts = [
            svg.text(16, 23, self.title, size=13, bold=True),
            svg.text(WIDTH - 16, 23, f"{total / 1000:.1f} ms in all", kind="quiet", anchor="end"),
        ]
        for tick in range(5):
            x = LEFT + room * tick / 4
            parts.append(f'<line class="grid" x1="{x:g}" y1="{HEAD - 8}" x2="{x:g}" y2="{height - 10}"/>')
            parts.append(
                svg.text(x, HEAD - 14, f"{total * tick / 4000:.1f} ms", size=10, kind="quiet", anchor="middle")
            )
        begun = 0.0
        for number, step in enumerate(self.steps):
            y = HEAD + LINE * number
            x, width = LEFT + room * begun / total, max(1.5, room * step.microseconds / total)
            said = f"{step.microseconds:.0f} µs"
            hint = escape(f"{step.kind} {step.what}: {said}")
            parts += [
                svg.text(16, y + 11, step.kind, size=11, bold=True),
                svg.text(104, y + 11, ellipsis(step.what, 34), size=10.5, kind="quiet code"),
                f'<g class="c{kinds.index(step.kind) % HUES}"><title>{hint}</title>'
                f'<rect class="fill" x="{x:.1f}" y="{y + 1}" width="{width:.1f}" height="13" rx="2"/></g>',
                svg.text(min(x + width + 5, WIDTH - RIGHT + 6), y + 11, said, size=10, kind="quiet"),
            ]
            begun += step.microseconds
        return svg.drawing(WIDTH, height, self.title, self.text(), "".join(parts))
