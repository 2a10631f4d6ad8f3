"""`ip netns`: named network namespaces (ip-netns(8))."""

from __future__ import annotations

from typing import Any

from nbcontainer.errors import UsageError
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.words import Words
from nbcontainer.network.namespaces import Namespaces
from nbcontainer.network.netlink import Netlink
from nbcontainer.network.netns import Netns

COMMANDS = ("list", "show", "lst", "add", "attach", "set", "delete", "identify", "pids", "list-id")


def netns(namespaces: Namespaces, words: list[str], everything: bool = False) -> Answer | Netns | None:
    """`ip netns [COMMAND]`, but for `exec` and `monitor`, which are `Netns.exec` and `Namespaces.monitor`.

    `add` and `attach` give the `Netns`, what shows gives an `Answer`.
    """
    rest = Words(words, "ip netns")
    command = rest.command(COMMANDS, "list", "ip netns")
    if command == "add":
        name = rest.next("NAME")
        rest.end()
        return namespaces.add(name)
    if command == "attach":
        name, pid = rest.next("NAME"), rest.number("PID", 0x7FFFFFFF, lowest=1)
        return namespaces.attach(name, pid)
    if command == "delete":
        names = namespaces.names() if everything else [rest.next("NAME"), *rest.rest()]
        namespaces.delete(*names)
        return None
    if command == "set":
        name = rest.next("NAME")
        namespaces.set(name, None if rest.take("auto") else rest.number("NETNSID", 0x7FFFFFFF))
        return None
    if command == "pids":
        found = namespaces.get(rest.next("NAME")).pids()
        return answer("pid", [{"pid": pid} for pid in found], [str(pid) for pid in found])
    if command == "identify":
        if not rest:
            raise UsageError("ip netns identify PID: of which process of the lab? `ip netns pids NAME` lists them")
        names = namespaces.identify(rest.number("PID", 0x7FFFFFFF, lowest=1))
        return answer("netns", [{"name": name} for name in names], names)
    rest.end()
    return ids(namespaces) if command == "list-id" else show(namespaces)


def show(namespaces: Namespaces) -> Answer:
    """Every one by name, with what the lab's host calls it where it calls it something."""
    rows: list[dict[str, Any]] = []
    with Netlink(namespaces.opener.netlink()) as netlink:
        for found in namespaces.list():
            row: dict[str, Any] = {"name": found.name}
            with found.opened() as fd:
                try:
                    number = netlink.netns_id(fd)
                except OSError:
                    number = None  # a file that `ip netns add` left on its way
            if number is not None:
                row["id"] = number
            rows.append(row)
    return answer("netns", rows, [row["name"] + (f" (id: {row['id']})" if "id" in row else "") for row in rows])


def ids(namespaces: Namespaces) -> Answer:
    """`ip netns list-id`: the numbers the lab's host has given, and whose they are."""
    rows = [
        {"nsid": row["id"], "name": row["name"]}
        for row in sorted((row for row in show(namespaces) if "id" in row), key=lambda row: row["id"])
    ]
    return answer("netns", rows, [f"nsid {row['nsid']} (iproute2 netns name: {row['name']})" for row in rows])
