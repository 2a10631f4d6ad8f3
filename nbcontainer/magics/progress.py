"""How a command is followed that takes its time: in a page by a widget, elsewhere by lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from nbcontainer.magics.call import rich
from nbcontainer.view.progress.progress import Progress

E = TypeVar("E")


@contextmanager
def followed(
    view: Progress[E], lines: Callable[[E], object], stream: Literal["stdout", "stderr"] = "stdout"
) -> Iterator[Callable[[E], object]]:
    """What to call with each event: `view`, shown in the page, or `lines`, which prints to `stream`.

    The text of the view is what `lines` prints. What the page saves says so, and the pytest plugin takes the one for
    the other. An error, or Ctrl-C, is said by the view too, and goes on.
    """
    if not rich():
        yield lines
        return
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

    publish: Any = InteractiveShell.instance().display_pub.publish
    said: dict[str, Any] = {
        "metadata": {"nbcontainer": {"stream": stream}},
        "transient": {"display_id": DisplayHandle().display_id},  # type: ignore[no-untyped-call]
    }
    publish(view.forms(live=True), **said)
    try:
        yield view
    except KeyboardInterrupt:
        view.end("interrupted")
        raise
    except BaseException:
        view.end("failed")
        raise
    else:
        view.end("done")
    finally:
        # What is saved with the notebook is from now on how it ended.
        publish(view.forms(live=True), update=True, **said)
