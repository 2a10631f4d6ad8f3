"""The options of `run`, `create` and `network connect` that place a container on networks."""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from nbcontainer.container import names, values
from nbcontainer.errors import InvalidArgument

if TYPE_CHECKING:
    from nbcontainer.container.options import RunOptions

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
#: A name in the DNS, or one that /etc/hosts takes as well (RFC 1123, and underscores, which Docker allows).
_ALIAS = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62}))*")
#: Keys of `--network name=…` (docker run's advanced syntax), and the options they stand for.
_KEYS = {
    "name": "network",
    "alias": "network_alias",
    "ip": "ip",
    "ip6": "ip6",
    "mac-address": "mac_address",
    "link": "link",
    "driver-opt": "",
    "gw-priority": "",
}


@dataclass(frozen=True)
class Attachment:
    """A network that a container is on when it runs, and what was asked for there."""

    network: str
    aliases: tuple[str, ...] = ()
    ip: str | None = None
    ip6: str | None = None
    mac: str | None = None
    #: `CONTAINER:ALIAS` of `--link`: names that only this container uses.
    links: tuple[str, ...] = ()

    @classmethod
    def parse(cls, network: str, **raw: Any) -> Self:
        """From text or Python values. Raises `InvalidArgument`."""
        found: dict[str, Any] = {"aliases": _texts(raw.pop("alias", ())), "links": _texts(raw.pop("link", ()))}
        for item in found["aliases"]:
            alias(item)
        for item in found["links"]:
            link(item)
        for key, check in (("ip", address), ("ip6", address6), ("mac_address", mac)):
            value = raw.pop(key, None)
            if value:
                found[key.partition("_")[0]] = check(value)
        if raw:
            raise InvalidArgument(f"there is no option {min(raw)}")
        return cls(network, **found)

    def to_json(self) -> dict[str, Any]:
        """For a record on disk; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return cls(**given)


def attachments(options: RunOptions) -> list[Attachment]:
    """The networks that `options` ask for, in order; none for `none`, `host` and another container's."""
    if options.network in ("none", "host") or options.network.startswith("container:"):
        return []
    first = Attachment(
        options.network, options.network_alias, options.ip, options.ip6, options.mac_address, options.link
    )
    return [first, *map(_long, options.more_networks)]


def spread(raw: dict[str, Any]) -> None:
    """Several `--network`, and the first one's `name=…,alias=…`, become options of their own in `raw`."""
    given = _texts(raw.get("network", ()))
    if not given:
        return
    first, *rest = given
    raw["network"] = first
    if rest:
        raw["more_networks"] = tuple(text if "name=" in text else f"name={text}" for text in rest)
        for text in raw["more_networks"]:
            _long(text)
    if "name=" in first:
        for key, value in _parts(first).items():
            if key in ("network_alias", "link"):
                raw[key] = (*_texts(raw.get(key, ())), *value)
            else:
                raw[key] = value


def _long(text: str) -> Attachment:
    parts = _parts(text)
    return Attachment.parse(
        mode(parts["network"]),
        alias=parts.get("network_alias", ()),
        link=parts.get("link", ()),
        **{key: parts[key] for key in ("ip", "ip6", "mac_address") if key in parts},
    )


def _parts(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in next(csv.reader([text])):
        key, equals, value = part.partition("=")
        if not equals or key not in _KEYS:
            raise InvalidArgument(f"invalid field key {key}: --network takes {', '.join(sorted(_KEYS))}")
        name = _KEYS[key]
        if name in ("network_alias", "link"):
            found[name] = (*found.get(name, ()), value)
        elif name:
            found[name] = value
        else:
            raise InvalidArgument(f"--network: {key} is not offered here")
    if not found.get("network"):
        raise InvalidArgument("network name/id is not specified")
    return found


def check_together(options: RunOptions) -> None:
    """What excludes each other, in Docker's words."""
    shares = options.network in ("none", "host") or options.network.startswith("container:")
    asked = [attachment.network for attachment in attachments(options)]
    if options.more_networks and shares:
        raise InvalidArgument("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    twice = sorted({name for name in asked if asked.count(name) > 1})
    if twice:
        raise InvalidArgument(f"network {twice[0]} is specified multiple times")
    if options.network.startswith("container:"):
        if options.hostname or options.ip or options.ip6 or options.mac_address or options.add_host or options.dns:
            raise InvalidArgument(
                "conflicting options: hostname, address, hosts or dns and the network mode of a container"
            )
        if options.publish or options.publish_all:
            raise InvalidArgument("conflicting options: port publishing and the container type network mode")
        if options.expose:
            raise InvalidArgument("conflicting options: port exposing and the container type network mode")
    if (options.ip or options.ip6) and shares:
        raise InvalidArgument("conflicting options: --ip needs a network that gives addresses, such as bridge")
    if options.network_alias and (shares or options.network in ("bridge", "default")):
        raise InvalidArgument("network-scoped alias is supported only for containers in user defined networks")


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable):
        return tuple(str(item) for item in value)
    raise InvalidArgument(f"{value!r} is neither text nor a list of texts")


def mode(value: str) -> str:
    """`--network`: bridge, none, host, container:NAME, or a network's name."""
    value = {"default": "bridge", "private": "bridge"}.get(value, value)
    if value.startswith("container:"):
        if not value.partition(":")[2]:
            raise InvalidArgument("Container network: invalid container format container:<name|id>")
        return value
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", value):
        raise InvalidArgument(f"network {value} not found")
    return value


def address(value: str) -> str:
    """`--ip`."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise values.bad(value, "--ip", f"invalid IPv4 address: {value}") from None


def address6(value: str) -> str:
    """`--ip6`."""
    try:
        return str(ipaddress.IPv6Address(value))
    except ValueError:
        raise values.bad(value, "--ip6", f"invalid IPv6 address: {value}") from None


def mac(value: str) -> str:
    """`--mac-address`."""
    if not _MAC.fullmatch(value) or int(value[:2], 16) & 1:
        raise InvalidArgument(f"{value} is not a valid mac address")
    return value.lower()


def alias(value: str) -> None:
    """`--network-alias`."""
    if len(value) > 253 or not _ALIAS.fullmatch(value):
        raise values.bad(value, "--network-alias", "it is no name that the DNS can have")


def link(value: str) -> None:
    """`--link CONTAINER[:ALIAS]`."""
    name, _, other = value.partition(":")
    if not names.NAME.fullmatch(name) or (other and not _ALIAS.fullmatch(other)):
        raise values.bad(value, "--link", "invalid format: it is CONTAINER or CONTAINER:ALIAS")


def server(value: str) -> None:
    """`--dns`."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise values.bad(value, "--dns", f"ParseAddr: {value} is not an ip address") from None
