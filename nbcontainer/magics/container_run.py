"""`%container run`, `create` and `exec`: what makes something run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from nbcontainer.container.terminal import of_container, of_exec
from nbcontainer.errors import CommandFailed
from nbcontainer.magics import terminal as sits
from nbcontainer.magics.call import Call, Output, shown
from nbcontainer.magics.container_options import CREATE, EXEC, OURS
from nbcontainer.magics.grammar import Argument, Command
from nbcontainer.magics.image_registry import shown_while
from nbcontainer.view import frontend
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.execute import ExecResult

IMAGE = Argument("IMAGE", completes="image")
COMMAND = Argument("COMMAND", required=False)
ARGUMENTS = Argument("ARG", required=False, repeats=True)


def run(call: Call) -> Container:
    """Run a container; in the foreground its output is the cell's."""
    image, *command = call.arguments
    raw = dict(call.values)
    explain, check = raw.pop("explain", False), not raw.pop("no_check", False)
    stdin = call.stdin()
    _warn(call)
    if sits.wanted(call):
        return _run_on_terminal(call, image, command, raw, check=check)
    if stdin is not None:
        raw["interactive"] = True
    elif raw.get("interactive") and not raw.get("tty") and not raw.get("detach"):
        stdin = b""  # a cell without a text is at its end: nobody can type into it
    with shown_while(call), Output() as output:
        container = call.lab.containers.run(
            image, command, stdin=stdin, stdout=output.stdout, stderr=output.stderr, check=check, **raw
        )
    if explain:
        call.show(trace_table(container))
    return container if raw.get("detach") else shown(container)


def _run_on_terminal(call: Call, image: str, command: list[str], raw: dict[str, Any], check: bool) -> Container:
    with shown_while(call):
        container = call.lab.containers.create(image, command, **raw)
    live = frontend.live()
    container.attached = not live
    try:
        terminal = of_container(container, begin=True)
    except BaseException:
        if container.options.rm:
            container.remove()
        raise
    code = sits.sit_at(call, terminal)
    if code is not None and not container.state.running:
        if container.options.rm:
            container.remove(volumes=True)
        if check and code:
            raise CommandFailed(f"{container.name} exited with {code}", code)
    return shown(container)


def create(call: Call) -> Container:
    """Make a container that does not run yet."""
    image, *command = call.arguments
    _warn(call)
    with shown_while(call):
        return call.lab.containers.create(image, command, **call.values)


def _warn(call: Call) -> None:
    """Docker's warnings about a network that will not do what is asked."""
    mode = call.get("network", ["bridge"])[0]
    if mode == "host":
        if call.get("publish") or call.get("publish_all"):
            call.say("WARNING: Published ports are discarded when using host network mode")
    elif mode != "none" and not mode.startswith("container:") and not call.lab.networks.forwarding:
        call.say("WARNING: IPv4 forwarding is disabled. Networking will not work.")


def execute(call: Call) -> ExecResult | None:
    """Run one more command in a running container; on a terminal it has no result."""
    name, *command = call.arguments
    raw = dict(call.values)
    check = not raw.pop("no_check", False)
    stdin = call.stdin()
    if sits.wanted(call):
        code = sits.sit_at(call, of_exec(call.lab.containers.get(name), command, **raw))
        if check and code:
            raise CommandFailed(f"{shlex.join(command)} in {name} exited with {code}", code)
        return None
    with Output() as output:
        result = call.lab.containers.get(name).exec(
            command, stdin=stdin, stdout=output.stdout, stderr=output.stderr, **raw
        )
    if check and result.exit_code:
        raise CommandFailed(f"{shlex.join(command)} in {name} exited with {result.exit_code}", result.exit_code)
    return shown(result)


def trace_table(container: Container) -> Table:
    """Each step that made a container, and how long it took."""
    rows: list[dict[str, Any]] = [
        {"step": step.kind, "what": step.what, "time": f"{step.microseconds:.0f} µs"} for step in container.trace
    ]
    total = sum(step.microseconds for step in container.trace)
    rows.append({"step": "all", "what": f"{len(rows)} steps", "time": f"{total:.0f} µs"})
    columns = (Column("step", "STEP"), Column("what", "WHAT", "code"), Column("time", "TIME", "number"))
    return Table(f"Steps that made {container.name}", columns, tuple(rows))


COMMANDS = (
    Command(
        "run", "Create and run a new container from an image", (*CREATE, *OURS), (IMAGE, COMMAND, ARGUMENTS),
        action=run, stops_at_argument=True, cell="the command's standard input",
    ),
    Command(
        "create", "Create a new container", CREATE, (IMAGE, COMMAND, ARGUMENTS),
        action=create, stops_at_argument=True,
    ),
    Command(
        "exec", "Execute a command in a running container", EXEC,
        (Argument("CONTAINER", completes="running"), Argument("COMMAND"), ARGUMENTS),
        action=execute, stops_at_argument=True, cell="the command's standard input",
    ),
)  # fmt: skip
