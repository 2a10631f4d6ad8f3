"""How a container begins and how it ends: what `Container.start` does, and what the background loop reports."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from nbcontainer.container import health, launch, restart
from nbcontainer.container.state import NEVER, now
from nbcontainer.container.stdio import Stdio, Watcher
from nbcontainer.errors import NbcontainerError

if TYPE_CHECKING:
    from nbcontainer.cgroup.group import Group
    from nbcontainer.container.container import Container


class Life:
    """The life of one container, which its `lock` lets nobody else change while it starts."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.health = health.Monitor(container)
        self.restart = restart.Policy(container)
        #: Its mount namespace while it runs. Who lets go of that last waits until the kernel has taken it apart: we
        #: do, when everybody knows of the end, and not the dying process, whose end nobody would hear of until then.
        self._mounts = -1
        #: Set while it does not run.
        self.stopped = threading.Event()
        self.stopped.set()

    def start(self, watch: bool) -> Watcher | None:
        """From set-up to the program; with `watch`, a watcher that sees its output from the first byte on."""
        container = self.container
        if container.state.finished_at != NEVER:
            container.lab.loop.do(int)  # the group of the time before is removed on the loop's thread
        stdio = container.stdio = Stdio(container.lab.loop, container.log)
        watcher = stdio.watch_unserved() if watch else None
        try:
            with launch.Launch(container) as starting:
                self.stopped.clear()
                process = container.process = container.entry = starting.setup.process
                starting.wire()
                if not container.options.tty:
                    stdio.serve()
                self._await(starting, stdio)
                self._mounts = starting.setup.take_mounts()
        except BaseException as error:
            self._failed(error)
            raise
        state = container.state
        state.status, state.pid, state.started_at = "running", process.pid, now()
        state.error, state.oom_killed, state.exit_code = "", False, 0
        if container.options.tty:
            stdio.serve()
        container.owner.save(container)
        container.owner.event("start", container)
        self.health.start()
        process.on_exit(self._ended)
        if container.counted:
            container.owner.spares.replenish()
        return watcher

    def _await(self, starting: launch.Launch, stdio: Stdio) -> None:
        """Read what the set-up process says until its socket closes: then the program runs."""
        container = self.container
        complete = False
        while True:
            message, fds, pid = starting.setup.receive()
            if not message:
                if not complete:
                    raise starting.setup.ended()
                return
            said = json.loads(message)
            if "terminal" in said:
                stdio.use_terminal(fds[0])
            elif "trace" in said:
                complete = True
                container.notes = (said["trace"], starting.trace.notes)
                if container.options.init:
                    self._enter_by(pid)
            elif "error" in said:
                raise launch.failed(said["error"], container.spec["process"]["args"][0])

    def _enter_by(self, pid: int) -> None:
        """With `--init`, pid 1 is a process of ours that nobody may look into: the program is the way in."""
        try:
            self.container.entry = launch.program(pid)
        except ProcessLookupError:
            pass  # it has ended already, and the container with it

    def _failed(self, error: BaseException) -> None:
        container, state = self.container, self.container.state
        if container.stdio is not None:
            container.stdio.discard()
        if container.process is not None:
            container.process.kill()
            try:
                container.process.wait(5)
            except TimeoutError:
                pass
        state.status = "created" if state.started_at == NEVER else "exited"
        state.error = str(error)
        state.exit_code = getattr(error, "exit_code", 128)
        container.process = container.entry = None
        _remove(launch.release(container))
        self.stopped.set()

    def _ended(self, exit_code: int) -> None:
        """The loop's thread: its pid 1 has ended, and with it all its processes."""
        container, state = self.container, self.container.state
        self.health.stop()
        if container.cgroup is not None:
            state.oom_killed = container.cgroup.oom_kills() > 0
        state.status, state.exit_code, state.pid, state.finished_at = "exited", exit_code, 0, now()
        container.process = container.entry = None
        group = launch.release(container)
        container.owner.save(container)
        container.owner.event("die", container, exitCode=str(exit_code))
        if state.oom_killed:
            container.owner.event("oom", container)
        restarting = self.restart.ended()
        self.stopped.set()
        # Whoever waits need not wait for this: what takes long is the kernel's, and `start` sees to its own.
        self._let_go()
        _remove(group)
        if container.options.rm and not restarting and not container.attached:
            container.lab.loop.away(self._remove_quietly)

    def _let_go(self) -> None:
        if self._mounts >= 0:
            os.close(self._mounts)
            self._mounts = -1

    def _remove_quietly(self) -> None:
        try:
            self.container.remove(volumes=True)
        except NbcontainerError:
            pass


def _remove(group: Group | None) -> None:
    if group is not None:
        group.remove()
