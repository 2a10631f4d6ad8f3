"""`ip address` (ip-address(8))."""

from __future__ import annotations

import ipaddress
import socket
from fnmatch import fnmatchcase
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from nbcontainer.errors import UsageError
from nbcontainer.network.ip import link_show
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context
from nbcontainer.network.ip.words import Words, family_of, prefix
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLM_F_REPLACE = 0x100
FOREVER = 0xFFFFFFFF
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
SCOPE_NAMES = {number: name for name, number in SCOPES.items()}
#: In the order iproute2 prints them; those of inet6 without "secondary", which is "temporary" there.
FLAGS = (
    (0x02, "nodad"), (0x04, "optimistic"), (0x08, "dadfailed"), (0x10, "home"), (0x20, "deprecated"),
    (0x40, "tentative"), (0x100, "mngtmpaddr"), (0x200, "noprefixroute"), (0x400, "autojoin"),
    (0x800, "stable-privacy"),
)  # fmt: skip
COMMANDS = ("add", "change", "replace", "delete", "show", "list", "lst", "flush")
FAMILIES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6"}


def address(context: Context, words: Words) -> Answer | None:
    """`ip address [COMMAND]`."""
    command = words.command(COMMANDS, "show", "ip address")
    if command in ("show", "list", "lst"):
        return show(context, words)
    if command == "flush":
        flush(context, words)
        return None
    message, what = _read(context, words, command)
    if command == "delete":
        context.request(RTM_DELADDR, message, 0, what)
        return None
    flags = {"add": NLM_F_CREATE | NLM_F_EXCL, "change": NLM_F_REPLACE, "replace": NLM_F_CREATE | NLM_F_REPLACE}
    context.request(RTM_NEWADDR, message, flags[command], what)
    return None


def _read(context: Context, words: Words, command: str) -> tuple[Any, str]:
    local = peer = broadcast = label = device = ""
    scope: int | None = None
    flags = 0
    lifetimes = {"valid_lft": FOREVER, "preferred_lft": FOREVER}
    attributes: list[Any] = []
    while words:
        word = words.next()
        if word in ("peer", "remote"):
            peer = words.next(word)
        elif word in ("broadcast", "brd"):
            broadcast = words.next(word)
        elif word == "anycast":
            attributes.append(["IFA_ANYCAST", words.address(word)])
        elif word == "label":
            label = words.next(word)
        elif word == "scope":
            text = words.next(word)
            scope = SCOPES[text] if text in SCOPES else int(text) if text.isdigit() else words.wrong(text, "scope")
        elif word == "dev":
            device = words.next(word)
        elif word in lifetimes:
            text = words.next(word)
            lifetimes[word] = FOREVER if text == "forever" else int(text) if text.isdigit() else words.wrong(text, word)
        elif word in ("metric", "priority", "preference"):
            attributes.append(["IFA_RT_PRIORITY", words.number(word)])
        elif any(word == name for _, name in FLAGS):
            flags |= next(bit for bit, name in FLAGS if word == name)
        else:
            if local:
                words.garbage(word)
            local = words.next(word) if word == "local" else word
    if not device:
        raise UsageError(f'Not enough information: "dev" argument is required: {words.path}')
    if not local:
        raise UsageError(f"Not enough information: an address is required: {words.path}")
    host, length = prefix(local, context.options.family)
    family = family_of(host)
    if peer:
        far, length = prefix(peer, family)
    else:
        far = host
    message = ifaddrmsg()
    message["family"], message["prefixlen"], message["index"] = family, length, context.index(device)
    message["scope"] = scope if scope is not None else _scope_of(host)
    attributes += [["IFA_LOCAL", host], ["IFA_ADDRESS", far]]
    if broadcast:
        attributes.append(["IFA_BROADCAST", _broadcast(words, broadcast, host, length)])
    if label:
        attributes.append(["IFA_LABEL", label])
    if flags:
        attributes.append(["IFA_FLAGS", flags])
    if command != "delete" and set(lifetimes.values()) != {FOREVER}:
        times = {"ifa_valid": lifetimes["valid_lft"], "ifa_preferred": lifetimes["preferred_lft"]}
        attributes.append(["IFA_CACHEINFO", {**times, "cstamp": 0, "tstamp": 0}])
    message["attrs"] = attributes
    return message, f"address {host}/{length} dev {device}"


def _scope_of(host: str) -> int:
    made = ipaddress.ip_address(host)
    return SCOPES["host"] if made.version == 4 and made.is_loopback else SCOPES["global"]


def _broadcast(words: Words, text: str, host: str, length: int) -> str:
    network = ipaddress.ip_network(f"{host}/{length}", strict=False)
    if text == "+":
        return str(network.broadcast_address)
    if text == "-":
        return str(network.network_address)
    return Words([text], words.path).address("broadcast")


# -- show


class _Filter(link_show.Filter):
    """Which addresses, of which links."""

    def __init__(self) -> None:
        super().__init__()
        self.scope: int | None = None
        self.to: Any = None
        self.label = ""
        self.flags = 0

    @property
    def about_addresses(self) -> bool:
        """Whether links without an address that passes are left out."""
        return self.scope is not None or self.to is not None or bool(self.label) or bool(self.flags)

    def read_one(self, context: Context, words: Words, word: str) -> bool:
        if word == "scope":
            text = words.next(word)
            if text != "all":
                self.scope = SCOPES[text] if text in SCOPES else words.wrong(text, "invalid scope")
        elif word == "to":
            host, length = prefix(words.next(word), context.options.family)
            context.options.family = family_of(host)
            self.to = ipaddress.ip_network(f"{host}/{length}", strict=False)
        elif word == "label":
            self.label = words.next(word)
        elif word in ("permanent", "secondary", "primary") or any(word == name for _, name in FLAGS):
            bits = {"permanent": 0x80, "secondary": 0x01, "primary": 0}
            self.flags |= bits.get(word) or next((bit for bit, name in FLAGS if word == name), 0)
        else:
            return super().read_one(context, words, word)
        return True

    def passes_address(self, found: Any) -> bool:
        """Whether an address is one of those."""
        if self.scope is not None and found["scope"] != self.scope:
            return False
        if self.flags and not flags_of(found) & self.flags:
            return False
        if self.label and not fnmatchcase(found.get_attr("IFA_LABEL") or "", self.label):
            return False
        if self.to is None:
            return True
        host = ipaddress.ip_address(found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS"))
        return host.version == self.to.version and host in self.to


def _choose(context: Context, words: Words) -> tuple[_Filter, list[tuple[Any, list[Any]]]]:
    wanted = _Filter()
    while words:
        word = words.next()
        if not wanted.read_one(context, words, word):
            if wanted.name:
                words.garbage(word)
            wanted.name = word
    links = link_show.chosen(context, wanted)
    message = ifaddrmsg()
    message["family"] = context.options.family
    by_link: dict[int, list[Any]] = {}
    for found in context.netlink.dump(RTM_GETADDR, message):
        if wanted.passes_address(found):
            by_link.setdefault(found["index"], []).append(found)
    some = wanted.about_addresses or bool(context.options.family)
    return wanted, [(link, by_link.get(link["index"], [])) for link in links if link["index"] in by_link or not some]


def flush(context: Context, words: Words) -> None:
    """`ip address flush [dev DEV] [scope SCOPE] [to PREFIX] …`: remove those that `show` would list."""
    if not words and not context.options.family:
        raise UsageError("Flush requires arguments.")
    _, found = _choose(context, words)
    for _, addresses in found:
        for one in addresses:
            message = ifaddrmsg()
            for key in ("family", "prefixlen", "scope", "index"):
                message[key] = one[key]
            kept = ("IFA_LOCAL", "IFA_ADDRESS", "IFA_LABEL")
            message["attrs"] = [[name, one.get_attr(name)] for name in kept if one.get_attr(name)]
            try:
                context.netlink.request(RTM_DELADDR, message)
            except OSError:
                continue  # a secondary one, gone with its primary


def show(context: Context, words: Words) -> Answer:
    """`ip address show [[dev] DEV] [scope SCOPE] [to PREFIX] [label PATTERN] [up] …`."""
    wanted, chosen = _choose(context, words)
    rows, lines = [], []
    for link, addresses in chosen:
        made = link_show.row(context, link)
        made.pop("linkmode", None)
        made["addr_info"] = [row(one) for one in addresses]
        rows.append(made)
        if context.options.brief:
            behind, _ = link_show.full_name(context, link)
            hosts = "".join(f"{_host(one)} " for one in addresses)
            lines.append(f"{made['ifname'] + behind:<16} {made['operstate']:<14} {hosts}")
            continue
        if context.options.oneline:
            lines += [f"{made['ifindex']}: {made['ifname']}" + "\\".join(_lines(one)) for one in made["addr_info"]]
            continue
        if not wanted.label:
            lines += link_show.lines_of(context, link, made, mode=False)
        for one in made["addr_info"]:
            lines += _lines(one)
    return answer("address", rows, lines)


def flags_of(found: Any) -> int:
    """An address's flags: all 32 of them."""
    wide = found.get_attr("IFA_FLAGS")
    return int(wide if wide is not None else found["flags"])


def _host(found: Any) -> str:
    local = found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS")
    far = found.get_attr("IFA_ADDRESS")
    peer = f" peer {far}" if far and far != local else ""
    return f"{local}{peer}/{found['prefixlen']}"


def row(found: Any) -> dict[str, Any]:
    """An address as `ip -json address show` has it in `addr_info`."""
    local = found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS")
    far, flags = found.get_attr("IFA_ADDRESS"), flags_of(found)
    made: dict[str, Any] = {"family": FAMILIES.get(found["family"], str(found["family"])), "local": local}
    if far and far != local:
        made["address"] = far
    made["prefixlen"] = found["prefixlen"]
    if found.get_attr("IFA_RT_PRIORITY"):
        made["metric"] = found.get_attr("IFA_RT_PRIORITY")
    if found.get_attr("IFA_BROADCAST"):
        made["broadcast"] = found.get_attr("IFA_BROADCAST")
    made["scope"] = SCOPE_NAMES.get(found["scope"], str(found["scope"]))
    if flags & 0x01:
        made["secondary" if found["family"] == socket.AF_INET else "temporary"] = True
    for bit, name in FLAGS:
        if flags & bit:
            made[name] = True
    if not flags & 0x80:
        made["dynamic"] = True
    if found.get_attr("IFA_LABEL"):
        made["label"] = found.get_attr("IFA_LABEL")
    times = found.get_attr("IFA_CACHEINFO")
    if times is not None:
        made["valid_life_time"], made["preferred_life_time"] = times["ifa_valid"], times["ifa_preferred"]
    return made


def _lines(made: dict[str, Any]) -> list[str]:
    words = [f"    {made['family']} {made['local']}"]
    if "address" in made:
        words.append(f"peer {made['address']}/{made['prefixlen']}")
    else:
        words[0] += f"/{made['prefixlen']}"
    if "metric" in made:
        words.append(f"metric {made['metric']}")
    if "broadcast" in made:
        words.append(f"brd {made['broadcast']}")
    words.append(f"scope {made['scope']}")
    names = ("secondary", "temporary", *(name for _, name in FLAGS), "dynamic")
    words += [name for name in names if made.get(name)]
    line = " ".join(words) + " " + made.get("label", "")
    lines = [line]
    if "valid_life_time" in made:
        valid, preferred = (
            "forever" if made[key] == FOREVER else f"{made[key]}sec"
            for key in ("valid_life_time", "preferred_life_time")
        )
        lines.append(f"       valid_lft {valid} preferred_lft {preferred}")
    return lines
