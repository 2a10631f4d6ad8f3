"""Healthchecks: the command of the image or of `--health-cmd`, run every interval (Dockerfile reference)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nbcontainer.container.state import now, seconds_since
from nbcontainer.errors import NbcontainerError

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

#: Results kept, and bytes of output of each, as Docker does.
KEPT, OUTPUT = 5, 4096


#: Docker's defaults, in seconds.
INTERVAL, TIMEOUT, START_INTERVAL, RETRIES = 30.0, 30.0, 5.0, 3
_NANO = 1e9


def check_of(container: Container) -> dict[str, Any] | None:
    """The check that the options and the image ask for: its command, times in seconds, retries. None without one."""
    options, image = container.options, container.image.config.get("Healthcheck") or {}
    test = ["CMD-SHELL", options.health_cmd] if options.health_cmd else list(image.get("Test") or [])
    if options.no_healthcheck or not test or test == ["NONE"]:
        return None

    def seconds(asked: float | None, key: str, default: float) -> float:
        return asked or (image.get(key) or 0) / _NANO or default

    return {
        "command": ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:],
        "interval": seconds(options.health_interval, "Interval", INTERVAL),
        "timeout": seconds(options.health_timeout, "Timeout", TIMEOUT),
        "start_period": seconds(options.health_start_period, "StartPeriod", 0.0),
        "start_interval": seconds(options.health_start_interval, "StartInterval", START_INTERVAL),
        "retries": options.health_retries or image.get("Retries") or RETRIES,
    }


class Monitor:
    """The healthcheck of one container, on the background loop."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The container runs: begin, if it has a check."""
        check = check_of(self.container)
        if check is None:
            return
        self.container.state.health = "starting"
        self.container.state.health_failures = 0
        self.container.lab.loop.soon(self._begin, check)

    def _begin(self, check: dict[str, Any]) -> None:
        self._task = self.container.lab.loop.asyncio.create_task(self._run(check))

    def stop(self) -> None:
        """The container has ended (the loop's thread)."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, check: dict[str, Any]) -> None:
        container = self.container
        loop = asyncio.get_running_loop()
        while True:
            starting = seconds_since(container.state.started_at) < check["start_period"]
            await asyncio.sleep(check["start_interval"] if starting else check["interval"])
            if container.state.status != "running":
                continue
            result = await loop.run_in_executor(None, self._probe, check)
            self._judge(check, result)

    def _probe(self, check: dict[str, Any]) -> dict[str, Any]:
        started = now()
        try:
            result = self.container.exec(check["command"], timeout=check["timeout"])
            code, output = result.exit_code, (result.stdout + result.stderr)[:OUTPUT].decode(errors="replace")
        except TimeoutError:
            code, output = -1, f"Health check exceeded timeout ({check['timeout']:g}s)"
        except NbcontainerError as error:
            code, output = -1, str(error)
        return {"Start": started, "End": now(), "ExitCode": code, "Output": output}

    def _judge(self, check: dict[str, Any], result: dict[str, Any]) -> None:
        state = self.container.state
        state.health_log = [*state.health_log, result][-KEPT:]
        before = state.health
        if result["ExitCode"] == 0:
            state.health, state.health_failures = "healthy", 0
        elif before != "starting" or seconds_since(state.started_at) >= check["start_period"]:
            state.health_failures += 1
            if state.health_failures >= check["retries"]:
                state.health = "unhealthy"
        if state.health != before:
            self.container.owner.event(f"health_status: {state.health}", self.container)
