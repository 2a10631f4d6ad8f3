"""`ip neighbour`: the ARP and NDP tables (ip-neighbour(8))."""

from __future__ import annotations

import ipaddress
from typing import Any

from pyroute2.netlink.rtnl.ndmsg import ndmsg

from nbcontainer.errors import UsageError
from nbcontainer.network.ip.addr import NLM_F_REPLACE
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context
from nbcontainer.network.ip.words import Words, address, family_of, prefix
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
COMMANDS = ("add", "append", "change", "chg", "replace", "delete", "get", "show", "list", "lst", "flush")
STATES = {
    "incomplete": 0x01, "reachable": 0x02, "stale": 0x04, "delay": 0x08, "probe": 0x10, "failed": 0x20,
    "noarp": 0x40, "permanent": 0x80, "none": 0,
}  # fmt: skip
FLAGS = {"router": 0x80, "proxy": 0x08, "extern_learn": 0x10, "use": 0x01}


def neighbour(context: Context, words: Words) -> Answer | None:
    """`ip neighbour [COMMAND]`."""
    command = words.command(COMMANDS, "show", "ip neighbour")
    if command in ("show", "list", "lst", "get"):
        return show(context, words)
    if command == "flush":
        if not words and not context.options.family:
            raise UsageError("Flush requires arguments.")
        for one in _chosen(context, words, flushing=True)[0]:
            _delete(context, one)
        return None
    message, what = _read(context, words, command)
    if command == "delete":
        context.request(RTM_DELNEIGH, message, 0, what)
        return None
    flags = {
        "add": NLM_F_CREATE | NLM_F_EXCL,
        "append": NLM_F_CREATE | 0x800,
        "change": NLM_F_REPLACE,
        "chg": NLM_F_REPLACE,
        "replace": NLM_F_CREATE | NLM_F_REPLACE,
    }
    context.request(RTM_NEWNEIGH, message, flags[command], what)
    return None


def _read(context: Context, words: Words, command: str) -> tuple[Any, str]:
    host = device = ""
    message = ndmsg()
    message["state"] = 0 if command == "delete" else STATES["permanent"]
    attributes: list[Any] = []
    while words:
        word = words.next()
        if word == "lladdr":
            attributes.append(["NDA_LLADDR", words.mac(word)])
        elif word == "nud":
            message["state"] = STATES[words.choice(word, STATES)]
        elif word == "dev":
            device = words.next(word)
        elif word == "proxy":
            message["flags"] = message["flags"] | FLAGS["proxy"]
            host = address(words.next(word) if words and words.head != "dev" else host, context.options.family)
        elif word in FLAGS:
            message["flags"] = message["flags"] | FLAGS[word]
        else:
            if host:
                words.garbage(word)
            host = address(words.next(word) if word == "to" else word, context.options.family)
    if not device or not host:
        raise UsageError(f"Device and destination are required arguments: {words.path}")
    message["family"], message["ifindex"] = family_of(host), context.index(device)
    message["attrs"] = [["NDA_DST", host], *attributes]
    return message, f"neighbour {host} dev {device}"


def _chosen(context: Context, words: Words, flushing: bool = False) -> tuple[list[Any], bool]:
    device, state, everything, proxies, to = 0, 0, False, False, None
    while words:
        word = words.next()
        if word == "dev":
            device = context.index(words.next(word))
        elif word == "nud":
            everything = bool(words.take("all"))
            state |= 0 if everything else STATES[words.choice(word, STATES)]
        elif word in STATES or word == "unused":
            state |= STATES.get(word, STATES["stale"] | STATES["failed"])
        elif word == "proxy":
            proxies = True
        elif word == "all":
            everything = True
        else:
            host, length = prefix(words.next(word) if word == "to" else word, context.options.family)
            to = ipaddress.ip_network(f"{host}/{length}", strict=False)
    message = ndmsg()
    message["family"] = context.options.family
    if proxies:
        message["flags"] = FLAGS["proxy"]
    hidden = STATES["noarp"] | (STATES["permanent"] if flushing else 0)
    found = []
    for one in context.netlink.dump(RTM_GETNEIGH, message):
        if one["family"] not in (2, 10) or (device and one["ifindex"] != device):
            continue
        if state and not one["state"] & state:
            continue
        if not state and not everything and (one["state"] & hidden or (not one["state"] and not proxies)):
            continue
        found_host = ipaddress.ip_address(one.get_attr("NDA_DST"))
        if to is not None and (found_host.version != to.version or found_host not in to):
            continue
        found.append(one)
    return sorted(found, key=_order), bool(device)


def _order(one: Any) -> tuple[int, int, int]:
    # The kernel's order is that of a hash with a key of its own: ours repeats.
    return one["family"], one["ifindex"], int(ipaddress.ip_address(one.get_attr("NDA_DST")))


def _delete(context: Context, one: Any) -> None:
    message = ndmsg()
    message["family"], message["ifindex"] = one["family"], one["ifindex"]
    message["attrs"] = [["NDA_DST", one.get_attr("NDA_DST")]]
    try:
        context.netlink.request(RTM_DELNEIGH, message)
    except OSError:
        pass  # gone meanwhile


def show(context: Context, words: Words) -> Answer:
    """`ip neighbour show [[to] PREFIX] [dev DEV] [nud STATE|all] [proxy]`, by address."""
    found, of_device = _chosen(context, words)
    rows = [row(context, one) for one in found]
    return answer("neighbour", rows, [text(made, of_device) for made in rows])


def row(context: Context, one: Any) -> dict[str, Any]:
    """An entry as `ip -json neighbour show` has it."""
    made: dict[str, Any] = {"dst": one.get_attr("NDA_DST"), "dev": context.name_of(one["ifindex"])}
    if one.get_attr("NDA_LLADDR"):
        made["lladdr"] = one.get_attr("NDA_LLADDR")
    for name in ("router", "proxy", "extern_learn"):
        if one["flags"] & FLAGS[name]:
            made[name] = True
    made["state"] = [name.upper() for name, bit in STATES.items() if bit and one["state"] & bit]
    return made


def text(made: dict[str, Any], of_device: bool) -> str:
    """The line of an entry, without its device when only that one's are asked for."""
    words = [made["dst"]] if of_device else [made["dst"], "dev", made["dev"]]
    if "lladdr" in made:
        words += ["lladdr", made["lladdr"]]
    words += [name for name in ("router", "proxy", "extern_learn") if made.get(name)]
    return " ".join([*words, *made["state"]]) + " "
