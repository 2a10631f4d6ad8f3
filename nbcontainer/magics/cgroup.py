"""The tree of `%cgroup`: control groups by name, in v2's vocabulary, on v2, v1 and both."""

from __future__ import annotations

import json
import queue
import shlex
import sys
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from nbcontainer.cgroup import settings
from nbcontainer.cgroup.events import OOM_KILL
from nbcontainer.errors import CommandFailed, InvalidArgument, UsageError
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, Output, one_or_all, shown
from nbcontainer.magics.container_options import NO_CHECK
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.watching import FOR, NO_STREAM, stream
from nbcontainer.view import groups, stats
from nbcontainer.view.tables import Table
from nbcontainer.view.usage import Usage
from nbcontainer.view.view import View

if TYPE_CHECKING:
    from nbcontainer.cgroup.cgroup import Cgroup
    from nbcontainer.cgroup.events import Event
    from nbcontainer.cgroup.tree import Tree
    from nbcontainer.container.execute import ExecResult


def create(call: Call) -> Cgroup:
    """Make a group."""
    tree = call.lab.cgroup_tree
    _tell(tree)
    return tree.create(call.arguments[0], **call.values)


def _tell(tree: Tree) -> None:
    """From now on what happens to its groups is said as it happens; once a lab."""
    if "told" in tree.__dict__:
        return

    def say(event: Event) -> None:
        if event.key.startswith("cgroup/"):
            # In no context, which here would be that of the cell that began it: the cell that runs now is to have it.
            Context().run(print, groups.event_text(event), file=sys.stderr, flush=True)

    tree.__dict__["told"] = tree.events.watch(say)


def remove(call: Call) -> None:
    """Remove groups."""
    call.each(call.arguments, lambda name: call.lab.cgroup_tree.remove(name, call.get("force", False)))


def ls(call: Call) -> object:
    """Groups, by name."""
    rows = [groups.group_row(group) for group in call.lab.cgroup_tree.list()]
    return formats.show_rows(call, "Control groups", groups.GROUP_COLUMNS, rows, key="Name")


def tree(call: Call) -> groups.GroupTree:
    """All groups of the lab, those of its containers too."""
    lab = call.lab
    containers = [
        (container.name, ", ".join(filter(None, ("container", groups.limits_text(container.cgroup.settings())))))
        for container in reversed(lab.containers.list())
        if container.cgroup is not None
    ]
    return call.show(groups.tree(f"lab ({lab.cgroups.mode})", lab.cgroup_tree.list(), containers))


def set_(call: Call) -> Cgroup:
    """Change limits, at once."""
    if not call.values:
        raise UsageError(f"{call.path}: which limit? See '{call.path} --help'.")
    group = call.lab.cgroup_tree.get(call.arguments[0])
    group.set(**call.values)
    return shown(group)


def show(call: Call) -> Table:
    """What a group is set to."""
    group = call.lab.cgroup_tree.get(call.arguments[0])
    return call.show_table(groups.files_table(group) if call.get("files") else groups.settings_table(group))


def attach(call: Call) -> Cgroup:
    """Move processes into a group."""
    name, *pids = call.arguments
    group = call.lab.cgroup_tree.get(name)
    for pid in pids:
        if not pid.isdecimal():
            raise InvalidArgument(f'"{pid}" is not a process id')
        group.attach(int(pid), in_lab=not call.get("machine"))
    return shown(group)


def execute(call: Call) -> ExecResult:
    """Run a program, or the cell as a script, in a group."""
    name, *argv = call.arguments
    group = call.lab.cgroup_tree.get(name)
    stdin = None
    if not argv:
        if call.cell is None:
            raise UsageError(f"{call.path}: which program? Or %{call.path} with a script in the cell.")
        argv = ["sh", "-c", call.cell]
        what = "the script"
    else:
        stdin, what = call.stdin(), shlex.join(argv)
    before = len(group.events)
    with Output() as output:
        result: ExecResult = group.exec(argv, stdin=stdin, stdout=output.stdout, stderr=output.stderr)
    happened = group.events[before:]
    if result.exit_code and not call.get("no_check"):
        killed = result.exit_code == 137 and any(event.kind == OOM_KILL for event in happened)
        why = ": out of memory" if killed else ""
        raise CommandFailed(f"{what} in {name} exited with {result.exit_code}{why}", result.exit_code)
    return shown(result)


def watch(call: Call) -> Table | View:
    """What groups use; again and again, until Ctrl-C."""
    lab = call.lab
    for name in call.arguments:
        lab.cgroup_tree.get(name)

    def table() -> Table:
        samples = {key.partition("/")[2]: sample for key, sample in latest(call, "cgroup/").items()}
        wanted = call.arguments or [group.name for group in lab.cgroup_tree.list()]
        rows = [stats.usage_row(name, samples.get(name), lab.cgroup_tree.get(name).settings()) for name in wanted]
        return Table("Usage of control groups", stats.USAGE_COLUMNS, tuple(rows))

    return stream(call, table, lambda made: Usage(lab, "cgroup/", call.arguments, made))


def latest(call: Call, prefix: str) -> dict[str, Any]:
    """The newest samples by key: two passes, since a share of a processor is between two."""
    sampler = call.lab.sampler
    batch = sampler.take()
    return {key: batch.sample(index) for index, key in enumerate(batch.keys) if key.startswith(prefix)}


def each(act: Callable[[Cgroup], object]) -> Callable[[Call], object]:
    """A command that does the same to each group it is given."""

    def command(call: Call) -> object:
        def do(name: str) -> Cgroup:
            group = call.lab.cgroup_tree.get(name)
            act(group)
            return group

        return one_or_all(call.each(call.arguments, do))

    return command


def events(call: Call) -> None:
    """What happened to groups, oldest first; with --follow, until Ctrl-C."""
    watched = call.lab.cgroup_tree.events
    for name in call.arguments:
        call.lab.cgroup_tree.get(name)
    coming: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watched.settle()
    end = watched.watch(coming.put) if call.get("follow") else None
    happened = watched.happened()
    try:
        while True:
            for event in happened:
                if event.key.startswith("cgroup/") and (not call.arguments or event.name in call.arguments):
                    call.print(_line(call, event))
            if end is None:
                return
            happened = [coming.get()]
    except KeyboardInterrupt:
        return
    finally:
        if end is not None:
            end()


def _line(call: Call, event: Event) -> str:
    if call.get("format") == "json":
        return json.dumps(groups.event_json(event))
    text = groups.event_text(event)
    return f"{groups.event_time(event)} {text}" if call.get("timestamps") else text


LIMITS = tuple(
    Option(setting.option, "", "string", setting.help, metavar=setting.example.replace(" ", "_"))
    for setting in settings.ALL
)
NEW = Argument("NAME")
ONE = Argument("NAME", completes="cgroup")
SOME = Argument("NAME", repeats=True, completes="cgroup")
ANY = Argument("NAME", required=False, repeats=True, completes="cgroup")

CGROUP = Command(
    "%cgroup",
    "Manage control groups: limits, weights and usage of processes, in v2's words on v2 and v1",
    commands=(
        Command(
            "create", "Create a control group; of a/b, a too", LIMITS, (NEW,), action=create,
        ),
        Command(
            "rm", "Remove control groups",
            (Option("force", "f", help="Kill what runs in them, and remove the groups below them too"),),
            (SOME,), aliases=("remove",), action=remove,
        ),
        Command(
            "ls", "List control groups",
            (formats.FORMAT, Option("quiet", "q", help="Only display names")), aliases=("list",), action=ls,
        ),
        Command("tree", "Show the groups of the lab and of its containers as a tree", action=tree),
        Command("set", "Change limits while they are in use", LIMITS, (ONE,), action=set_),
        Command(
            "show", "Show what a control group is set to",
            (Option("files", help="Show the files of this machine that do it, and what is in them"),),
            (ONE,), action=show,
        ),
        Command(
            "attach", "Move running processes of the lab into a control group",
            (Option("machine", help="PIDs are as this notebook's own process counts, not as the lab does"),),
            (ONE, Argument("PID", repeats=True)), action=attach,
        ),
        Command(
            "exec", "Run a program of the machine in a control group, on the lab's host",
            (NO_CHECK,),
            (ONE, Argument("COMMAND", required=False), Argument("ARG", required=False, repeats=True)),
            action=execute, stops_at_argument=True,
            cell="a shell script that runs in it; with a command, the command's standard input",
        ),
        Command(
            "watch", "Show what control groups use, live",
            (NO_STREAM, FOR), (ANY,), action=watch,
        ),
        Command("freeze", "Stop every process of control groups", (), (SOME,), action=each(lambda g: g.freeze())),
        Command("thaw", "Let the processes of control groups go on", (), (SOME,), action=each(lambda g: g.thaw())),
        Command("kill", "Kill every process of control groups", (), (SOME,), action=each(lambda g: g.kill())),
        Command(
            "events", "Show what happened to control groups: out of memory, throttled, limits reached",
            (
                Option("follow", "f", help="Wait for more, until Ctrl-C"),
                Option("format", "", "string", "'json', or lines of text", choices=("json",)),
                Option("timestamps", "t", help="Show timestamps"),
            ),
            (ANY,), action=events,
        ),
    ),
)  # fmt: skip
