"""The scripts of static/, each sent to a page once, when the first view that needs it is shown.

A view's own script (`widget.js`) is a few lines that take the bundle from the model it is sent in; so a page with fifty
views has its code once, and nothing comes from anywhere but the kernel.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import ipywidgets  # type: ignore[import-untyped]
import traitlets

STATIC = files("nbcontainer.view").joinpath("static")


def script(name: str) -> str:
    """The text of static/NAME.js."""
    return STATIC.joinpath(f"{name}.js").read_text("utf-8")


class Bundle(ipywidgets.Widget):  # type: ignore[misc]
    """A script as a model without a view."""

    code = traitlets.Unicode().tag(sync=True)
    #: Tells a page whether it has loaded this one already.
    digest = traitlets.Unicode().tag(sync=True)


@cache
def bundle(name: str) -> Bundle:
    """The bundle `name`, sent on first use."""
    code = script(name)
    digest = hashlib.sha256(code.encode()).hexdigest()
    return Bundle(code=code, digest=digest, model_id=digest[:32])
