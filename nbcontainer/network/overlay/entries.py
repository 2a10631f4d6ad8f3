"""What nodes tell each other about overlay networks, and the channel that carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Protocol, Self

from nbcontainer.errors import InvalidArgument
from nbcontainer.network.wire import mac_bytes


@dataclass(frozen=True)
class Definition:
    """An overlay network as every node has it. `vni` is its number in the tunnels; 0 asks for one (RFC 7348)."""

    name: str
    subnet: str
    gateway: str
    vni: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it goes over a channel."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """What `to_json` gave. Raises `InvalidArgument` for anything else."""
        made: Self = _from_json(cls, value)
        try:
            if IPv4Address(made.gateway) not in IPv4Network(made.subnet):
                raise ValueError
        except ValueError:
            raise InvalidArgument(f"no overlay network: {made.gateway!r:.60} in {made.subnet!r:.60}") from None
        if not 0 <= made.vni < 1 << 24:
            raise InvalidArgument(f"no VXLAN network identifier: {made.vni}")
        return made


@dataclass(frozen=True)
class Entry:
    """A container on an overlay network: its addresses, and the node behind which it is."""

    network: str
    ip: str
    mac: str
    node: str
    name: str = ""
    aliases: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it goes over a channel."""
        return {**asdict(self), "aliases": list(self.aliases)}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """What `to_json` gave. Raises `InvalidArgument` for anything else."""
        made: Self = _from_json(cls, value)
        try:
            IPv4Address(made.ip), IPv4Address(made.node)
            if len(mac_bytes(made.mac)) != 6 or mac_bytes(made.mac)[0] & 1:
                raise ValueError
        except ValueError:
            raise InvalidArgument(f"no addresses: {made.ip!r:.60}, {made.mac!r:.60}, {made.node!r:.60}") from None
        return made


def _from_json(cls: Any, value: object) -> Any:
    if not isinstance(value, dict):
        raise InvalidArgument(f"not an object: {value!r:.60}")
    known = {field.name: field.type for field in fields(cls)}
    for key, item in value.items():
        if known.get(key) == "str" and isinstance(item, str) and len(item) <= 255:
            continue
        if known.get(key) == "int" and isinstance(item, int) and not isinstance(item, bool):
            continue
        if key == "aliases" and isinstance(item, list) and all(isinstance(alias, str) for alias in item[:255]):
            continue
        raise InvalidArgument(f"{str(key)!r:.60} is not what it should be: {item!r:.60}")
    try:
        return cls(**{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()})
    except TypeError:
        raise InvalidArgument(f"incomplete: {value!r:.60}") from None


#: Called with an entry, and whether it has come (True) or gone.
Watcher = Callable[[Entry, bool], object]


class Channel(Protocol):
    """How nodes tell each other. Nodes on different machines need only this, and an address to send tunnels to.

    In one process it is a `Hub`; over TCP a `control.Client` of a `control.Server`.
    """

    def networks(self) -> Sequence[Definition]:
        """Every network that some node has."""

    def define(self, node: str, definition: Definition) -> Definition:
        """The node has this network from now on; with its number. Raises `Conflict` where others have it otherwise."""

    def leave(self, node: str, network: str) -> None:
        """The node has it no more. What it announced there is withdrawn."""

    def announce(self, entry: Entry) -> None:
        """A container is there. Raises `Conflict` when its address is another's."""

    def withdraw(self, entry: Entry) -> None:
        """It is there no more. An entry that nobody knows is no error."""

    def watch(self, node: str, network: str, watcher: Watcher) -> Callable[[], None]:
        """Call for each entry of the other nodes, those there are at once; the function returned ends that."""
