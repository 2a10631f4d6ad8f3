"""What the kernel says a moment later."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(check: Callable[[], object]) -> None:
    for _ in range(3000):
        if check():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")
