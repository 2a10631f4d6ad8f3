"""RUN: the command, in a real container of the lab, on what the stage has become so far."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from nbcontainer.build import inside, root
from nbcontainer.build.run_mounts import SCRIPTS, Mounts
from nbcontainer.build.state import State
from nbcontainer.container.container import Container
from nbcontainer.container.containers import Containers
from nbcontainer.errors import CommandFailed
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.statements import heredoc_opening
from nbcontainer.image.steps import Step

#: Bytes of a step's output that are shown and kept (BuildKit's limit, too).
LONGEST_LOG = 2 << 20
#: Characters of a line of a secret that is shown as `***`.
SHORTEST_SECRET = 4
CLIPPED = "[output clipped, log limit 2MiB reached]"


def command(run: i.Run, shell: list[str], escape: str) -> tuple[list[str], dict[str, bytes]]:
    """The words that RUN means, and the scripts that they need, by path in the container."""
    if not run.shell:
        return list(run.words), {}
    text, heredocs = run.words[0], run.statement.heredocs
    if not heredocs:
        return [*shell, text], {}
    if len(heredocs) == 1 and heredoc_opening(text, escape) is not None:
        # Nothing but a here-document: it is the script.
        script = heredocs[0]
        if script.text.startswith("#!"):
            path = f"{SCRIPTS}/{script.name}"
            return [path], {path: script.text.encode()}
        return [*shell, script.text], {}
    # The shell reads them itself, as they stand.
    return [*shell, text + "\n" + "".join(one.content + one.name + "\n" for one in heredocs)], {}


class Lines:
    """Output as whole lines, given to `write` and kept for the cache, up to `LONGEST_LOG` bytes, without `secrets`."""

    def __init__(self, write: Callable[[str], object], secrets: Iterable[bytes] = ()) -> None:
        self._write = write
        lines = [line.decode(errors="replace").strip() for secret in secrets for line in secret.splitlines()]
        # What is kept outlives the build; shorter ones are in any text by chance.
        self._secrets = [line for line in lines if len(line) >= SHORTEST_SECRET]
        self._pending = {1: b"", 2: b""}
        self._size = 0
        self.kept: list[str] = []

    def put(self, stream: int, data: bytes) -> None:
        """A piece of standard output (1) or error (2)."""
        *whole, rest = (self._pending[stream] + data).split(b"\n")
        for line in whole:
            self._line(line)
        self._pending[stream] = rest
        if len(rest) > LONGEST_LOG:
            self._line(rest)
            self._pending[stream] = b""

    def finish(self) -> None:
        """No more will come."""
        for line in filter(None, self._pending.values()):
            self._line(line)

    def _line(self, line: bytes) -> None:
        if self._size > LONGEST_LOG:
            return
        self._size += len(line) + 1
        # Of a line that is written over again and again, as progress bars are, the last state counts.
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = CLIPPED if self._size > LONGEST_LOG else text
        self.kept.append(text)
        self._write(text)


@dataclass
class Running:
    """One RUN: its words, environment, mounts, and the options of its container."""

    containers: Containers
    state: State
    words: list[str]
    environment: Mapping[str, str]
    hidden: Mapping[str, str]
    mounts: Mounts
    options: Mapping[str, Any]

    def key(self) -> list[Any]:
        """What would change the result."""
        config = self.state.description.config
        environment = sorted(self.environment.items())
        return [self.words, environment, config.get("User") or "", self.state.workdir, self.mounts.key(), self._network]

    @property
    def _network(self) -> str:
        return str(self.options.get("network", "bridge"))

    def make(self, key: str, write: Callable[[str], object], epoch: int | None) -> Step:
        """Run it and keep what it has written. Raises `CommandFailed`, `StartFailed`, and what mounts raise.

        Ctrl-C ends the container, and with it all that it has done.
        """
        environment = {**self.environment, **self.hidden, **self.mounts.environment()}
        config = {
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "User": self.state.description.config.get("User") or "",
            "WorkingDir": self.state.workdir,
        }
        lines = Lines(write, self.mounts.used_secrets())
        with ExitStack() as stack:
            container = stack.enter_context(
                root.step_container(
                    self.containers,
                    self.state.document(config),
                    tuple(self.words),
                    hostname="buildkitsandbox",
                    **self.options,
                )
            )
            self.mounts.prepare(container, stack)
            targets = self.mounts.targets()
            lab = container.lab
            before = lab.call(inside.missing, root.request(container), targets) if targets else []
            exit_code = self._run(container, lines)
            lines.finish()
            if exit_code:
                raise CommandFailed(self._failed(container, exit_code), exit_code)
            if before:
                lab.call(inside.remove_stubs, root.request(container), before)
            return root.keep(container, key, "\n".join(lines.kept), epoch)

    def _run(self, container: Container, lines: Lines) -> int:
        watcher = container.start(watch=True)
        assert watcher is not None
        while (piece := watcher.get()) is not None:
            lines.put(*piece)
        return container.wait()

    def _failed(self, container: Container, exit_code: int) -> str:
        words = " ".join(self.words)
        first, _, rest = words.partition("\n")
        shown = f"{first} …" if rest else first
        why = ""
        if container.state.oom_killed:
            limit = container.options.memory
            why = f" (out of memory, limit {limit / (1 << 20):g} MiB)" if limit else " (out of memory)"
        elif exit_code == 128 + signal.SIGKILL:
            why = " (killed)"
        return f'process "{shown}" did not complete successfully: exit code: {exit_code}{why}'
