"""A figure of groups over time: processors, memory, processes, with their limits as lines and events as marks.

Sized for one column of a paper (85 mm wide text is readable at 9 pt), on no background and in greys and colours that
stand out from white and from black; the colours are Okabe and Ito's, which colour-blind readers tell apart.
"""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbcontainer.cgroup.series import COLUMNS
from nbcontainer.errors import Unavailable

if TYPE_CHECKING:
    from nbcontainer.cgroup.events import Event

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
#: Text, axes and limits: 4.5:1 from white, 4:1 from near black.
GREY = "#767676"
MIB = 1 << 20
#: Dots an inch of its PNG, and of what a notebook shows, so that it is sharp on a screen of high density.
DPI, SHOWN_DPI = 200, 110
#: Marks of events: the kind, the mark, the panel.
MARKS = {"oom-kill": ("X", 1), "throttled": ("v", 0), "memory.max reached": ("^", 1), "pids.max reached": ("^", 2)}


def cpu_limit(text: str) -> float | None:
    """cpu.max in percent of one processor."""
    quota, period = text.split()
    return None if quota == "max" else 100 * int(quota) / int(period)


def _number(scale: float) -> Callable[[str], float | None]:
    return lambda text: None if text == "max" else int(text) / scale


#: A panel's column, what it is divided by, its label, and the limit that is drawn in it.
PANELS: tuple[tuple[str, float, str, str, Callable[[str], float | None]], ...] = (
    ("cpu_percent", 1, "processor (%)", "cpu.max", cpu_limit),
    ("memory", MIB, "memory (MiB)", "memory.max", _number(MIB)),
    ("pids", 1, "processes", "pids.max", _number(1)),
)


def new(width: float, height: float, alt: str) -> Any:
    """An empty figure of so many inches, which a notebook shows without `%matplotlib inline`; `alt` says what it shows.

    Raises `Unavailable` without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Unavailable("a figure takes matplotlib: `pip install matplotlib`") from None

    class Shown(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, object]]:
            image = io.BytesIO()
            self.savefig(image, format="png")
            return image.getvalue(), {"width": round(self.get_figwidth() * SHOWN_DPI), "alt": alt}

    figure = Shown(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.patch.set_alpha(0)
    return figure


def draw(
    samples: Mapping[str, Sequence[array[float]]],
    settings: Mapping[str, Mapping[str, str]],
    events: Sequence[Event] = (),
) -> Any:
    """The figure of these groups' samples, by name, with what they are set to. Raises `Unavailable`."""
    figure = new(5.2, 4.2, f"Usage over time of {', '.join(samples)}")
    from matplotlib.ticker import MaxNLocator

    start = min((rows[0][0] for rows in samples.values() if rows), default=0.0)
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (column, scale, label, file, limit_of) in zip(panels, PANELS, strict=True):
        at = COLUMNS.index(column)
        for (name, rows), colour in zip(samples.items(), colours(len(samples)), strict=True):
            points = [(row[0] - start, row[at] / scale) for row in rows if not math.isnan(row[at])]
            axes.plot(*zip(*points, strict=True) if points else ([], []), color=colour, linewidth=1.3, label=name)
            limit = limit_of(settings.get(name, {}).get(file, "max max" if file == "cpu.max" else "max"))
            if limit is not None:
                axes.axhline(limit, color=colour, linewidth=0.9, linestyle=(0, (4, 3)))
                axes.annotate(
                    f"{file} {limit:g}", (1, limit), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                    textcoords="offset points", ha="right", va="bottom", fontsize=7, color=GREY,
                )  # fmt: skip
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 1) * 1.15)
        axes.margins(x=0)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=column == "pids"))
        quiet(axes)
    for event in events:
        mark = MARKS.get(event.kind)
        if mark is not None and event.time >= start:
            axes = panels[mark[1]]
            axes.plot(event.time - start, axes.get_ylim()[1], mark[0], color=GREY, markersize=6, clip_on=False)
            axes.annotate(
                event.kind, (event.time - start, axes.get_ylim()[1]), xytext=(5, 0), textcoords="offset points",
                fontsize=7, color=GREY, va="center", annotation_clip=False,
            )  # fmt: skip
    panels[-1].set_xlabel("seconds", fontsize=8)
    if len(samples) > 1:
        panels[0].legend(fontsize=7, frameon=False, labelcolor=GREY, loc="upper left", ncols=len(samples))
    figure.align_ylabels(panels)
    return figure


def colours(count: int) -> list[str]:
    """So many, which colour-blind readers tell apart as far as there are."""
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def quiet(axes: Any) -> None:
    """No box, thin grey lines."""
    axes.patch.set_alpha(0)
    axes.tick_params(labelsize=7, colors=GREY, width=0.6, length=3)
    axes.yaxis.label.set_color(GREY)
    axes.xaxis.label.set_color(GREY)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
        spine.set_linewidth(0.6)
