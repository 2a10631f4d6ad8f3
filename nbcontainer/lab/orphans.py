"""Processes of the lab whose parent has ended: init, to whom the kernel gives them, reports their ends by pid."""

from __future__ import annotations

import threading

from nbcontainer.lab.process import LOST, Process

#: How many ends are remembered that nobody asked for: those of the moment in which somebody does.
KEPT = 64


class Orphans:
    """The orphans of a lab: those that somebody holds, and the last ends of others."""

    def __init__(self) -> None:
        self._held: dict[int, Process] = {}
        self._ends: dict[int, int] = {}
        self._gone = False
        self._lock = threading.Lock()

    def adopt(self, pid: int, pidfd: int) -> Process:
        """The process `pid`, as the lab counts, whose parent ends, or has: its end may be known already."""
        process = Process(pid, pidfd)
        with self._lock:
            code = self._ends.pop(pid, None)
            if self._gone:
                code = LOST
            elif code is None or process.alive():  # what has ended had the number before
                self._held[pid] = process
                return process
        process.finish(code)
        return process

    def ended(self, pid: int, code: int) -> None:
        """`pid` has ended with `code` (the loop's thread)."""
        with self._lock:
            process = self._held.pop(pid, None)
            if process is None:
                while len(self._ends) >= KEPT:
                    del self._ends[next(iter(self._ends))]
                self._ends[pid] = code
                return
        process.finish(code)

    def lose_all(self) -> None:
        """The lab has ended, and everything in it."""
        with self._lock:
            self._gone, held = True, list(self._held.values())
            self._held.clear()
        for process in held:
            process.finish(LOST)
