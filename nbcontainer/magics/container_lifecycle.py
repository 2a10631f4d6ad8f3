"""What changes a container's state: `%container start`, `stop`, `rm` and the like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from nbcontainer.errors import Conflict, NotFound, UsageError
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, ExitCode, Output, one_or_all, shown
from nbcontainer.magics.container_options import RESOURCES, RESTART
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import words

if TYPE_CHECKING:
    from nbcontainer.container.container import Container

ANY = Argument("CONTAINER", repeats=True, completes="container")
RUNNING = Argument("CONTAINER", repeats=True, completes="running")

TIME = Option("timeout", "t", "int", "Seconds to wait before killing the container", also=("time",))
SIGNAL = Option("signal", "s", "string", "Signal to send to the container", completes="signal")


def on_each(call: Call, act: Callable[[Container], object]) -> object:
    """Do it to every container named; give back the container, or all of them."""

    def one(name: str) -> Container:
        container = call.lab.containers.get(name)
        act(container)
        return container

    return one_or_all(call.each(call.arguments, one))


def start(call: Call) -> object:
    """Start what is stopped; with --attach or --interactive, relay its output until it ends.

    A cell is the standard input of a container that was made with `-i`.
    """
    stdin = call.stdin()
    if not call.get("attach") and not call.get("interactive") and stdin is None:
        return on_each(call, lambda container: container.start())
    if len(call.arguments) > 1:
        raise UsageError("you cannot start and attach multiple containers at once")
    container = call.lab.containers.get(call.arguments[0])
    if stdin is not None and not container.options.interactive:
        raise Conflict(f"container {container.name} takes no standard input: it was made without -i")
    watcher = container.start(watch=True)
    if watcher is not None:
        if stdin is not None:
            container.write(stdin)
            container.close_input()
        with Output() as output:
            container.relay(watcher, output.stdout, output.stderr)
    return shown(container)


def stop(call: Call) -> object:
    """The stop signal, then SIGKILL."""
    return on_each(call, lambda container: container.stop(call.get("timeout"), call.get("signal")))


def restart(call: Call) -> object:
    """Stop, then start."""
    return on_each(call, lambda container: container.restart(call.get("timeout")))


def kill(call: Call) -> object:
    """Send a signal."""
    return on_each(call, lambda container: container.kill(call.get("signal", "KILL")))


def pause(call: Call) -> object:
    """Freeze."""
    return on_each(call, lambda container: container.pause())


def unpause(call: Call) -> object:
    """Thaw."""
    return on_each(call, lambda container: container.unpause())


def update(call: Call) -> object:
    """Change limits and the restart policy."""
    if not call.values:
        raise UsageError(f"you must provide one or more flags when using this command. See '{call.path} --help'.")
    return on_each(call, lambda container: container.update(**call.values))


def remove(call: Call) -> None:
    """Remove; with --force a running one too, and one that is not there is no failure."""
    force, volumes = call.get("force", False), call.get("volumes", False)
    names = [name for name in call.arguments if _is_there(call, name)] if force else call.arguments
    call.each(names, lambda name: call.lab.containers.get(name).remove(force=force, volumes=volumes))


def _is_there(call: Call, name: str) -> bool:
    try:
        call.lab.containers.get(name)
    except NotFound as error:
        call.say(f"Error: {error}")
        return False
    return True


def wait(call: Call) -> object:
    """Wait for the end of each; print and give back the exit codes."""
    codes = []
    for name in call.arguments:
        codes.append(ExitCode(call.lab.containers.get(name).wait()))
        call.print(str(int(codes[-1])))
    return one_or_all(codes)


def rename(call: Call) -> object:
    """Another name."""
    container = call.lab.containers.get(call.arguments[0])
    container.rename(call.arguments[1])
    return shown(container)


def prune(call: Call) -> None:
    """Remove every container that does not run."""
    ended = [c for c in call.lab.containers.list(all=True) if c.status in ("created", "exited")]
    removed: list[Container] = formats.filtered(call, ended, {"label": formats.has_label})
    reclaimed = sum(container.size for container in removed)
    for container in removed:
        container.remove()
    if removed:
        call.print("Deleted Containers:")
    for container in removed:
        call.print(container.id)
    if removed:
        call.print("")
    call.print(f"Total reclaimed space: {words.size(reclaimed)}")


FORCE = Option("force", "f", help="Do not prompt for confirmation (we never do)")

COMMANDS = (
    Command(
        "start", "Start one or more stopped containers",
        (
            Option("attach", "a", help="Attach STDOUT/STDERR and wait for the end"),
            Option("interactive", "i", help="Attach container's STDIN: the cell of a %%container start"),
        ),
        (ANY,), action=start, cell="the container's standard input",
    ),
    Command("stop", "Stop one or more running containers", (SIGNAL, TIME), (RUNNING,), action=stop),
    Command("restart", "Restart one or more containers", (TIME,), (ANY,), action=restart),
    Command(
        "kill", "Kill one or more running containers",
        (replace(SIGNAL, default="KILL"),),
        (RUNNING,), action=kill,
    ),
    Command(
        "rm", "Remove one or more containers",
        (
            Option("force", "f", help="Force the removal of a running container (uses SIGKILL)"),
            Option("volumes", "v", help="Remove anonymous volumes associated with the container"),
        ),
        (ANY,), aliases=("remove",), action=remove,
    ),
    Command(
        "wait", "Block until one or more containers stop, then print their exit codes", (), (ANY,),
        action=wait,
    ),
    Command("pause", "Pause all processes within one or more containers", (), (RUNNING,), action=pause),
    Command("unpause", "Unpause all processes within one or more containers", (), (RUNNING,), action=unpause),
    Command(
        "rename", "Rename a container", (),
        (Argument("CONTAINER", completes="container"), Argument("NEW_NAME")), action=rename,
    ),
    Command(
        "update", "Update configuration of one or more containers", (*RESOURCES, RESTART), (ANY,),
        action=update,
    ),
    Command(
        "prune", "Remove all stopped containers", (FORCE, replace(formats.FILTER, short="")), action=prune
    ),
)  # fmt: skip
