"""`ip route` (ip-route(8))."""

from __future__ import annotations

import socket
from typing import Any

from pyroute2.netlink.rtnl.rtmsg import rtmsg

from nbcontainer.errors import UsageError
from nbcontainer.network.ip.addr import NLM_F_REPLACE, SCOPES
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context
from nbcontainer.network.ip.words import Words, address, family_of, prefix
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_APPEND = 0x800
COMMANDS = ("list", "show", "add", "append", "change", "chg", "delete", "get", "replace", "flush")
TYPES = {
    "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
    "prohibit": 8, "throw": 9,
}  # fmt: skip
TABLES = {"unspec": 0, "default": 253, "main": 254, "local": 255}
PROTOCOLS = {
    "unspec": 0, "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "zebra": 11, "bird": 12, "dhcp": 16,
    "bgp": 186, "ospf": 188, "rip": 189,
}  # fmt: skip
ROUTE_SCOPES = {**SCOPES}
METRICS = {
    "mtu": "RTAX_MTU", "window": "RTAX_WINDOW", "rtt": "RTAX_RTT", "cwnd": "RTAX_CWND", "advmss": "RTAX_ADVMSS",
    "hoplimit": "RTAX_HOPLIMIT", "initcwnd": "RTAX_INITCWND", "initrwnd": "RTAX_INITRWND",
}  # fmt: skip
HOP_FLAGS = ((1, "dead"), (4, "onlink"), (2, "pervasive"), (8, "offload"), (16, "linkdown"))
PREFERENCES = {0: "medium", 1: "high", 3: "low"}


def route(context: Context, words: Words) -> Answer | None:
    """`ip route [COMMAND]`."""
    command = words.command(COMMANDS, "show", "ip route")
    if command in ("list", "show"):
        return show(context, words)
    if command == "get":
        return get(context, words)
    if command == "flush":
        flush(context, words)
        return None
    message, what = _read(context, words, new=command != "delete")
    flags = {
        "add": NLM_F_CREATE | NLM_F_EXCL,
        "append": NLM_F_CREATE | NLM_F_APPEND,
        "change": NLM_F_REPLACE,
        "chg": NLM_F_REPLACE,
        "replace": NLM_F_CREATE | NLM_F_REPLACE,
        "delete": 0,
    }
    context.request(RTM_DELROUTE if command == "delete" else RTM_NEWROUTE, message, flags[command], what)
    return None


def _named(words: Words, word: str, names: dict[str, int], highest: int = 0xFFFFFFFF) -> int:
    text = words.head
    if text in names:
        words.next()
        return names[text]
    if text.isdigit():
        return words.number(word, highest)
    return words.wrong(words.next(word), f'"{word}" value is invalid')


def _read(context: Context, words: Words, new: bool) -> tuple[Any, str]:
    message = rtmsg()
    attributes: list[Any] = []
    metrics: list[Any] = []
    hops: list[Any] = []
    destination: tuple[str, int] | None = None
    family, kind, scope, table, gateway, flags = context.options.family, 0, None, 0, False, 0
    typed: list[str] = []
    proto = PROTOCOLS["boot"] if new else 0
    tos = 0
    while words:
        word = words.next()
        typed.append(word)
        if word == "via":
            text = words.next(word)
            if text in ("inet", "inet6"):
                far = words.address(word, 10 if text == "inet6" else 2)
                attributes.append(["RTA_VIA", {"family": family_of(far), "addr": far}])
            else:
                far = address(text, family)
                family = family or family_of(far)
                attributes.append(["RTA_GATEWAY", far])
            typed.append(far)
            gateway = True
        elif word in ("dev", "oif"):
            typed.append(words.head)
            attributes.append(["RTA_OIF", context.index(words.next(word))])
        elif word == "src":
            attributes.append(["RTA_PREFSRC", words.address(word, family)])
        elif word == "table":
            table = _named(words, word, TABLES)
        elif word == "proto" or word == "protocol":
            proto = _named(words, word, PROTOCOLS, 255)
        elif word == "scope":
            scope = _named(words, word, ROUTE_SCOPES, 255)
        elif word in ("metric", "priority", "preference"):
            attributes.append(["RTA_PRIORITY", words.number(word)])
        elif word in ("tos", "dsfield"):
            tos = words.number(word, 255)
        elif word == "onlink":
            flags |= 4
        elif word == "from":
            host, length = prefix(words.next(word), family)
            message["src_len"] = length
            attributes.append(["RTA_SRC", host])
        elif word in METRICS:
            words.take("lock")
            metrics.append([METRICS[word], words.number(word)])
        elif word == "nexthop":
            hops.append(_hop(context, words, family))
        elif word in TYPES and not destination:
            kind = TYPES[word]
        else:
            if destination:
                words.garbage(word)
            text = words.next(word) if word in ("to", "root", "match", "exact") else word
            host, length = prefix(text, family)
            family = family or (family_of(host) if text not in ("default", "any", "all") else 0)
            destination = host, length
    if destination is None:
        raise UsageError(f"Not enough information: a destination is required: {words.path}")
    family = family or socket.AF_INET
    host, length = destination
    if length:
        attributes.append(["RTA_DST", host])
    if metrics:
        attributes.append(["RTA_METRICS", {"attrs": metrics}])
    if hops:
        attributes.append(["RTA_MULTIPATH", hops])
    message["family"], message["dst_len"], message["tos"], message["flags"] = family, length, tos, flags
    message["type"] = kind or (TYPES["unicast"] if new else 0)
    message["proto"] = proto
    message["table"] = table if 0 < table < 256 else (TABLES["main"] if not table else 0)
    if not table and kind in (TYPES["local"], TYPES["broadcast"], TYPES["anycast"]):
        message["table"] = TABLES["local"]
    if table > 255:
        attributes.append(["RTA_TABLE", table])
    if scope is None:
        scope = _scope(kind or 1, gateway or bool(hops), family, new)
    message["scope"] = scope
    message["attrs"] = attributes
    return message, f"route {' '.join(typed)}"


def _scope(kind: int, gateway: bool, family: int, new: bool) -> int:
    if not new:
        return SCOPES["nowhere"] if family == socket.AF_INET else 0
    if kind == TYPES["local"]:
        return SCOPES["host"]
    if kind in (TYPES["broadcast"], TYPES["multicast"], TYPES["anycast"]):
        return SCOPES["link"]
    if kind == TYPES["unicast"] and not gateway and family == socket.AF_INET:
        return SCOPES["link"]
    return SCOPES["global"]


def _hop(context: Context, words: Words, family: int) -> dict[str, Any]:
    made: dict[str, Any] = {"flags": 0, "hops": 0, "oif": 0, "attrs": []}
    while words.head in ("via", "dev", "weight", "onlink"):
        word = words.next()
        if word == "via":
            made["attrs"].append(["RTA_GATEWAY", words.address(word, family)])
        elif word == "dev":
            made["oif"] = context.index(words.next(word))
        elif word == "weight":
            made["hops"] = words.number(word, 256, lowest=1) - 1
        else:
            made["flags"] |= 4
    return made


# -- show


class _Filter:
    def __init__(self) -> None:
        self.table: int | None = TABLES["main"]
        self.device = 0
        self.kind = 0
        self.proto: int | None = None
        self.scope: int | None = None
        self.gateway = ""
        self.exact: tuple[str, int] | None = None


def _filter(context: Context, words: Words) -> _Filter:
    wanted = _Filter()
    while words:
        word = words.next()
        if word == "table":
            wanted.table = None if words.take("all") else _named(words, word, TABLES)
        elif word in ("dev", "oif"):
            wanted.device = context.index(words.next(word))
        elif word in ("proto", "protocol"):
            wanted.proto = _named(words, word, PROTOCOLS)
        elif word == "scope":
            wanted.scope = _named(words, word, ROUTE_SCOPES)
        elif word == "type":
            wanted.kind = TYPES[words.choice(word, TYPES)]
        elif word == "via":
            wanted.gateway = words.address(word)
        elif word in TYPES:
            wanted.kind = TYPES[word]
        else:
            text = words.next(word) if word in ("to", "exact") else word
            wanted.exact = prefix(text, context.options.family)
    return wanted


def _all(context: Context, wanted: _Filter, family: int) -> list[Any]:
    message = rtmsg()
    message["family"] = family
    return [one for one in context.netlink.dump(RTM_GETROUTE, message) if _passes(one, wanted)]


def _passes(one: Any, wanted: _Filter) -> bool:
    if one["flags"] & 0x200:  # RTM_F_CLONED: a cache entry
        return False
    if wanted.table is not None and table_of(one) != wanted.table:
        return False
    if wanted.device and one.get_attr("RTA_OIF") != wanted.device:
        return False
    if wanted.kind and one["type"] != wanted.kind:
        return False
    if wanted.proto is not None and one["proto"] != wanted.proto:
        return False
    if wanted.scope is not None and one["scope"] != wanted.scope:
        return False
    if wanted.gateway and one.get_attr("RTA_GATEWAY") != wanted.gateway:
        return False
    return wanted.exact is None or (one.get_attr("RTA_DST") or _any(one), one["dst_len"]) == wanted.exact


def _any(one: Any) -> str:
    return "::" if one["family"] == socket.AF_INET6 else "0.0.0.0"


def table_of(one: Any) -> int:
    """The number of the table a route is in."""
    wide = one.get_attr("RTA_TABLE")
    return int(wide if wide is not None else one["table"])


def show(context: Context, words: Words) -> Answer:
    """`ip route show [table TABLE|all] [dev DEV] [proto PROTO] [PREFIX] …`; inet unless -6."""
    wanted = _filter(context, words)
    family = context.options.family or (family_of(wanted.exact[0]) if wanted.exact else 0)
    families = (family,) if family else (socket.AF_INET, socket.AF_INET6) if wanted.table is None else (socket.AF_INET,)
    found = [one for each in families for one in _all(context, wanted, each)]
    rows = [row(context, one) for one in found]
    return answer("route", rows, [text(made, wanted) for made in rows])


def get(context: Context, words: Words) -> Answer:
    """`ip route get ADDRESS [from ADDRESS] [oif DEV] [iif DEV]`: the route a packet would take."""
    message, what = _read(context, words, new=False)
    if not message["dst_len"]:
        raise UsageError("need at least a destination address")
    message["type"] = message["table"] = message["scope"] = 0
    found = context.request(RTM_GETROUTE, message, 0, what)
    rows = [row(context, one, getting=True) for one in found]
    wanted = _Filter()
    lines = []
    for made in rows:
        metrics = made.pop("metrics", {})
        lines.append(f"{text(made, wanted)}\n    cache " + "".join(f"{word} {metrics[word]} " for word in metrics))
        made["metrics"] = metrics
    return answer("route", rows, lines)


def flush(context: Context, words: Words) -> None:
    """`ip route flush …`: remove those that `show` would list; it needs something to choose them by."""
    if not words:
        raise UsageError('"ip route flush" requires arguments.')
    if words.head == "cache":
        return
    wanted = _filter(context, words)
    for one in _all(context, wanted, context.options.family or 2):
        message = rtmsg()
        for key in ("family", "dst_len", "src_len", "tos", "table", "proto", "scope", "type"):
            message[key] = one[key]
        kept = ("RTA_DST", "RTA_SRC", "RTA_OIF", "RTA_GATEWAY", "RTA_PRIORITY", "RTA_PREFSRC", "RTA_TABLE")
        message["attrs"] = [[name, one.get_attr(name)] for name in kept if one.get_attr(name) is not None]
        try:
            context.netlink.request(RTM_DELROUTE, message)
        except OSError:
            continue  # gone with another


def name_in(names: dict[str, int], number: int) -> str:
    """The name of a number, or its digits."""
    return next((name for name, known in names.items() if known == number), str(number))


def row(context: Context, one: Any, getting: bool = False) -> dict[str, Any]:
    """A route as `ip -json route show` has it."""
    made: dict[str, Any] = {"type": name_in(TYPES, one["type"])} if one["type"] != TYPES["unicast"] else {}
    host, length = one.get_attr("RTA_DST"), one["dst_len"]
    full = 128 if one["family"] == socket.AF_INET6 else 32
    made["dst"] = "default" if host is None else host if length == full else f"{host}/{length}"
    if host is None and length:
        made["dst"] = f"{_any(one)}/{length}"
    if one.get_attr("RTA_SRC"):
        made["from"] = f"{one.get_attr('RTA_SRC')}/{one['src_len']}"
    if one["tos"]:
        made["tos"] = f"{one['tos']:#04x}"
    if one.get_attr("RTA_GATEWAY"):
        made["gateway"] = one.get_attr("RTA_GATEWAY")
    elif one.get_attr("RTA_VIA"):
        made["via"] = one.get_attr("RTA_VIA")["addr"]
    if one.get_attr("RTA_OIF"):
        made["dev"] = context.name_of(one.get_attr("RTA_OIF"))
    made["table"] = name_in(TABLES, table_of(one))
    made["protocol"] = name_in(PROTOCOLS, one["proto"])
    made["scope"] = name_in(ROUTE_SCOPES, one["scope"])
    if one.get_attr("RTA_PREFSRC"):
        made["prefsrc"] = one.get_attr("RTA_PREFSRC")
    if one.get_attr("RTA_PRIORITY") is not None:
        made["metric"] = one.get_attr("RTA_PRIORITY")
    made["flags"] = [name for bit, name in HOP_FLAGS if one["flags"] & bit]
    metrics = one.get_attr("RTA_METRICS")
    if metrics is not None:
        found = {word: metrics.get_attr(name) for word, name in METRICS.items()}
        made["metrics"] = {word: value for word, value in found.items() if value}
    if one["family"] == socket.AF_INET6 and one.get_attr("RTA_PREF") is not None:
        made["pref"] = PREFERENCES.get(one.get_attr("RTA_PREF"), "medium")
    if getting:
        made["uid"] = 0
    hops = one.get_attr("RTA_MULTIPATH") or []
    if hops:
        made["nexthops"] = [
            {
                "gateway": hop.get_attr("RTA_GATEWAY"),
                "dev": context.name_of(hop["oif"]),
                "weight": hop["hops"] + 1,
                "flags": [name for bit, name in HOP_FLAGS if hop["flags"] & bit],
            }
            for hop in hops
        ]
    return made


def text(made: dict[str, Any], wanted: _Filter) -> str:
    """The line of a route, with the blank at its end that iproute2 leaves."""
    words = [made["type"]] if "type" in made else []
    words.append(made["dst"])
    for key, word in (("from", "from"), ("tos", "tos"), ("gateway", "via"), ("via", "via inet6"), ("dev", "dev")):
        if key in made and not (key == "dev" and wanted.device):
            words += [word, made[key]]
    if wanted.table is None and made["table"] != "main" and "uid" not in made:
        words += ["table", made["table"]]
    if made["protocol"] not in ("boot", "unspec") and wanted.proto is None:
        words += ["proto", made["protocol"]]
    if made["scope"] != "global" and wanted.scope is None:
        words += ["scope", made["scope"]]
    if "prefsrc" in made:
        words += ["src", made["prefsrc"]]
    if "metric" in made:
        words += ["metric", str(made["metric"])]
    words += made["flags"]
    for word, value in made.get("metrics", {}).items():
        words += [word, str(value)]
    if "pref" in made:
        words += ["pref", made["pref"]]
    if "uid" in made:
        words += ["uid", str(made["uid"])]
    line = " ".join(words) + ("" if "pref" in made and "uid" not in made else " ")
    for hop in made.get("nexthops", []):
        far = f"via {hop['gateway']} " if hop["gateway"] else ""
        line += f"\n\tnexthop {far}dev {hop['dev']} weight {hop['weight']} " + "".join(f"{f} " for f in hop["flags"])
    return line
