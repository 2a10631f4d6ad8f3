"""The tree of `%netns`: iproute2's grammar, its words read by `network.ip`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbcontainer.errors import CommandFailed, NbcontainerError, NotFound, UsageError
from nbcontainer.magics.call import Call, Output, shown
from nbcontainer.magics.grammar import Argument, Command
from nbcontainer.magics.parsing import split, unknown_command
from nbcontainer.view.tables import Table

if TYPE_CHECKING:
    from nbcontainer.network.ip.answer import Answer
    from nbcontainer.network.monitor import Monitor
    from nbcontainer.network.netns import Netns

#: Options before the command that take a value of their own.
_VALUED = ("-f", "-family", "--family")
NO_CHECK = "--no-check"


def netns(call: Call) -> object:
    """Everything after `%netns`."""
    words = list(call.arguments)
    options: list[str] = []
    place: Netns | None = None
    while words and words[0].startswith("-") and words[0] != NO_CHECK:
        word = words.pop(0)
        if word in ("-n", "-netns", "--netns"):
            if not words:
                raise UsageError("-n takes the name of a network namespace or a container")
            place = place_named(call, words.pop(0))
        else:
            options += [word, words.pop(0)] if word in _VALUED and words else [word]
    name = words[0] if words else "list"
    if call.cell is not None and not words:
        return _batch(call, place or call.lab.netns.host, options, call.cell)
    if call.cell is not None and not "exec".startswith(name):
        raise UsageError("a cell is for `%%netns exec NAME`, the script that runs there, or for `%%netns`, its lines")
    return _act(call, place or call.lab.netns.host, options, words)


#: Programs that a line of a cell may name, as older texts do beside `ip`: they run on the lab's host.
PROGRAMS = ("ifconfig", "brctl", "ping", "arp", "arping", "sysctl")


def _batch(call: Call, place: Netns, options: list[str], cell: str) -> object:
    """A line of the cell after the other, as `ip -batch` does it, with or without `ip` or `ip netns` in front."""
    call.cell = None
    result: object = None
    for number, line in enumerate(cell.splitlines(), 1):
        words = split(line.partition(" #")[0]) if not line.lstrip().startswith("#") else []
        if not words:
            continue
        try:
            result = _batch_line(call, place, options, words)
        except NbcontainerError as error:
            error.args = (f"line {number}: {error}", *error.args[1:])
            raise
    return shown(result)


def _batch_line(call: Call, place: Netns, options: list[str], words: list[str]) -> object:
    if words[0] in PROGRAMS:
        with Output() as output:
            result = place.exec(words, stdout=output.stdout, stderr=output.stderr)
        if result.exit_code:
            raise CommandFailed(f"{words[0]} exited with {result.exit_code}", result.exit_code)
        return shown(result)
    if words[0] == "ip":
        words = words[1:]
    if words[:1] == ["netns"]:
        words = words[1:]
    own = [*options]
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-n", "-netns", "--netns") and words:
            place = place_named(call, words.pop(0))
        else:
            own += [word, words.pop(0)] if word in _VALUED and words else [word]
    return _act(call, place, own, words)


def place_named(call: Call, name: str) -> Netns:
    """The network namespace with this name, or that of the running container with it. Raises `NotFound`."""
    namespaces = call.lab.netns
    if name in namespaces.names():
        return namespaces.get(name)
    try:
        container = call.lab.containers.get(name)
    except NotFound:
        return namespaces.get(name)
    return container.netns


def _act(call: Call, place: Netns, options: list[str], words: list[str]) -> object:
    from nbcontainer.network import look
    from nbcontainer.network.ip import command, netns

    name = words[0] if words else "list"
    if name in ("ss", "sockets"):
        _no_more(words)
        return _show(call, look.sockets(place), place)
    if name == "conntrack":
        _no_more(words)
        return _show(call, look.conntrack(place), place)
    if name == "bridge" and (not words[1:] or words[1] in ("show", "list")):
        return _show(call, look.bridges(place), place)
    if name in ("bridge", "fdb", "vlan"):
        return _show(call, command.bridge(place, [*options, *(words[1:] if name == "bridge" else words)]), place)
    if any(known.startswith(name) for known in netns.COMMANDS):
        found = netns.netns(call.lab.netns, words, everything="-a" in options or "-all" in options)
        return found if not hasattr(found, "rows") else _show(call, found, None)
    if "exec".startswith(name):
        return _exec(call, words[1:], everything="-a" in options or "-all" in options)
    if "monitor".startswith(name):
        _no_more(words)
        return monitor(call)
    if not any(known.startswith(name) for known in command.OBJECTS):
        raise unknown_command(NETNS, NETNS.name, name)
    return _show(call, command.ip(place, [*options, *words]), place)


def _no_more(words: list[str]) -> None:
    if words[1:]:
        raise UsageError(f'"{words[1]}" is a garbage: %netns {words[0]} takes no words; -n NAME before it says where')


def _show(call: Call, answer: Any, place: Netns | None) -> Table | None:
    """Display what a command gave, and give it back as a table."""
    from nbcontainer.view.network import listing

    if answer is None:
        return None
    made: Answer = answer
    where = "" if place is None else place.name or "the lab's host"
    if made.text.startswith("[") and made.text.endswith("]"):
        call.print(made.text)
        return shown(listing(made, where))
    return call.show_table(listing(made, where))


def _exec(call: Call, words: list[str], everything: bool) -> object:
    check = NO_CHECK not in words[:2]
    words = [word for at, word in enumerate(words) if at > 1 or word != NO_CHECK]
    places = call.lab.netns.list() if everything else []
    if not everything:
        if not words:
            raise UsageError("No netns name specified: %netns exec NAME COMMAND")
        places = [place_named(call, words.pop(0))]
    argv = words or (["sh", "-c", call.cell, "sh"] if call.cell is not None else [])
    if not argv:
        raise UsageError("No command specified: %netns exec NAME COMMAND, or a cell with %%netns exec NAME")
    stdin = call.stdin() if words else None
    result = None
    for place in places:
        if everything:
            call.print(f"\nnetns: {place.name}")
        with Output() as output:
            result = place.exec(argv, stdin=stdin, stdout=output.stdout, stderr=output.stderr)
        if result.exit_code and check:
            what = "the script" if call.cell is not None and not words else argv[0]
            raise CommandFailed(f"{what} in {place.name} exited with {result.exit_code}", result.exit_code)
    return shown(result)


def monitor(call: Call) -> Monitor:
    """Watch names come and go; the object has the lines so far, and `stop()`."""
    return call.lab.netns.monitor()


WORDS = {
    "add": "Make one", "change": "Change one", "replace": "Change one, or make it", "set": "Change one",
    "delete": "Remove one", "flush": "Remove those that match", "get": "Show the one a packet would take",
    "show": "List them", "link": "Their ports, as bridge link", "fdb": "MAC tables, as bridge fdb",
    "vlan": "VLANs of ports, as bridge vlan",
}  # fmt: skip
LINKS = (Argument("DEV", required=False, repeats=True, completes="link"),)


def _words(*names: str) -> tuple[Command, ...]:
    return tuple(Command(name, summary, (), LINKS) for name, summary in WORDS.items() if name in names)


def _object(name: str, summary: str, *words: str) -> Command:
    return Command(name, summary, commands=_words(*words))


NAME = Argument("NAME", completes="netns")

NETNS = Command(
    "%netns",
    "Network namespaces and what is in them, in iproute2's grammar: %netns [ -n NAME ] COMMAND",
    commands=(
        Command("list", "List the named network namespaces"),
        Command("add", "Make a network namespace: add NAME", (), (Argument("NAME"),)),
        Command("attach", "Name the network namespace of a process of the lab: attach NAME PID", (), (NAME,)),
        Command("set", "Give it a number on the lab's host: set NAME { auto | NETNSID }", (), (NAME,)),
        Command("delete", "Remove names: delete NAME..., or -all delete", (), (NAME,), aliases=("del",)),
        Command("identify", "Name the network namespace of a process of the lab: identify PID"),
        Command("pids", "List the lab's processes in it: pids NAME", (), (NAME,)),
        Command("list-id", "List the numbers the lab's host has given"),
        Command("monitor", "Watch names come and go: an object with lines and stop()"),
        Command(
            "exec", "Run a program of the machine there: exec NAME COMMAND..., or the cell as a script",
            (), (NAME,), cell="the script, or with a COMMAND its standard input",
        ),
        _object(
            "link", "Links: add NAME type TYPE, set DEV ..., delete DEV, show", "add", "set", "delete", "show",
        ),
        _object(
            "address", "Addresses: add ADDRESS/LENGTH dev DEV, delete, flush, show", "add", "change", "replace",
            "delete", "flush", "show",
        ),
        _object(
            "route", "Routes: add PREFIX via ADDRESS, replace, delete, get, flush, show", "add", "replace", "delete",
            "get", "flush", "show",
        ),
        _object("rule", "Which table is looked into: add ... table TABLE, delete, show", "add", "delete", "show"),
        _object(
            "neighbour", "The ARP and NDP tables: add ADDRESS lladdr MAC dev DEV, delete, flush, show", "add",
            "replace", "delete", "flush", "show",
        ),
        _object("tuntap", "Links whose other end is a program: add NAME mode { tun | tap }, delete, show",
                "add", "delete", "show"),
        _object("bridge", "Bridges, their ports and what they have seen; { link | fdb | vlan } ... as bridge(8)",
                "link", "fdb", "vlan"),
        Command("ss", "TCP and UDP sockets", aliases=("sockets",)),
        Command("conntrack", "The connections that the packet filter follows"),
    ),
    action=netns, raw=True, cell="a command a line, or the script of exec",
)  # fmt: skip
