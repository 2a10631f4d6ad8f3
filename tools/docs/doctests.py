"""Examples in docstrings, `>>> …`, are blocks of code on the pages."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

#: A paragraph that begins with a prompt.
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(Extension):
    """Fences them, before anybody takes the prompt for three quotations."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Every class, function and module has been read."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
