"""`%container ls|logs|attach|inspect|top|port|events`: what shows containers and changes nothing."""

from __future__ import annotations

import json
import queue
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbcontainer.container import follow, values
from nbcontainer.container.logs import STDERR, STDOUT
from nbcontainer.container.look import Wanted
from nbcontainer.container.terminal import of_container
from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.magics import formats, terminal
from nbcontainer.magics.call import Call, Output, shown
from nbcontainer.magics.formats import FILTER, FORMAT, NO_TRUNC
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view import frontend, rows, words
from nbcontainer.view.container_namespaces import ContainerNamespaces
from nbcontainer.view.container_steps import ContainerSteps
from nbcontainer.view.namespaces import namespace_table
from nbcontainer.view.tables import Column, Table
from nbcontainer.view.template import Template, go_json

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.containers import Event

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


def _status(container: Container, wanted: str) -> bool:
    if wanted not in STATUSES:
        raise InvalidArgument(f"invalid filter 'status={wanted}': it is one of {', '.join(STATUSES)}")
    return container.status == wanted


def _exited(container: Container, code: str) -> bool:
    if not code.isdigit():
        raise InvalidArgument(f"invalid filter 'exited={code}': it is an exit code")
    return container.status == "exited" and container.exit_code == int(code)


def _ancestor(container: Container, image: str) -> bool:
    names = (container.image.id, container.image.short_id, *container.image.tags, rows.short_image(container))
    return image in names or f"{image}:latest" in container.image.tags


def _network(container: Container, wanted: str) -> bool:
    if wanted == container.options.network:
        return True
    networks = {network.name: network.id for network in container.owner.networks.list()}
    return any(wanted == name or networks.get(name, "").startswith(wanted) for name in container.attachments)


def _same_port(wanted: str, key: str) -> bool:
    return wanted == key or f"{wanted}/tcp" == key


TESTS: dict[str, formats.Test] = {
    "ancestor": _ancestor,
    "exited": _exited,
    "health": lambda container, health: (container.state.health or "none") == health,
    "id": lambda container, start: container.id.startswith(start),
    "label": formats.has_label,
    "name": lambda container, pattern: formats.matches(container.name, pattern),
    "network": _network,
    "publish": lambda container, port: any(_same_port(port, key) for key in container.ports),
    "status": _status,
}


def ls(call: Call) -> object:
    """Containers, newest first."""
    last = 1 if call.get("latest") else call.get("last", 0)
    # As in Docker, these filters ask about containers that do not run, so they are looked at too.
    asks_for_stopped = any(text.startswith(("status=", "exited=")) for text in call.get("filter", []))
    every = call.get("all", False) or last > 0 or asks_for_stopped
    found: Sequence[Container] = formats.filtered(call, call.lab.containers.list(all=every), TESTS)
    found = found[:last] if last > 0 else found
    sized = call.get("size", False) or ".Size" in call.get("format", "")
    made = [rows.container_row(container, not call.get("no_trunc"), sized) for container in found]
    columns = (*rows.CONTAINER_COLUMNS, *([rows.SIZE_COLUMN] if call.get("size") else []))
    return formats.show_rows(call, "Containers", columns, made, known=LS_KNOWN)


#: Headers of what only `--format "table …"` can show.
LS_KNOWN = (
    Column("CreatedAt", "CREATED AT"),
    Column("Labels", "LABELS"),
    Column("Networks", "NETWORKS"),
    rows.SIZE_COLUMN,
    Column("State", "STATE", "state"),
)


def logs(call: Call) -> None:
    """What a container printed; with --follow, and what it prints from now on."""
    container = call.lab.containers.get(call.arguments[0])
    wanted = Wanted(
        tail=_tail(call.get("tail", "all")),
        timestamps=call.get("timestamps", False),
        since=_moment(call, "since"),
        until=_moment(call, "until"),
    )
    printed = follow.output(container, wanted, follow=call.get("follow", False))
    with Output() as output:
        sinks = {STDOUT: output.stdout, STDERR: output.stderr}
        try:
            for stream, data in printed:
                sinks[stream](data)
        except KeyboardInterrupt:
            return


def _moment(call: Call, name: str) -> int | None:
    """Nanoseconds since the epoch of a time as Docker takes it: RFC 3339, seconds, or how long ago (42m)."""
    text = call.get(name)
    if text is None:
        return None
    try:
        seconds = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else words.rfc3339(text).timestamp()
    except ValueError:
        try:
            seconds = time.time() - values.duration(text, f"--{name}")
        except InvalidArgument:
            raise InvalidArgument(
                f'invalid value for "{name}": {text} is neither a time (2025-01-31T12:00:00Z) nor how long ago (42m)'
            ) from None
    return round(seconds * 1e9)


def _tail(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not text.isdigit():
        raise InvalidArgument(f'invalid argument "{text}" for "-n, --tail": it is a number of lines, or all')
    return int(text)


def attach(call: Call) -> Container:
    """A running container's output in the cell, until it ends; Ctrl-C goes to the container."""
    container = call.lab.containers.get(call.arguments[0])
    if container.options.tty and container.options.interactive and (frontend.live() or frontend.terminal()):
        terminal.sit_at(call, of_container(container))
        return shown(container)
    with Output() as output:
        container.attach(output.stdout, output.stderr)
    return shown(container)


def inspect(call: Call) -> object:
    """Docker's JSON."""
    return show_inspected(call, lambda name: call.lab.containers.get(name).inspect())


def show_inspected(call: Call, inspected: Callable[[str], dict[str, Any]]) -> object:
    """Print what is known of each name, as JSON or through --format; an unknown name fails last."""
    found: list[dict[str, Any]] = []
    failed: NotFound | None = None
    for name in call.arguments:
        try:
            found.append(inspected(name))
        except NotFound as error:
            failed = failed or error
    wanted = call.get("format", "json")
    if wanted == "json":
        call.print(json.dumps(found, indent=4, ensure_ascii=False))
        result: object = found
    else:
        template = Template(wanted)
        lines = [template.render(thing) for thing in found]
        result = call.show_text("\n".join(lines)) if found else None
    if failed is not None:
        raise failed
    return shown(result)


def top(call: Call) -> object:
    """The processes of a container."""
    name, *words = call.arguments
    columns = _ps_columns(words)
    processes = call.lab.containers.get(name).top(columns)
    names = list(processes[0]) if processes else columns
    numbers = ("PID", "PPID", "NSPID", "RSS")
    shape = tuple(
        Column(key, key, "number" if key in numbers else "code" if key in ("CMD", "ARGS") else "text") for key in names
    )
    return call.show_table(Table(f"Processes of {name}", shape, tuple(processes)))


def _ps_columns(words: Sequence[str]) -> list[str]:
    """Of ps(1)'s options only `-o` and `-eo` are known: which columns to show."""
    if not words:
        return []
    if words[0] in ("-o", "-eo", "o") and len(words) > 1:
        return [name for text in words[1:] for name in text.split(",") if name]
    raise InvalidArgument(f"ps option {words[0]} is not supported: -o COLUMN[,COLUMN...] is")


def explain(call: Call) -> object:
    """The steps that made a container."""
    return call.show(ContainerSteps(call.lab.containers.get(call.arguments[0])))


def port(call: Call) -> object:
    """Where a container's ports are published."""
    container = call.lab.containers.get(call.arguments[0])
    bindings = call.lab.containers.publisher.bindings(container.id)
    if len(call.arguments) == 1:
        return formats.show_lines(call, [f"{binding.key} -> {binding.address}" for binding in bindings])
    number, _, protocol = call.arguments[1].partition("/")
    wanted = f"{number}/{protocol or 'tcp'}"
    found = [binding.address for binding in bindings if binding.key == wanted]
    if not found:
        raise NotFound(f"no public port '{wanted}' published for {call.arguments[0]}")
    return formats.show_lines(call, found)


def namespaces(call: Call) -> object:
    """Which namespaces containers have for themselves, and which they share."""
    containers = call.lab.containers
    wanted = [containers.get(name) for name in call.arguments] or list(reversed(containers.list()))
    for container in wanted:
        if container.entry is None:
            raise Conflict(f"Container {container.name} is not running")
    table = namespace_table(call.lab, wanted)
    if frontend.live():
        call.show(ContainerNamespaces(call.lab, [c.name for c in wanted] if call.arguments else [], table))
        return shown(table)
    return call.show_table(table)


EVENT_TESTS: dict[str, formats.Test] = {
    "container": lambda event, name: name == event.attributes["name"] or event.container_id.startswith(name),
    "event": lambda event, action: event.action == action,
    "image": lambda event, image: event.attributes["image"] == image,
}


def events(call: Call) -> None:
    """What happened to the lab's containers, oldest first; with --follow, until Ctrl-C."""
    containers = call.lab.containers
    wanted = call.get("format", "")
    template = Template(wanted) if wanted not in ("", "json") else None
    coming: queue.SimpleQueue[Event] = queue.SimpleQueue()
    end_watch = containers.watch(coming.put) if call.get("follow") else None
    happened = list(containers.events)
    try:
        while True:
            for event in formats.filtered(call, happened, EVENT_TESTS):
                call.print(template.render(event_json(event)) if template else event_line(event, wanted))
            if end_watch is None:
                return
            happened = [coming.get()]
    except KeyboardInterrupt:
        return
    finally:
        if end_watch is not None:
            end_watch()


def event_line(event: Event, wanted: str) -> str:
    """`2025-01-31T12:00:00.000000Z container start 4c01… (image=busybox, name=web)`, or its JSON."""
    if wanted == "json":
        return go_json(event_json(event))
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
    return f"{event.time} container {event.action} {event.container_id} ({attributes})"


def event_json(event: Event) -> dict[str, Any]:
    """An event as Docker's API gives it."""
    moment = words.rfc3339(event.time).timestamp()
    return {
        "status": event.action,
        "id": event.container_id,
        "from": event.attributes["image"],
        "Type": "container",
        "Action": event.action,
        "Actor": {"ID": event.container_id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": int(moment),
        "timeNano": int(moment * 1e6) * 1000,
    }


ONE = Argument("CONTAINER", completes="container")
INSPECT_FORMAT = Option(
    "format", "f", "string",
    "Format output using a custom template: 'json' (print in JSON format), or a Go template",
)  # fmt: skip

COMMANDS = (
    Command(
        "ls", "List containers",
        (
            Option("all", "a", help="Show all containers (default shows just running)"),
            FILTER, FORMAT,
            Option("last", "n", "int", "Show n last created containers (includes all states)", default="-1"),
            Option("latest", "l", help="Show the latest created container (includes all states)"),
            NO_TRUNC,
            Option("quiet", "q", help="Only display container IDs"),
            Option("size", "s", help="Display total file sizes"),
        ),
        aliases=("list", "ps"), action=ls,
    ),
    Command(
        "logs", "Fetch the logs of a container",
        (
            Option("follow", "f", help="Follow log output"),
            Option(
                "since", "", "string",
                "Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
            ),
            Option("tail", "n", "string", "Number of lines to show from the end of the logs", default="all"),
            Option("timestamps", "t", help="Show timestamps"),
            Option(
                "until", "", "string",
                "Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
            ),
        ),
        (ONE,), action=logs,
    ),
    Command(
        "attach", "Attach local standard output and error streams to a running container", (),
        (Argument("CONTAINER", completes="running"),), action=attach,
    ),
    Command(
        "inspect", "Display detailed information on one or more containers",
        (INSPECT_FORMAT,),
        (Argument("CONTAINER", repeats=True, completes="container"),), action=inspect,
    ),
    Command(
        "top", "Display the running processes of a container", (),
        (Argument("CONTAINER", completes="running"), Argument("ps OPTIONS", required=False, repeats=True)),
        action=top, stops_at_argument=True,
    ),
    Command(
        "explain", "Show the steps that made a container as a timeline", (), (ONE,), action=explain,
    ),
    Command(
        "port", "List port mappings or a specific mapping for the container", (),
        (ONE, Argument("PRIVATE_PORT[/PROTO]", required=False)), action=port,
    ),
    Command(
        "namespaces", "Show which namespaces containers have for themselves, and which they share", (),
        (Argument("CONTAINER", required=False, repeats=True, completes="running"),), action=namespaces,
    ),
    Command(
        "events", "Get events of the lab's containers",
        (FILTER, FORMAT, Option("follow", help="Wait for more, until Ctrl-C")), action=events,
    ),
)  # fmt: skip
