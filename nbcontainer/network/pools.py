"""Address pools: a subnet, what of it may be given out, and to whom it has been (Docker's IPAM)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

from nbcontainer.errors import Conflict, InvalidArgument

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

#: Docker's default-address-pools of local networks: 15 of /16 (the first is docker0's), then 16 of /20.
DEFAULTS: tuple[IPv4Network, ...] = (
    *(IPv4Network(f"172.{second}.0.0/16") for second in range(17, 32)),
    *IPv4Network("192.168.0.0/16").subnets(new_prefix=20),
)


@dataclass
class Pool:
    """One subnet of a network. `range` is the part that addresses are chosen from when none is asked for."""

    subnet: Subnet
    gateway: Address
    range: Subnet | None = None
    aux: dict[str, Address] = field(default_factory=dict)
    used: dict[Address, str] = field(default_factory=dict)

    def take(self, owner: str, wanted: Address | None = None) -> Address | None:
        """The address asked for, else the lowest free one; None when there is none left.

        Raises `InvalidArgument` for an address that is not the pool's to give, `Conflict` for one that is taken.
        """
        address = self._wanted(wanted) if wanted is not None else self._lowest()
        if address is not None:
            self.used[address] = owner
        return address

    def give_back(self, address: Address) -> None:
        """The address is free again."""
        self.used.pop(address, None)

    def _wanted(self, address: Address) -> Address:
        if address not in self.subnet or address in (self.gateway, *self._edges()):
            raise InvalidArgument(f"Invalid address {address}: It does not belong to any of this network's subnets")
        if address in self.used:
            raise Conflict(f"Address already in use: {address} belongs to container {self.used[address]}")
        if address in self.aux.values():
            raise Conflict(f"Address already in use: {address} is an auxiliary address of the network")
        return address

    def _lowest(self) -> Address | None:
        kept = {self.gateway, *self.aux.values(), *self._edges()}
        return next((a for a in self.range or self.subnet if a not in self.used and a not in kept), None)

    def _edges(self) -> tuple[Address, Address]:
        """The network's own address and the last one, which is IPv4's broadcast address."""
        return self.subnet.network_address, self.subnet.broadcast_address

    def config(self) -> dict[str, Any]:
        """As in IPAM.Config of Docker's JSON."""
        found: dict[str, Any] = {"Subnet": str(self.subnet)}
        if self.range is not None:
            found["IPRange"] = str(self.range)
        found["Gateway"] = str(self.gateway)
        if self.aux:
            found["AuxiliaryAddresses"] = {name: str(address) for name, address in self.aux.items()}
        return found

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """What `config` gave."""
        return cls(
            ip_network(config["Subnet"]),
            ip_address(config["Gateway"]),
            ip_network(config["IPRange"]) if "IPRange" in config else None,
            {name: ip_address(address) for name, address in config.get("AuxiliaryAddresses", {}).items()},
        )


def make(
    subnets: Iterable[str], gateways: Iterable[str], ranges: Iterable[str], aux: Mapping[str, str], taken: list[Subnet]
) -> list[Pool]:
    """The pools that `--subnet`, `--gateway`, `--ip-range` and `--aux-address` ask for.

    Raises `InvalidArgument` in Docker's words, `Conflict` where a subnet overlaps one that is taken.
    """
    pools: list[Pool] = []
    for text in subnets:
        subnet = _subnet(text, "subnet")
        if any(_overlap(subnet, other) for other in [*taken, *(pool.subnet for pool in pools)]):
            raise Conflict(f"invalid pool request: Pool overlaps with other one on this address space: {subnet}")
        if subnet.num_addresses < 4:
            raise InvalidArgument(f"invalid subnet {text}: it has no room for a gateway and a container")
        pools.append(Pool(subnet, subnet.network_address + 1))
    given: set[int] = set()
    for text in gateways:
        pool = _pool_with(pools, _address(text, "gateway"), f"gateway {text}")
        if id(pool) in given:
            raise InvalidArgument("no more than one gateway can be given for a subnet")
        given.add(id(pool))
        pool.gateway = _address(text, "gateway")
    for text in ranges:
        part = _subnet(text, "ip-range")
        pool = _pool_with(pools, part.network_address, f"range {text}")
        if part.prefixlen < pool.subnet.prefixlen:
            raise InvalidArgument(f"no matching subnet for range {text}")
        pool.range = part
    for name, text in aux.items():
        address = _address(text, "aux-address")
        _pool_with(pools, address, f"aux-address {text}").aux[name] = address
    return pools


def default(taken: list[Subnet]) -> Pool:
    """The first of Docker's default pools that is free. Raises `Conflict` when none is."""
    for subnet in DEFAULTS:
        if not any(_overlap(subnet, other) for other in taken):
            return Pool(subnet, subnet.network_address + 1)
    raise Conflict(
        "all predefined address pools have been fully subnetted: "
        "could not find an available, non-overlapping IPv4 address pool; choose one with --subnet, or remove a network"
    )


def default6(name: str, taken: list[Subnet]) -> Pool:
    """A unique local subnet (RFC 4193) that follows from the network's name."""
    for turn in range(1 << 16):
        digest = hashlib.sha256(f"{name}/{turn}".encode()).digest()
        subnet = IPv6Network((b"\xfd" + digest[:7] + bytes(8), 64))
        if not any(_overlap(subnet, other) for other in taken):
            return Pool(subnet, subnet.network_address + 1)
    raise Conflict("no free IPv6 subnet; choose one with --subnet")


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def _pool_with(pools: list[Pool], address: Address, what: str) -> Pool:
    for pool in pools:
        if address in pool.subnet:
            return pool
    raise InvalidArgument(f"no matching subnet for {what}")


def _subnet(text: str, flag: str) -> Subnet:
    try:
        if "/" not in text:
            raise ValueError(text)
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidArgument(f'invalid argument "{text}" for "--{flag}" flag: invalid CIDR address: {text}') from None


def _address(text: str, flag: str) -> Address:
    try:
        return ip_address(text.strip())
    except ValueError:
        raise InvalidArgument(f'invalid argument "{text}" for "--{flag}" flag: invalid IP address: {text}') from None
