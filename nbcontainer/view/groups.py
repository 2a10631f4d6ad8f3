"""Control groups: what they are set to, in words; the tree of a lab; what happened to them, in a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbcontainer.cgroup.events import OOM_KILL, THROTTLED, Event
from nbcontainer.cgroup.figure import cpu_limit
from nbcontainer.cgroup.settings import is_set
from nbcontainer.view import html, words
from nbcontainer.view.html import Fact
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.cgroup.cgroup import Cgroup


def meaning(file: str, value: str) -> str:
    """A control file's text in short: `20%`, `64MiB`, `max`, `200`."""
    if file == "cpu.max":
        limit = cpu_limit(value)
        return "max" if limit is None else f"{limit:g}%"
    if file.startswith("memory.") and value.isdigit():
        return words.binary_size(int(value))
    return value.replace("\n", "; ")


def limits_text(settings: Mapping[str, str]) -> str:
    """`cpu.max 20%, memory.max 64MiB`: what is set."""
    return ", ".join(f"{file} {meaning(file, value)}" for file, value in settings.items() if is_set(file, value))


# -- tables

GROUP_COLUMNS = (
    Column("Name", "NAME"),
    Column("State", "STATE", "state"),
    Column("Pids", "PIDS", "number"),
    Column("CpuMax", "CPU.MAX", "number"),
    Column("CpuWeight", "CPU.WEIGHT", "number"),
    Column("MemoryMax", "MEMORY.MAX", "number"),
    Column("PidsMax", "PIDS.MAX", "number"),
)


def group_row(group: Cgroup) -> dict[str, Any]:
    """One group for `%cgroup ls`."""
    settings = group.settings()
    count = len(group.pids())
    row = {"Name": group.name, "State": state(group, count), "Pids": count}
    for column in GROUP_COLUMNS[3:]:
        file = column.header.lower()
        row[column.key] = meaning(file, settings[file]) if file in settings else "-"
    return row


def state(group: Cgroup, count: int) -> str:
    """`frozen`, `running` or `empty`."""
    if group.frozen:
        return "frozen (paused)"
    return "running" if count else "empty"


def settings_table(group: Cgroup) -> Table:
    """What a group is set to: the file, its text, and what that means."""
    rows = [
        {"File": file, "Value": value.replace("\n", "; "), "Meaning": sentence(file, value)}
        for file, value in group.settings().items()
    ]
    columns = (Column("File", "FILE", "code"), Column("Value", "VALUE", "code"), Column("Meaning", "MEANING", "prose"))
    return Table(f"What {group.name} is set to", columns, tuple(rows))


def sentence(file: str, value: str) -> str:
    """What a value of a file means."""
    if not value or value.startswith("max") or (file == "memory.low" and value == "0"):
        return "no protection" if file == "memory.low" else "as above it" if file.startswith("cpuset") else "no limit"
    return MEANINGS[file].format(meaning(file, value))


MEANINGS = {
    "cpu.max": "at most {} of one processor's time",
    "cpu.weight": "{} parts of a busy processor, others have 100",
    "memory.max": "at {} processes are killed",
    "memory.high": "above {} processes are slowed down",
    "memory.low": "{} is taken last when others need memory",
    "memory.swap.max": "at most {} of swap",
    "pids.max": "at most {} processes and threads",
    "cpuset.cpus": "processors {}",
    "cpuset.mems": "memory nodes {}",
    "io.max": "{}",
    "io.weight": "{} parts of a busy disk, others have 100",
}


def files_table(group: Cgroup) -> Table:
    """Which files of this machine do the work of v2's, and what the kernel says in them."""
    rows = []
    for file, paths in group.places().items():
        for number, path in enumerate(paths):
            try:
                with open(path) as open_file:
                    text = open_file.read().strip().replace("\n", "; ")
            except OSError as error:
                text = error.strerror or ""
            rows.append({"File": "" if number else file, "Path": _shortened(path, group), "Text": text})
    columns = (
        Column("File", "FILE", "code"),
        Column("Path", "ON THIS MACHINE", "code"),
        Column("Text", "TEXT", "code"),
    )
    return Table(f"The files behind {group.name}", columns, tuple(rows))


def _shortened(path: str, group: Cgroup) -> str:
    """Without the directory of the lab, whose name is another each time."""
    before, _, after = path.partition(group.path)
    return f"{before}…/{group.name}{after}"


def group_html(group: Cgroup) -> str:
    """A group as a card."""
    count = len(group.pids())
    facts = [Fact(file, meaning(file, value)) for file, value in group.settings().items() if is_set(file, value)]
    facts.append(Fact("Processes", str(count)))
    return html.card(group.name, facts, status=state(group, count), aside="control group")


# -- the tree


@dataclass(frozen=True)
class Branch:
    """A group in the tree of a lab: the last level of its name, what is said of it, and what is below it."""

    name: str
    note: str
    below: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class GroupTree:
    """The groups of a lab as a tree: lines on a terminal, a nested list in a notebook."""

    title: str
    branches: tuple[Branch, ...]

    def __str__(self) -> str:
        return "\n".join([self.title, *_lines(self.branches, "")])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html.framed(
            f'<div class="nbc-tree"><span class="nbc-title">{html.escape(self.title)}</span>'
            f"{_list(self.branches)}</div>"
        )


def tree(title: str, groups: Sequence[Cgroup], containers: Sequence[tuple[str, str]]) -> GroupTree:
    """The named groups, by level, then the containers with what limits each."""
    notes = {group.name: limits_text(group.settings()) for group in groups}
    made = [*_branches(notes, ""), *(Branch(name, note) for name, note in containers)]
    return GroupTree(title, tuple(made))


def _branches(notes: Mapping[str, str], above: str) -> list[Branch]:
    here = [name for name in notes if name.startswith(above) and "/" not in name[len(above) :]]
    return [Branch(name[len(above) :], notes[name], tuple(_branches(notes, f"{name}/"))) for name in here]


def _lines(branches: Sequence[Branch], indent: str) -> list[str]:
    lines = []
    for number, branch in enumerate(branches):
        last = number == len(branches) - 1
        lines.append(f"{indent}{'└── ' if last else '├── '}{branch.name}{f'  {branch.note}' if branch.note else ''}")
        lines += _lines(branch.below, indent + ("    " if last else "│   "))
    return lines


def _list(branches: Sequence[Branch]) -> str:
    if not branches:
        return ""
    items = "".join(
        f'<li><span class="nbc-code">{html.escape(branch.name)}</span> '
        f'<span class="nbc-aside">{html.escape(branch.note)}</span>{_list(branch.below)}</li>'
        for branch in branches
    )
    return f"<ul>{items}</ul>"


# -- events


def event_text(event: Event) -> str:
    """`demo: out of memory: python3 was killed, memory.max is 64MiB`; the same each time the same happens."""
    limit = meaning(event.file, event.limit) if event.limit else ""
    is_limit = f"{event.file} is {limit}" if limit and not limit.startswith("max") else ""
    if event.kind == OOM_KILL:
        who = f"{event.victim.command} was killed" if event.victim else "a process was killed"
        above = _limited_above(event)
        why = f"the limit of {above}" if above else is_limit
        return f"{event.name}: out of memory: {who}" + (f", {why}" if why else "")
    if event.kind == THROTTLED:
        return f"{event.name}: throttled" + (f": {is_limit}" if is_limit else "")
    return f"{event.name}: {event.kind}" + (f": {limit}" if is_limit else "")


def _limited_above(event: Event) -> str:
    """The name of the group above whose limit it was; empty when it was its own."""
    victim = event.victim
    if victim is None or victim.limited_by in ("", victim.group) or not victim.group.startswith(victim.limited_by):
        return ""
    levels = victim.group[len(victim.limited_by) :].strip("/").count("/") + 1
    return "/".join(event.name.split("/")[:-levels]) or "the machine"


def event_time(event: Event) -> str:
    """`2025-01-31T12:00:00.000000Z`."""
    return datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_json(event: Event) -> dict[str, Any]:
    """An event as data."""
    victim = event.victim
    return {
        "time": event.time,
        "group": event.name,
        "event": event.kind,
        "file": event.file,
        "limit": event.limit,
        "victim": {"command": victim.command, "pid": victim.pid, "uid": victim.uid} if victim else None,
    }
