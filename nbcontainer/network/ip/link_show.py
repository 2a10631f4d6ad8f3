"""Links as `ip link show` prints them, and the line that begins each entry of `ip address show` (ip-link(8))."""

from __future__ import annotations

import socket
import time
from typing import Any

from nbcontainer.errors import NotFound
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context, altnames
from nbcontainer.network.ip.kinds import PORT_STATES
from nbcontainer.network.ip.words import Words

IFF_UP, IFF_RUNNING = 0x1, 0x40
#: In the order iproute2 prints them.
FLAGS = (
    ("LOOPBACK", 0x8), ("BROADCAST", 0x2), ("POINTOPOINT", 0x10), ("MULTICAST", 0x1000), ("NOARP", 0x80),
    ("ALLMULTI", 0x200), ("PROMISC", 0x100), ("MASTER", 0x400), ("SLAVE", 0x800), ("DEBUG", 0x4),
    ("DYNAMIC", 0x8000), ("AUTOMEDIA", 0x4000), ("PORTSEL", 0x2000), ("NOTRAILERS", 0x20), ("UP", 0x1),
    ("LOWER_UP", 0x10000), ("DORMANT", 0x20000), ("ECHO", 0x40000),
)  # fmt: skip
TYPES = {
    1: "ether", 768: "ipip", 769: "tunnel6", 772: "loopback", 776: "sit", 778: "gre", 823: "gre6", 824: "netlink",
    65534: "none",
}  # fmt: skip
#: Seconds to wait for the kernel to have noticed, in its own time, that a link has a carrier or none.
PATIENCE = 2.0


def show(context: Context, words: Words) -> Answer:
    """`ip link show [[dev] DEV] [up] [master DEV] [type TYPE] [group GROUP] [vrf NAME]`."""
    chosen = select(context, words)
    rows = [row(context, link) for link in chosen]
    if context.options.brief:
        return answer("link", rows, [brief(context, link, made) for link, made in zip(chosen, rows, strict=True)])
    lines = [text for link, made in zip(chosen, rows, strict=True) for text in lines_of(context, link, made, True)]
    return answer("link", rows, lines)


class Filter:
    """Which links a `show` is about."""

    def __init__(self) -> None:
        self.name = ""
        self.up = False
        self.master = 0
        self.kind = ""
        self.group: int | None = None

    def read_one(self, context: Context, words: Words, word: str) -> bool:
        """Take one keyword; False when it is none of a link's."""
        if word == "up":
            self.up = True
        elif word in ("master", "vrf"):
            self.master = context.index(words.next(word), 'Device does not exist: "{name}"')
        elif word == "type":
            self.kind = words.next(word)
        elif word == "group":
            text = words.next(word)
            self.group = 0 if text == "default" else int(text) if text.isdigit() else words.wrong(text, "group")
        elif word == "dev":
            self.name = words.next(word)
        else:
            return False
        return True

    def passes(self, link: Any) -> bool:
        """Whether a link is one of those."""
        if self.up and not link["flags"] & IFF_UP:
            return False
        if self.master and link.get_attr("IFLA_MASTER") != self.master:
            return False
        if self.group is not None and link.get_attr("IFLA_GROUP") != self.group:
            return False
        if self.kind and self.kind not in (kind_of(link), f"{slave_kind_of(link)}_slave"):
            return False
        return not self.name or self.name == link.get_attr("IFLA_IFNAME") or self.name in altnames(link)


def select(context: Context, words: Words) -> list[Any]:
    """The links that the words choose, by index. Raises `NotFound` for a name that no link has."""
    wanted = Filter()
    while words:
        word = words.next()
        if not wanted.read_one(context, words, word):
            if wanted.name:
                words.garbage(word)
            wanted.name = word
    return chosen(context, wanted)


def chosen(context: Context, wanted: Filter) -> list[Any]:
    """The links that pass, by index."""
    settle(context)
    if wanted.name:
        try:
            context.index(wanted.name)
        except NotFound:
            context.index(wanted.name, 'Device "{name}" does not exist.')
    return [link for _, link in sorted(context.links.items()) if wanted.passes(link)]


def settle(context: Context) -> None:
    """Wait until the state of each link is what its carrier says: the kernel tells with a delay of its own."""
    deadline = time.monotonic() + PATIENCE
    while any(map(_unsettled, context.links.values())) and time.monotonic() < deadline:
        time.sleep(0.01)
        context.forget_links()


def _unsettled(link: Any) -> bool:
    if not link["flags"] & IFF_UP:
        return False
    carrier, state = link.get_attr("IFLA_CARRIER"), link.get_attr("IFLA_OPERSTATE")
    return bool(carrier) if state in ("DOWN", "LOWERLAYERDOWN") else not carrier and state in ("UP", "UNKNOWN")


# -- one link


def kind_of(link: Any) -> str:
    """Its type, such as `veth`; empty for one without."""
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND") or "") if info is not None else ""


def slave_kind_of(link: Any) -> str:
    """The type of what it is a port of."""
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_SLAVE_KIND") or "") if info is not None else ""


def flags_of(context: Context, link: Any) -> list[str]:
    """The names of its flags, in iproute2's order."""
    flags = link["flags"]
    named = ["NO-CARRIER"] if flags & IFF_UP and not flags & IFF_RUNNING else []
    named += [name for name, bit in FLAGS if flags & bit]
    below = context.links.get(link.get_attr("IFLA_LINK") or 0)
    if below is not None and link.get_attr("IFLA_LINK_NETNSID") is None and not below["flags"] & IFF_UP:
        named.append("M-DOWN")
    return named


def full_name(context: Context, link: Any) -> tuple[str, str]:
    """What stands behind its name: `@veth1.2` and that link, or `@if7` and nothing."""
    below = link.get_attr("IFLA_LINK")
    if below is None:
        return "", ""
    if below == 0:
        return "@NONE", ""
    if link.get_attr("IFLA_LINK_NETNSID") is not None:
        return f"@if{below}", ""
    name = context.name_of(below)
    return f"@{name}", name


def row(context: Context, link: Any) -> dict[str, Any]:
    """A link as `ip -json link show` has it."""
    made: dict[str, Any] = {"ifindex": link["index"]}
    behind, peer = full_name(context, link)
    if peer:
        made["link"] = peer
    elif behind.startswith("@if"):
        made["link_index"] = link.get_attr("IFLA_LINK")
    made["ifname"] = link.get_attr("IFLA_IFNAME")
    made["flags"] = flags_of(context, link)
    made["mtu"] = link.get_attr("IFLA_MTU")
    made["qdisc"] = link.get_attr("IFLA_QDISC")
    if link.get_attr("IFLA_MASTER"):
        made["master"] = context.name_of(link.get_attr("IFLA_MASTER"))
    made["operstate"] = link.get_attr("IFLA_OPERSTATE")
    made["linkmode"] = "DORMANT" if link.get_attr("IFLA_LINKMODE") else "DEFAULT"
    made["group"] = "default" if not link.get_attr("IFLA_GROUP") else str(link.get_attr("IFLA_GROUP"))
    if link.get_attr("IFLA_TXQLEN"):
        made["txqlen"] = link.get_attr("IFLA_TXQLEN")
    made["link_type"] = TYPES.get(link["ifi_type"], f"[{link['ifi_type']}]")
    made["address"] = link.get_attr("IFLA_ADDRESS")
    made["broadcast"] = link.get_attr("IFLA_BROADCAST")
    number = link.get_attr("IFLA_LINK_NETNSID")
    if number is not None:
        made["link_netnsid"] = number
        if number in context.names_by_id:
            made["link_netns"] = context.names_by_id[number]
    if link.get_attr("IFLA_IFALIAS"):
        made["ifalias"] = link.get_attr("IFLA_IFALIAS")
    if altnames(link):
        made["altnames"] = altnames(link)
    if kind_of(link) or slave_kind_of(link):
        made["linkinfo"] = {
            key: kind for key, kind in (("info_kind", kind_of(link)), ("info_slave_kind", slave_kind_of(link))) if kind
        }
    return made


def lines_of(context: Context, link: Any, made: dict[str, Any], mode: bool) -> list[str]:
    """The lines of a link; `mode` as `ip link` prints it, else as `ip address` does."""
    behind, _ = full_name(context, link)
    head = f"{made['ifindex']}: {made['ifname']}{behind}: <{','.join(made['flags'])}> mtu {made['mtu']} "
    # The kernel tells less of a link when it is asked for one family's.
    inet6 = not mode and context.options.family == socket.AF_INET6
    if made["qdisc"] and not inet6:
        head += f"qdisc {made['qdisc']} "
    if "master" in made:
        head += f"master {made['master']} "
    head += f"state {made['operstate']} "
    if mode:
        head += f"mode {made['linkmode']} "
    if not inet6:
        head += f"group {made['group']} "
    if "txqlen" in made:
        head += f"qlen {made['txqlen']}"
    netns = ""
    if "link_netns" in made:
        netns = f" link-netns {made['link_netns']}"
    elif "link_netnsid" in made:
        netns = f" link-netnsid {made['link_netnsid']}"
    if not mode and context.options.family and not context.options.details:
        return [head if inet6 else head + netns]
    second = f"    link/{made['link_type']} "
    if made["address"]:
        second += made["address"]
        if made["broadcast"]:
            second += f" {'peer' if link['flags'] & 0x10 else 'brd'} {made['broadcast']}"
    lines = [head, second + netns]
    if context.options.details:
        lines[-1] += (
            f" promiscuity {link.get_attr('IFLA_PROMISCUITY')} "
            f"minmtu {link.get_attr('IFLA_MIN_MTU')} maxmtu {link.get_attr('IFLA_MAX_MTU')}"
        )
        lines += details(context, link)
    if "ifalias" in made and mode:
        lines.append(f"    alias {made['ifalias']}")
    lines += [f"    altname {name}" for name in made.get("altnames", [])]
    if context.options.stats:
        lines += counters(link)
    return lines


def brief(context: Context, link: Any, made: dict[str, Any]) -> str:
    """`ip -brief link`."""
    behind, _ = full_name(context, link)
    name = f"{made['ifname']}{behind}"
    return f"{name:<16} {made['operstate']:<14} {made['address'] or '':<17} <{','.join(made['flags'])}> "


def counters(link: Any) -> list[str]:
    """What went through it (`ip -stats link`)."""
    known = link.get_attr("IFLA_STATS64") or link.get_attr("IFLA_STATS")
    if known is None:
        return []
    tables = (
        ("RX:", ("bytes", "packets", "errors", "dropped", "missed", "mcast"),
         ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_missed_errors", "multicast")),
        ("TX:", ("bytes", "packets", "errors", "dropped", "carrier", "collsns"),
         ("tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_carrier_errors", "collisions")),
    )  # fmt: skip
    values = {head: [str(known[key]) for key in keys] for head, _, keys in tables}
    widths = [
        max(len(text) for text in column)
        for column in zip(*(titles for _, titles, _ in tables), *values.values(), strict=True)
    ]
    widths[0] = max(widths[0], 6)
    lines = []
    for head, titles, _ in tables:
        lines.append(
            f"    {head} " + " ".join(text.rjust(width) for text, width in zip(titles, widths, strict=True)) + " " * 11
        )
        cells = " ".join(text.rjust(width) for text, width in zip(values[head], widths, strict=True))
        lines.append(f"        {cells} ")
    return lines


#: What `-details` says of a type, in iproute2's words: the attribute, the word, and how its value is written.
_DETAILS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "bridge": (
        ("IFLA_BR_FORWARD_DELAY", "forward_delay", str), ("IFLA_BR_HELLO_TIME", "hello_time", str),
        ("IFLA_BR_MAX_AGE", "max_age", str), ("IFLA_BR_AGEING_TIME", "ageing_time", str),
        ("IFLA_BR_STP_STATE", "stp_state", str), ("IFLA_BR_PRIORITY", "priority", str),
        ("IFLA_BR_VLAN_FILTERING", "vlan_filtering", str), ("IFLA_BR_BRIDGE_ID", "bridge_id", "bridge"),
        ("IFLA_BR_ROOT_ID", "designated_root", "bridge"), ("IFLA_BR_ROOT_PORT", "root_port", str),
        ("IFLA_BR_ROOT_PATH_COST", "root_path_cost", str), ("IFLA_BR_MCAST_SNOOPING", "mcast_snooping", str),
    ),
    "vxlan": (
        ("IFLA_VXLAN_ID", "id", str), ("IFLA_VXLAN_GROUP", "remote", str), ("IFLA_VXLAN_LOCAL", "local", str),
        ("IFLA_VXLAN_LINK", "dev", "link"), ("IFLA_VXLAN_PORT", "dstport", str),
        ("IFLA_VXLAN_LEARNING", "", ("nolearning", "")), ("IFLA_VXLAN_PROXY", "", ("", "proxy")),
        ("IFLA_VXLAN_L2MISS", "", ("", "l2miss")), ("IFLA_VXLAN_L3MISS", "", ("", "l3miss")),
        ("IFLA_VXLAN_TTL", "ttl", "auto"), ("IFLA_VXLAN_AGEING", "ageing", str),
    ),
    "macvlan": (("IFLA_MACVLAN_MODE", "mode", str),),
    "vlan": (("IFLA_VLAN_ID", "id", str),),
    "vrf": (("IFLA_VRF_TABLE", "table", str),),
    "bridge_slave": (
        ("IFLA_BRPORT_STATE", "state", "state"), ("IFLA_BRPORT_PRIORITY", "priority", str),
        ("IFLA_BRPORT_COST", "cost", str), ("IFLA_BRPORT_MODE", "hairpin", "switch"),
        ("IFLA_BRPORT_GUARD", "guard", "switch"), ("IFLA_BRPORT_PROTECT", "root_block", "switch"),
        ("IFLA_BRPORT_FAST_LEAVE", "fastleave", "switch"), ("IFLA_BRPORT_LEARNING", "learning", "switch"),
        ("IFLA_BRPORT_UNICAST_FLOOD", "flood", "switch"), ("IFLA_BRPORT_ISOLATED", "isolated", "switch"),
    ),
}  # fmt: skip


def details(context: Context, link: Any) -> list[str]:
    """A line for its type and one for the port it is."""
    info = link.get_attr("IFLA_LINKINFO")
    lines = []
    for kind, data in (
        (kind_of(link), info and info.get_attr("IFLA_INFO_DATA")),
        (slave_kind_of(link) and f"{slave_kind_of(link)}_slave", info and info.get_attr("IFLA_INFO_SLAVE_DATA")),
    ):
        if kind:
            words = [kind]
            for attribute, word, how in _DETAILS.get(kind, ()):
                value = data.get_attr(attribute) if hasattr(data, "get_attr") else None
                if value is not None:
                    words += [word, _written(context, value, how)]
            lines.append("    " + " ".join(word for word in words if word))
    return lines


def _written(context: Context, value: Any, how: Any) -> str:
    if isinstance(how, tuple):
        return str(how[bool(value)])
    if how == "bridge":
        return bridge_id(value)
    if how == "link":
        return context.name_of(value)
    if how == "auto":
        return str(value) if value else "auto"
    if how == "state":
        return next((name for name, number in PORT_STATES.items() if number == value), str(value))
    if how == "switch":
        return "on" if value else "off"
    return str(value)


def bridge_id(value: dict[str, Any]) -> str:
    """`8000.02:42:ac:11:0:1` as iproute2 writes it."""
    priority = int.from_bytes(int(value["prio"]).to_bytes(2, "little"), "big")
    return f"{priority:04x}." + ":".join(f"{int(part, 16):x}" for part in value["addr"].split(":"))
