"""What `ip`, `bridge` and the like show: iproute2's text, and the same as a table in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nbcontainer.network.ip.answer import Answer
from nbcontainer.network.netns import Netns
from nbcontainer.view import html
from nbcontainer.view.html import Fact
from nbcontainer.view.tables import Column, Table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Listing(Table):
    """A table whose text is iproute2's own. `answer` has its rows as `ip -json` would print them."""

    answer: Answer

    def __str__(self) -> str:
        return self.answer.text

    def __repr__(self) -> str:
        return str(self)


def listing(answer: Answer, where: str = "") -> Listing:
    """An answer as a table; `where` names the namespace."""
    caption, columns, make = _KINDS[answer.kind]
    place = f" in {where}" if where else ""
    rows = [made for row in answer.rows for made in make(row)]
    # Most columns are empty most of the time: what nothing has is not shown.
    shown = tuple(column for column in columns if any(row.get(column.key) not in ("", None) for row in rows))
    return Listing(f"{caption}{place}", shown or columns, tuple(rows), answer)


def _plain(row: Row) -> list[Row]:
    return [row]


def _link(row: Row) -> list[Row]:
    other = row.get("link") or (f"if{row['link_index']}" if "link_index" in row else "")
    if "link_netns" in row or "link_netnsid" in row:
        other += f" in {row['link_netns']}" if "link_netns" in row else f" in netnsid {row['link_netnsid']}"
    kind = row.get("linkinfo", {}).get("info_kind", row["link_type"])
    state = {"UP": "up", "DOWN": "down", "UNKNOWN": "up" if "UP" in row["flags"] else "down"}.get(
        row["operstate"], row["operstate"].lower()
    )
    return [{**row, "kind": kind, "other": other, "state": state, "flags": " ".join(row["flags"])}]


def _address(row: Row) -> list[Row]:
    (link,) = _link(row)
    found = row["addr_info"] or [{}]
    return [
        {
            **link,
            "inet": _prefix(one),
            "scope": one.get("scope", ""),
            **({} if not at else dict.fromkeys(("ifindex", "ifname", "state", "address"), "")),
        }
        for at, one in enumerate(found)
    ]


def _prefix(one: Row) -> str:
    if not one:
        return ""
    peer = f" peer {one['address']}" if "address" in one else ""
    return f"{one['local']}{peer}/{one['prefixlen']}"


def _route(row: Row) -> list[Row]:
    via = row.get("gateway", row.get("via", ""))
    made = {**row, "via": via, "type": row.get("type", ""), "note": " ".join(row["flags"])}
    hops = [
        {"dst": "", "via": hop["gateway"] or "", "dev": hop["dev"], "note": f"weight {hop['weight']}"}
        for hop in row.get("nexthops", [])
    ]
    return [made, *hops]


def _rule(row: Row) -> list[Row]:
    action = row.get("table") or row.get("action") or (f"goto {row['goto']}" if "goto" in row else "nop")
    what = [f"{word} {row[word]}" for word in ("fwmark", "iif", "oif", "tos") if word in row]
    source, to = (
        f"{row[key]}/{row[key + 'len']}" if f"{key}len" in row else row.get(key, "") for key in ("src", "dst")
    )
    return [{**row, "from": source, "to": to, "what": " ".join(what), "lookup": action}]


def _neighbour(row: Row) -> list[Row]:
    return [{**row, "state": " ".join(row["state"])}]


def _fdb(row: Row) -> list[Row]:
    return [{**row, "flags": " ".join(row["flags"])}]


def _vlan(row: Row) -> list[Row]:
    return [{"ifname": row["ifname"], "vlan": one["vlan"], "flags": " ".join(one["flags"])} for one in row["vlans"]]


def _socket(row: Row) -> list[Row]:
    return [{**row, "near": f"{row['local']}:{row['local_port']}", "far": f"{row['peer']}:{row['peer_port'] or '*'}"}]


def _conntrack(row: Row) -> list[Row]:
    def way(one: Row) -> str:
        return f"{one['src']} → {one['dst']}{one['ports'].replace('sport=', '').replace(' dport=', ' → ')}"

    marks = [] if row["replied"] else ["unreplied"]
    marks += ["assured"] if row["assured"] else []
    return [{**row, "there": way(row["original"]), "back": way(row["reply"]), "marks": " ".join(marks)}]


def _bridge(row: Row) -> list[Row]:
    """One row for each port, with the addresses that were seen behind it."""
    behind: dict[str, list[str]] = {}
    for one in row["macs"]:
        if not one["local"]:
            behind.setdefault(one["port"], []).append(one["mac"])
    head = {"name": row["name"], "id": row["id"], "stp": "yes" if row["stp"] else "no"}
    rows = [{"port": port, "macs": " ".join(behind.get(port, []))} for port in row["ports"]] or [{}]
    return [{**(head if not at else {}), **one} for at, one in enumerate(rows)]


def _columns(*columns: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(key, header, kind) for key, header, kind in columns)  # type: ignore[arg-type]


_KINDS: dict[str, tuple[str, tuple[Column, ...], Callable[[Row], list[Row]]]] = {
    "link": (
        "Links",
        _columns(
            ("ifindex", "#", "number"), ("ifname", "LINK", "code"), ("state", "STATE", "state"),
            ("kind", "TYPE", "text"), ("address", "MAC", "code"), ("mtu", "MTU", "number"),
            ("master", "MASTER", "code"), ("other", "OTHER END", "code"), ("flags", "FLAGS", "prose"),
        ),
        _link,
    ),
    "address": (
        "Addresses",
        _columns(
            ("ifindex", "#", "number"), ("ifname", "LINK", "code"), ("state", "STATE", "state"),
            ("address", "MAC", "code"), ("inet", "ADDRESS", "code"), ("scope", "SCOPE", "text"),
        ),
        _address,
    ),
    "route": (
        "Routes",
        _columns(
            ("dst", "DESTINATION", "code"), ("via", "VIA", "code"), ("dev", "LINK", "code"),
            ("protocol", "PROTOCOL", "text"), ("scope", "SCOPE", "text"), ("prefsrc", "SOURCE", "code"),
            ("metric", "METRIC", "number"), ("type", "TYPE", "text"), ("note", "NOTE", "text"),
        ),
        _route,
    ),
    "rule": (
        "Rules",
        _columns(
            ("priority", "PRIORITY", "number"), ("from", "FROM", "code"), ("to", "TO", "code"),
            ("what", "WHAT", "code"), ("lookup", "TABLE", "text"),
        ),
        _rule,
    ),
    "neighbour": (
        "Neighbours",
        _columns(
            ("dst", "ADDRESS", "code"), ("dev", "LINK", "code"), ("lladdr", "MAC", "code"),
            ("state", "STATE", "text"),
        ),
        _neighbour,
    ),
    "tuntap": ("Tun and tap links", _columns(("ifname", "LINK", "code"), ("flags", "FLAGS", "text")), _fdb),
    "netns": ("Network namespaces", _columns(("name", "NAME", "code"), ("id", "ID", "number")), _plain),
    "pid": ("Processes", _columns(("pid", "PID", "number")), _plain),
    "port": (
        "Ports of bridges",
        _columns(
            ("ifindex", "#", "number"), ("ifname", "PORT", "code"), ("master", "BRIDGE", "code"),
            ("state", "STATE", "text"), ("priority", "PRIORITY", "number"), ("cost", "COST", "number"),
        ),
        _plain,
    ),
    "fdb": (
        "MAC tables",
        _columns(
            ("mac", "MAC", "code"), ("ifname", "LINK", "code"), ("dst", "AT", "code"), ("master", "BRIDGE", "code"),
            ("state", "STATE", "text"), ("flags", "FLAGS", "text"),
        ),
        _fdb,
    ),
    "vlan": (
        "VLANs", _columns(("ifname", "PORT", "code"), ("vlan", "VLAN", "number"), ("flags", "FLAGS", "text")), _vlan
    ),
    "socket": (
        "Sockets",
        _columns(
            ("netid", "PROTOCOL", "text"), ("state", "STATE", "text"), ("near", "LOCAL", "code"),
            ("far", "PEER", "code"), ("recv_q", "RECV-Q", "number"), ("send_q", "SEND-Q", "number"),
        ),
        _socket,
    ),
    "conntrack": (
        "Connections",
        _columns(
            ("protocol", "PROTOCOL", "text"), ("state", "STATE", "text"), ("there", "ORIGINAL", "code"),
            ("back", "REPLY", "code"), ("marks", "MARKS", "text"),
        ),
        _conntrack,
    ),
    "bridge": (
        "Bridges",
        _columns(
            ("name", "BRIDGE", "code"), ("id", "ID", "code"), ("stp", "STP", "text"), ("port", "PORT", "code"),
            ("macs", "SEEN BEHIND IT", "prose"),
        ),
        _bridge,
    ),
}  # fmt: skip


def netns_html(netns: Netns) -> str:
    """A network namespace as a card: the links in it."""
    from nbcontainer.network.ip.command import ip

    found = ip(netns, ["address"]) if netns.exists else None
    facts = []
    for row in found or ():
        hosts = ", ".join(_prefix(one) for one in row["addr_info"])
        facts.append(Fact(row["ifname"], hosts or row["operstate"].lower(), code=bool(hosts)))
    if found is None:
        facts.append(Fact("Gone", "it was deleted"))
    return html.card(netns.name or "the lab's host", facts, aside="network namespace")
