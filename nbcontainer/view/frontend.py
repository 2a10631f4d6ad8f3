"""Whether somebody looks: a page that shows widgets, or a program that only runs the notebook.

Only to a page are widgets sent. JupyterLab, Notebook, VS Code and the like number their requests in their own way;
nbclient, nbconvert, nbval, papermill and the consoles all use jupyter_client, whose message ids are
`<session>_<process>_<count>`. So what those save is the text and the picture alone, the same to the
letter each time. `NBCONTAINER_VIEWS=live` or `static` decides it where this guess is wrong.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from threading import Thread
from typing import Any

from nbcontainer.errors import InvalidArgument

_JUPYTER_CLIENT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+")


def live() -> bool:
    """True when what is displayed now is displayed in a page that shows widgets."""
    said = os.environ.get("NBCONTAINER_VIEWS", "")
    if said not in ("", "live", "static"):
        raise InvalidArgument(f"NBCONTAINER_VIEWS={said}: it is live or static")
    kernel = _kernel()
    if kernel is None or said:
        return kernel is not None and said == "live"
    header: dict[str, Any] = kernel.get_parent("shell").get("header") or {}
    message = header.get("msg_id", "")
    return bool(message) and _JUPYTER_CLIENT.fullmatch(message) is None


def get_ready() -> None:
    """Where a page looks, import beside everything else what the first widget needs: its cell need not wait for it."""
    if live():
        Thread(target=import_module, args=("nbcontainer.view.widgets.widget",), daemon=True).start()


def terminal() -> bool:
    """True where a person sits at a terminal: IPython on a tty."""
    if _kernel() is not None:
        return False
    try:
        return os.isatty(0) and os.isatty(1) and sys.stdin is not None and sys.stdin.isatty()
    except (OSError, ValueError):
        return False


def _kernel() -> Any:
    if "ipykernel.kernelbase" not in sys.modules:
        return None
    from ipykernel.kernelbase import Kernel

    return Kernel.instance() if Kernel.initialized() else None
