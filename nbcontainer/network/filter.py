"""What may pass between networks, and under which address: the rules of the lab's host, in nftables' language (nft(8)).

One table of ours, replaced as a whole whenever something changes; rules made by hand belong in another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbcontainer.network.network import Network

TABLE = "nbcontainer"


@dataclass(frozen=True)
class Published:
    """A port of the lab's host that leads to a container."""

    protocol: str
    port: int
    ip: str
    container_port: int


def rules(networks: Iterable[Network], published: Iterable[Published]) -> str:
    """The whole table. Networks without a bridge have no part in it."""
    bridged = [network for network in networks if network.bridge_index is not None]
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    lines += _chain("forward", "type filter hook forward priority filter; policy accept;", _forward(bridged))
    ports = list(published)
    if ports:
        translated = [_translation(port) for port in ports]
        local = [f"fib daddr type local {line}" for line in translated]
        lines += _chain("prerouting", "type nat hook prerouting priority dstnat;", local)
        lines += _chain("output", "type nat hook output priority -100;", local)
    lines += _chain("postrouting", "type nat hook postrouting priority srcnat;", _postrouting(bridged, bool(ports)))
    return "\n".join([*lines, "}", ""])


def _chain(name: str, head: str, body: list[str]) -> list[str]:
    return [f"  chain {name} {{", f"    {head}", *(f"    {line}" for line in body), "  }"]


def _forward(networks: list[Network]) -> list[str]:
    """Docker's isolation: no network reaches another, an internal one nothing at all."""
    lines = ["ct state established,related accept", "ct status dnat accept"]
    for network in networks:
        bridge = network.bridge
        if not network.icc:
            lines.append(f'iifname "{bridge}" oifname "{bridge}" drop')
        if network.internal:
            lines.append(f'iifname "{bridge}" oifname != "{bridge}" drop')
            lines.append(f'iifname != "{bridge}" oifname "{bridge}" drop')
    if len(networks) > 1:
        for network in networks:
            others = ", ".join(f'"{other.bridge}"' for other in networks if other is not network)
            lines.append(f'iifname "{network.bridge}" oifname {{ {others} }} drop')
    return lines


def _postrouting(networks: list[Network], ports: bool) -> list[str]:
    lines = []
    for network in networks:
        for subnet in (network.subnet, network.subnet6):
            if subnet is None:
                continue
            family = "ip" if subnet.version == 4 else "ip6"
            if network.masquerade:
                lines.append(f'{family} saddr {subnet} oifname != "{network.bridge}" masquerade')
            if ports:
                # An answer must come back through the host that translated, from neighbours and from its own loopback.
                lines.append(f"{family} saddr {subnet} {family} daddr {subnet} ct status dnat masquerade")
                loopback = "127.0.0.0/8" if family == "ip" else "::1"
                lines.append(f'{family} saddr {loopback} oifname "{network.bridge}" masquerade')
    return lines


def _translation(port: Published) -> str:
    family, target = ("ip6", f"[{port.ip}]") if ":" in port.ip else ("ip", port.ip)
    matched = f"meta nfproto {_PROTOCOL[family]} {port.protocol} dport {port.port}"
    return f"{matched} dnat {family} to {target}:{port.container_port}"


_PROTOCOL = {"ip": "ipv4", "ip6": "ipv6"}
