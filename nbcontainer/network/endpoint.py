"""A container's place on a network."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from nbcontainer.network.wire import OURS


@dataclass(frozen=True)
class Endpoint:
    """An address on a bridge and the veth pair that leads there; all of it follows from the address and the name.

    `interface` counts the container's links: 0 is eth0. `routed` says whether its default route leads here.
    """

    network: str
    ip: str
    prefixlen: int
    gateway: str
    broadcast: str
    mac: str
    veth: str
    host_mac: str
    ifindex: int
    bridge: str
    bridge_index: int
    interface: int = 0
    routed: bool = True
    ip6: str = ""
    prefixlen6: int = 0
    gateway6: str = ""
    mtu: int = 0
    isolated: bool = False

    @property
    def link(self) -> str:
        """The container's end of the pair."""
        return f"eth{self.interface}"

    def to_json(self) -> dict[str, Any]:
        """For `wire.connect`."""
        return dict(vars(self))


def mac_of(ip: IPv4Address) -> str:
    """Docker's MAC address for an IPv4 address: 02:42 and the address."""
    return (b"\x02\x42" + ip.packed).hex(":")


def host_mac_of(ip: IPv4Address) -> str:
    """The MAC address of the bridge's end of the pair: `wire.OURS` and the address."""
    return OURS + ip.packed.hex(":")


def veth_name(container: str) -> str:
    """The name of the bridge's end, from the container's name: at most 15 characters (IFNAMSIZ).

    Two names may come to the same where they are long and begin alike: whoever gives it out must look.
    """
    plain = re.sub(r"[^a-zA-Z0-9]", "", container)
    if plain == container and len(plain) <= 11:
        return f"veth{plain}"
    return f"veth{plain[:6]}{hashlib.sha256(container.encode()).hexdigest()[:5]}"
