"""The types of links, and the words that each has: `type vxlan id 42 …` as netlink attributes (ip-link(8))."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import UsageError
from nbcontainer.network.ip.words import Words, address, family_of

if TYPE_CHECKING:
    from nbcontainer.network.ip.context import Context

Attributes = list[Any]
#: Reads the value of a word and gives the attribute.
Read = Callable[["Context", Words, str], Attributes]


def _number(attribute: str, highest: int = 0xFFFFFFFF) -> Read:
    return lambda context, words, word: [attribute, words.number(word, highest)]


def _switch(attribute: str) -> Read:
    return lambda context, words, word: [attribute, words.switch(word)]


def _always(attribute: str, value: int) -> Read:
    return lambda context, words, word: [attribute, value]


def _link(attribute: str) -> Read:
    return lambda context, words, word: [attribute, context.index(words.next(word))]


def _choice(attribute: str, choices: dict[str, Any]) -> Read:
    return lambda context, words, word: [attribute, choices[words.choice(word, choices)]]


def _address(attribute: str, attribute6: str) -> Read:
    def read(context: Context, words: Words, word: str) -> Attributes:
        text = address(words.next(word))
        return [attribute6 if family_of(text) == 10 else attribute, text]

    return read


def _port_range(context: Context, words: Words, word: str) -> Attributes:
    return ["IFLA_VXLAN_PORT_RANGE", {"low": words.number(word, 0xFFFF), "high": words.number(word, 0xFFFF)}]


def _ttl(context: Context, words: Words, word: str) -> Attributes:
    if words.take("auto"):
        return ["IFLA_VXLAN_TTL", 0]
    if words.take("inherit"):
        return ["IFLA_VXLAN_TTL_INHERIT", True]
    return ["IFLA_VXLAN_TTL", words.number(word, 255)]


def _learning(context: Context, words: Words, word: str) -> Attributes:
    return ["IFLA_VXLAN_LEARNING", 0 if word.startswith("no") else 1]


_PROTOCOLS = {"802.1Q": 0x8100, "802.1q": 0x8100, "802.1ad": 0x88A8}
_MACVLAN_MODES = {mode: mode for mode in ("private", "vepa", "bridge", "passthru", "source")}
_BOND_MODES = {
    "balance-rr": 0, "active-backup": 1, "balance-xor": 2, "broadcast": 3, "802.3ad": 4, "balance-tlb": 5,
    "balance-alb": 6,
}  # fmt: skip
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
PORT_STATES = {"disabled": 0, "listening": 1, "learning": 2, "forwarding": 3, "blocking": 4}


def _flags(names: dict[str, str]) -> dict[str, Read]:
    """Words that have a form with `no` in front."""
    made: dict[str, Read] = {}
    for word, attribute in names.items():
        made[word] = _always(attribute, 1)
        made[f"no{word}"] = _always(attribute, 0)
    return made


_BRIDGE: dict[str, Read] = {
    "forward_delay": _number("IFLA_BR_FORWARD_DELAY"),
    "hello_time": _number("IFLA_BR_HELLO_TIME"),
    "max_age": _number("IFLA_BR_MAX_AGE"),
    "ageing_time": _number("IFLA_BR_AGEING_TIME"),
    "stp_state": _number("IFLA_BR_STP_STATE", 1),
    "priority": _number("IFLA_BR_PRIORITY", 0xFFFF),
    "vlan_filtering": _number("IFLA_BR_VLAN_FILTERING", 1),
    "vlan_protocol": _choice("IFLA_BR_VLAN_PROTOCOL", _PROTOCOLS),
    "vlan_default_pvid": _number("IFLA_BR_VLAN_DEFAULT_PVID", 4094),
    "vlan_stats_enabled": _number("IFLA_BR_VLAN_STATS_ENABLED", 1),
    "group_fwd_mask": _number("IFLA_BR_GROUP_FWD_MASK", 0xFFFF),
    "group_address": lambda context, words, word: ["IFLA_BR_GROUP_ADDR", words.mac(word)],
    "fdb_flush": _always("IFLA_BR_FDB_FLUSH", 1),
    "mcast_snooping": _number("IFLA_BR_MCAST_SNOOPING", 1),
    "mcast_querier": _number("IFLA_BR_MCAST_QUERIER", 1),
    "mcast_router": _number("IFLA_BR_MCAST_ROUTER", 3),
    "nf_call_iptables": _number("IFLA_BR_NF_CALL_IPTABLES", 1),
    "nf_call_ip6tables": _number("IFLA_BR_NF_CALL_IP6TABLES", 1),
    "nf_call_arptables": _number("IFLA_BR_NF_CALL_ARPTABLES", 1),
}

#: A port of a bridge: `ip link set DEV type bridge_slave …` and `bridge link set dev DEV …`.
PORT: dict[str, Read] = {
    "state": lambda context, words, word: ["IFLA_BRPORT_STATE", _port_state(words, word)],
    "priority": _number("IFLA_BRPORT_PRIORITY", 63),
    "cost": _number("IFLA_BRPORT_COST"),
    "hairpin": _switch("IFLA_BRPORT_MODE"),
    "guard": _switch("IFLA_BRPORT_GUARD"),
    "root_block": _switch("IFLA_BRPORT_PROTECT"),
    "fastleave": _switch("IFLA_BRPORT_FAST_LEAVE"),
    "learning": _switch("IFLA_BRPORT_LEARNING"),
    "flood": _switch("IFLA_BRPORT_UNICAST_FLOOD"),
    "proxy_arp": _switch("IFLA_BRPORT_PROXYARP"),
    "mcast_router": _number("IFLA_BRPORT_MULTICAST_ROUTER", 3),
    "mcast_flood": _switch("IFLA_BRPORT_MCAST_FLOOD"),
    "bcast_flood": _switch("IFLA_BRPORT_BCAST_FLOOD"),
    "mcast_to_unicast": _switch("IFLA_BRPORT_MCAST_TO_UCAST"),
    "neigh_suppress": _switch("IFLA_BRPORT_NEIGH_SUPPRESS"),
    "vlan_tunnel": _switch("IFLA_BRPORT_VLAN_TUNNEL"),
    "isolated": _switch("IFLA_BRPORT_ISOLATED"),
    "locked": _switch("IFLA_BRPORT_LOCKED"),
    "group_fwd_mask": _number("IFLA_BRPORT_GROUP_FWD_MASK", 0xFFFF),
    "fdb_flush": _always("IFLA_BRPORT_FLUSH", 1),
}


def _port_state(words: Words, word: str) -> int:
    if words.head.isdigit():
        return words.number(word, 4)
    return PORT_STATES[words.choice(word, PORT_STATES)]


_VXLAN: dict[str, Read] = {
    "id": _number("IFLA_VXLAN_ID", 0xFFFFFF),
    "vni": _number("IFLA_VXLAN_ID", 0xFFFFFF),
    "group": _address("IFLA_VXLAN_GROUP", "IFLA_VXLAN_GROUP6"),
    "remote": _address("IFLA_VXLAN_GROUP", "IFLA_VXLAN_GROUP6"),
    "local": _address("IFLA_VXLAN_LOCAL", "IFLA_VXLAN_LOCAL6"),
    "dev": _link("IFLA_VXLAN_LINK"),
    "ttl": _ttl,
    "hoplimit": _ttl,
    "tos": _number("IFLA_VXLAN_TOS", 255),
    "srcport": _port_range,
    "port": _port_range,
    "dstport": _number("IFLA_VXLAN_PORT", 0xFFFF),
    "ageing": _number("IFLA_VXLAN_AGEING"),
    "maxaddress": _number("IFLA_VXLAN_LIMIT"),
    "learning": _learning,
    "nolearning": _learning,
    "gbp": _always("IFLA_VXLAN_GBP", 1),
    "external": _always("IFLA_VXLAN_COLLECT_METADATA", 1),
    **_flags(
        {
            "proxy": "IFLA_VXLAN_PROXY",
            "rsc": "IFLA_VXLAN_RSC",
            "l2miss": "IFLA_VXLAN_L2MISS",
            "l3miss": "IFLA_VXLAN_L3MISS",
            "udpcsum": "IFLA_VXLAN_UDP_CSUM",
            "udp6zerocsumtx": "IFLA_VXLAN_UDP_ZERO_CSUM6_TX",
            "udp6zerocsumrx": "IFLA_VXLAN_UDP_ZERO_CSUM6_RX",
        }
    ),
}

#: The words of each type. A type that is not here is left to the kernel, without words of its own.
KINDS: dict[str, dict[str, Read]] = {
    "bridge": _BRIDGE,
    "bridge_slave": PORT,
    "vxlan": _VXLAN,
    "macvlan": {"mode": _choice("IFLA_MACVLAN_MODE", _MACVLAN_MODES)},
    "macvtap": {"mode": _choice("IFLA_MACVTAP_MODE", _MACVLAN_MODES)},
    "ipvlan": {"mode": _choice("IFLA_IPVLAN_MODE", _IPVLAN_MODES)},
    "vlan": {
        "id": _number("IFLA_VLAN_ID", 4095),
        "protocol": _choice("IFLA_VLAN_PROTOCOL", _PROTOCOLS),
    },
    "bond": {
        "mode": _choice("IFLA_BOND_MODE", _BOND_MODES),
        "miimon": _number("IFLA_BOND_MIIMON"),
        "min_links": _number("IFLA_BOND_MIN_LINKS"),
    },
    "vrf": {"table": _number("IFLA_VRF_TABLE")},
    "geneve": {
        "id": _number("IFLA_GENEVE_ID", 0xFFFFFF),
        "vni": _number("IFLA_GENEVE_ID", 0xFFFFFF),
        "remote": _address("IFLA_GENEVE_REMOTE", "IFLA_GENEVE_REMOTE6"),
        "dstport": _number("IFLA_GENEVE_PORT", 0xFFFF),
    },
    "gre": {
        "local": _address("IFLA_GRE_LOCAL", "IFLA_GRE_LOCAL"),
        "remote": _address("IFLA_GRE_REMOTE", "IFLA_GRE_REMOTE"),
        "ttl": _number("IFLA_GRE_TTL", 255),
    },
    "ipip": {
        "local": _address("IFLA_IPIP_LOCAL", "IFLA_IPIP_LOCAL"),
        "remote": _address("IFLA_IPIP_REMOTE", "IFLA_IPIP_REMOTE"),
        "ttl": _number("IFLA_IPIP_TTL", 255),
    },
}
KINDS["gretap"] = KINDS["gre"]

#: What a kernel is built with that has links of a type.
CONFIG = {
    "dummy": "CONFIG_DUMMY",
    "ifb": "CONFIG_IFB",
    "vlan": "CONFIG_VLAN_8021Q",
    "bridge": "CONFIG_BRIDGE",
    "bond": "CONFIG_BONDING",
}
#: `ip link add DEV type vlan`: types that lie on another link.
ON_A_LINK = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"}


def read(context: Context, words: Words, kind: str) -> Attributes:
    """The attributes of a type's words, until none of the next word is its own."""
    known = KINDS.get(kind, {})
    made: Attributes = []
    while words:
        word = words.next()
        if word not in known:
            hint = f"; it has {', '.join(sorted(known))}" if known else ""
            raise UsageError(f'{kind}: unknown option "{word}"?{hint}')
        made.append(known[word](context, words, word))
    return made


def config_of(kind: str) -> str:
    """The option of a kernel's configuration that brings a type of links."""
    return CONFIG.get(kind, f"CONFIG_{kind.upper()}")
