"""A network: what it was made with, its pools, and Docker's JSON of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, Self

from nbcontainer.errors import InvalidArgument
from nbcontainer.network.pools import Pool

if TYPE_CHECKING:
    from nbcontainer.network.endpoint import Endpoint

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
#: Options that `-o` takes, Docker's names.
BRIDGE_NAME = "com.docker.network.bridge.name"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
_LINK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}")
#: What IPv4 and IPv6 need at least, and what a veth can have at most.
_MTUS = {False: 68, True: 1280}
_LARGEST_MTU = 65535


@dataclass(frozen=True)
class Settings:
    """What `network create` takes, checked; `subnet` and so on are texts still."""

    name: str
    driver: str = "bridge"
    subnet: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    ip_range: tuple[str, ...] = ()
    aux_address: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    ipv6: bool = False
    attachable: bool = False
    label: Mapping[str, str] = field(default_factory=dict)
    opt: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, **raw: Any) -> Self:
        """From text or Python values. Raises `InvalidArgument`."""
        raw = {key: value for key, value in raw.items() if value is not None}
        unknown = sorted(set(raw) - set(cls.__dataclass_fields__))
        if unknown:
            raise InvalidArgument(f"there is no option {unknown[0]}")
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                f"Invalid network name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed: "
                "it starts with a letter or a digit"
            )
        for key in ("subnet", "gateway", "ip_range"):
            if key in raw:
                raw[key] = _several(raw[key])
        for key in ("aux_address", "label", "opt"):
            if key in raw:
                raw[key] = _pairs(raw[key])
        made = cls(name, **raw)
        made._check_options()
        return made

    def _check_options(self) -> None:
        for option in (ICC, MASQUERADE):
            _truth(self.opt, option)
        if MTU in self.opt:
            text = self.opt[MTU]
            if not (text.isascii() and text.isdigit() and _MTUS[self.ipv6] <= int(text) <= _LARGEST_MTU):
                raise InvalidArgument(
                    f"invalid value for {MTU}: {text}: it is a number from {_MTUS[self.ipv6]} to {_LARGEST_MTU}"
                )
        if BRIDGE_NAME in self.opt and not _LINK.fullmatch(self.opt[BRIDGE_NAME]):
            raise InvalidArgument(f"invalid value for {BRIDGE_NAME}: {self.opt[BRIDGE_NAME]}: at most 15 letters")


def _several(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def _pairs(value: Mapping[str, object] | str | Iterable[str]) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    return {text.partition("=")[0]: text.partition("=")[2] for text in _several(value)}


def _truth(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "true")
    if text not in ("true", "false", "1", "0"):
        raise InvalidArgument(f"invalid value for {name}: {text}: it is true or false")
    return text in ("true", "1")


@dataclass
class Attached:
    """A container on a network: its name now, its endpoint, and the names besides that it answers to there."""

    name: str
    endpoint: Endpoint
    aliases: tuple[str, ...] = ()


@dataclass
class Network:
    """A network by name. `pools` is empty for none and host; `driver` is Docker's word: bridge, host, null, …."""

    name: str
    id: str
    driver: str
    created: str
    pools: Sequence[Pool] = ()
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    scope: str = "local"
    #: The link of the lab's host that stands for it, once it is made.
    bridge_index: int | None = None
    #: Who is on it now, by container id.
    attached: dict[str, Attached] = field(default_factory=dict)
    #: Who is on it elsewhere, on other nodes, by address.
    elsewhere: dict[str, Attached] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id[:12]

    @property
    def predefined(self) -> bool:
        """One of the three that every lab has."""
        return self.name in ("bridge", "host", "none")

    @property
    def pool4(self) -> Pool | None:
        """Its IPv4 addresses."""
        return next((pool for pool in self.pools if pool.subnet.version == 4), None)

    @property
    def pool6(self) -> Pool | None:
        """Its IPv6 addresses."""
        return next((pool for pool in self.pools if pool.subnet.version == 6), None)

    @property
    def subnet(self) -> IPv4Network | None:
        """Its IPv4 subnet."""
        return self.pool4.subnet if self.pool4 is not None else None  # type: ignore[return-value]

    @property
    def gateway(self) -> IPv4Address | None:
        """The lab's host on it."""
        return self.pool4.gateway if self.pool4 is not None else None  # type: ignore[return-value]

    @property
    def subnet6(self) -> IPv6Network | None:
        """Its IPv6 subnet."""
        return self.pool6.subnet if self.pool6 is not None else None  # type: ignore[return-value]

    @property
    def gateway6(self) -> IPv6Address | None:
        """The lab's host on it, IPv6."""
        return self.pool6.gateway if self.pool6 is not None else None  # type: ignore[return-value]

    @property
    def bridge(self) -> str:
        """The name of its link on the lab's host: docker0, what `-o` asked for, or br- and the id."""
        return self.options.get(BRIDGE_NAME) or f"br-{self.short_id}"

    @property
    def mtu(self) -> int | None:
        """What `-o com.docker.network.driver.mtu` asked for."""
        return int(self.options[MTU]) if MTU in self.options else None

    @property
    def icc(self) -> bool:
        """Whether its containers may reach each other."""
        return _truth(self.options, ICC)

    @property
    def masquerade(self) -> bool:
        """Whether what leaves it gets the lab's address."""
        return _truth(self.options, MASQUERADE) and not self.internal

    def inspect(self, endpoint_id: Callable[[str], str]) -> dict[str, Any]:
        """Docker's JSON (Engine API, NetworkInspect). `endpoint_id` names a container's place on it."""
        containers = {
            container_id: {
                "Name": there.name,
                "EndpointID": endpoint_id(container_id),
                "MacAddress": there.endpoint.mac,
                "IPv4Address": f"{there.endpoint.ip}/{there.endpoint.prefixlen}",
                "IPv6Address": f"{there.endpoint.ip6}/{there.endpoint.prefixlen6}" if there.endpoint.ip6 else "",
            }
            for container_id, there in sorted(self.attached.items(), key=lambda item: item[1].name)
        }
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": self.created,
            "Scope": self.scope,
            "Driver": self.driver,
            "EnableIPv4": True,
            "EnableIPv6": self.ipv6,
            "IPAM": {
                "Driver": "default",
                "Options": None if self.predefined else {},
                "Config": [pool.config() for pool in self.pools],
            },
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": containers,
            "Options": dict(self.options),
            "Labels": dict(self.labels),
        }

    def to_json(self) -> dict[str, Any]:
        """For a record on disk; `from_json` reads it."""
        return {
            "name": self.name,
            "id": self.id,
            "driver": self.driver,
            "created": self.created,
            "pools": [pool.config() for pool in self.pools],
            "ipv6": self.ipv6,
            "internal": self.internal,
            "attachable": self.attachable,
            "labels": dict(self.labels),
            "options": dict(self.options),
            "scope": self.scope,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(**{**record, "pools": [Pool.from_config(config) for config in record["pools"]]})

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.short_id} {self.driver}>"
