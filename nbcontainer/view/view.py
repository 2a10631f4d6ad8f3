"""What every view is: one model in three forms.

The text repeats to the letter, and is what `repr` and a terminal give. The picture (SVG or HTML) is saved in the
notebook, for GitHub and nbconvert. The widget is live, and made only where a page shows it (`frontend.live`); its code
is loaded then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from nbcontainer.view import frontend

#: A message to the page: JSON, and bytes beside it.
Emit = Callable[[Mapping[str, Any], Sequence[bytes]], None]


class Live(Protocol):
    """What a widget asks of its model. All of it is called on the background loop's thread, but `snapshot`."""

    #: The bundle in static/ that draws it.
    bundle: ClassVar[str]

    def snapshot(self) -> dict[str, Any]:
        """Everything a page needs to draw it as it is now, as JSON."""

    def begin(self, emit: Emit) -> Callable[[], None]:
        """A page looks: `emit` what changes from now on. The function returned ends that."""

    def receive(self, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """A page says something; `again` when one more looks, which has a snapshot and nothing since."""


class View:
    """The base of all views. One that can be live also has what `Live` says."""

    def text(self) -> str:
        """The text form."""
        raise NotImplementedError

    def svg(self) -> str | None:
        """The picture, where it is one."""
        return None

    def html(self) -> str | None:
        """The page's form without scripts, where it is a table or prose."""
        return None

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self.forms(live=frontend.live())

    def forms(self, live: bool) -> dict[str, Any]:
        """What is displayed, by MIME type; with `live` the widget too."""
        forms = {"text/plain": self.text(), "image/svg+xml": self.svg(), "text/html": self.html()}
        bundle: dict[str, Any] = {kind: form for kind, form in forms.items() if form is not None}
        if live and hasattr(self, "bundle"):
            from nbcontainer.view.widgets import widget

            bundle["application/vnd.jupyter.widget-view+json"] = widget.of(self).get_view_spec()  # type: ignore[arg-type]
        return bundle
