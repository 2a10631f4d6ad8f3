"""Runs inside the lab: files whose owners only the lab can name."""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any


def remove_tree(path: str) -> None:
    """Remove `path` and all below it that the lab may remove; what it may not is left for the caller."""

    def unlock(function: Any, name: str, error: Any) -> None:
        # overlayfs leaves its work/work without any permission, and images have directories like that too.
        try:
            os.chmod(os.path.dirname(name), 0o700)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                os.unlink(name)
        except OSError:
            pass

    shutil.rmtree(path, onerror=unlock)


def end_all_and_remove(path: str) -> None:
    """Kill every process of the lab but init and the caller (kill(2), pid -1), then remove `path`."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    remove_tree(path)
