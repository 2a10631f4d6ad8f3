"""A process of the lab as the notebook's process holds it: by pidfd, so never by a number that was used again."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable

from nbcontainer.syscalls.process import PIDFD_SIGNAL_PROCESS_GROUP

#: What a process that vanished with its lab is said to have ended with: as by SIGKILL.
LOST = 128 + signal.SIGKILL


class Process:
    """A process that init spawned. `pid` is its number in the lab's pid namespace."""

    def __init__(self, pid: int = 0, pidfd: int = -1) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.exit_code: int | None = None
        self._group = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[int], object]] = []

    def __del__(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)

    @property
    def done(self) -> bool:
        """True once it has ended and its exit is known."""
        return self._ended.is_set()

    def alive(self, patience: float = 0) -> bool:
        """Whether it runs, asked of the kernel: an exit that init has not reported yet counts (pidfd_open(2)).

        With `patience`, whether it still runs so many seconds from now.
        """
        if self.done:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(1000 * patience)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, 128+n when signal n ended it. Raises `TimeoutError` after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"process {self.pid} is still running")
        assert self.exit_code is not None
        return self.exit_code

    def on_exit(self, callback: Callable[[int], object]) -> None:
        """Call `callback(exit_code)` when it ends, on the loop's thread; at once if it has ended."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        assert self.exit_code is not None
        callback(self.exit_code)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; nothing happens when it has already ended."""
        if self.pidfd < 0 or self.done:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass

    def kill_group(self, number: int) -> None:
        """Send a signal to its whole process group, which it leads (setsid(2)), and which may outlive it."""
        if self.pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number, None, PIDFD_SIGNAL_PROCESS_GROUP)
        except ProcessLookupError:
            pass
        except OSError:  # before Linux 6.9
            self._group = self._group or self.outside_pid()
            try:
                if self._group > 0:
                    os.killpg(self._group, number)
            except ProcessLookupError:
                pass

    def outside_pid(self) -> int:
        """Its pid as this process's own /proc counts, or -1 when it has ended (proc(5), fdinfo of a pidfd)."""
        if self.pidfd >= 0:
            with open(f"/proc/self/fdinfo/{self.pidfd}") as info:
                for line in info:
                    if line.startswith("Pid:"):
                        return int(line.split()[1])
        return -1

    def finish(self, exit_code: int) -> None:
        """Called once, by the lab: the process has ended."""
        with self._lock:
            if self.done:
                return
            self.exit_code = exit_code
            callbacks, self._callbacks = self._callbacks, []
            self._ended.set()
        for callback in callbacks:
            callback(exit_code)


def exit_code_of(status: int) -> int:
    """waitpid(2)'s status as a shell gives it: the exit code, or 128+n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
