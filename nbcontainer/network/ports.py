"""Ports that are published: `-p`'s grammar, and Docker's ways to write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbcontainer.errors import InvalidArgument

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
PROTOCOLS = ("tcp", "udp")
#: Where a port without an address is published: the machine's loopback, of both kinds.
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Asked:
    """One port of the container that is to be published. `first` to `last` are the host's ports to choose from; 0 is
    any. No `ips` means the loopback."""

    protocol: str
    container_port: int
    ips: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True, order=True)
class Binding:
    """One port that is published."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int

    @property
    def key(self) -> str:
        """`80/tcp`."""
        return f"{self.container_port}/{self.protocol}"

    @property
    def address(self) -> str:
        """`127.0.0.1:8080`, `[::1]:8080`."""
        return f"{bracketed(self.host_ip)}:{self.host_port}"


def bracketed(ip: str) -> str:
    """An address as it stands before a port."""
    return f"[{ip}]" if ":" in ip else ip


def parse(text: str) -> list[Asked]:
    """`[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, each port perhaps a range. Raises `InvalidArgument` in Docker's words."""
    rest, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}: a port is published as {' or '.join(PROTOCOLS)}")
    front, _, inner = rest.rpartition(":")
    ip, host = _address_and_port(front, text)
    container = _range(inner, f"Invalid containerPort: {inner}")
    if container is None:
        raise InvalidArgument(f"No port specified: {text}<empty>")
    hosts = _range(host, f"Invalid hostPort: {host}")
    ips = (ip,) if ip else ()
    count = container[1] - container[0] + 1
    if hosts is None:
        return [Asked(protocol, container[0] + number, ips, 0, 0) for number in range(count)]
    wide = hosts[1] - hosts[0] + 1
    if wide != count:
        if count != 1:
            raise InvalidArgument(f"Invalid ranges specified for container and host Ports: {inner} and {host}")
        return [Asked(protocol, container[0], ips, *hosts)]
    ports = range(hosts[0], hosts[1] + 1)
    return [Asked(protocol, container[0] + number, ips, port, port) for number, port in enumerate(ports)]


def _address_and_port(front: str, text: str) -> tuple[str, str]:
    if front.startswith("["):
        ip, closed, rest = front[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise InvalidArgument(f"Invalid ip address: {front}")
        host = rest[1:]
    else:
        ip, _, host = front.rpartition(":")
    if not ip:
        return "", host
    try:
        return str(ipaddress.ip_address(ip)), host
    except ValueError:
        raise InvalidArgument(f"Invalid ip address: {ip}") from None


def _range(text: str, refusal: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InvalidArgument(refusal)
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first or last > 65535 or (first == 0 and last > 0):
        raise InvalidArgument(refusal)
    return first, last


def exposed(text: str) -> list[tuple[int, str]]:
    """`PORT[-PORT][/PROTOCOL]` of `--expose` or an image, as ports and protocols. Raises `InvalidArgument`."""
    numbers, _, protocol = text.partition("/")
    found = _range(numbers, f"invalid range format for --expose: {text}")
    if found is None or (protocol or "tcp").lower() not in (*PROTOCOLS, "sctp"):
        raise InvalidArgument(f"invalid range format for --expose: {text}")
    return [(port, (protocol or "tcp").lower()) for port in range(found[0], found[1] + 1)]


def mapping(bindings: Iterable[Binding], open_ports: Iterable[tuple[int, str]]) -> dict[str, Any]:
    """NetworkSettings.Ports of Docker's JSON: what is published, and None for what is only exposed."""
    found: dict[str, Any] = {f"{port}/{protocol}": None for port, protocol in open_ports}
    for binding in bindings:
        found[binding.key] = [
            *(found.get(binding.key) or []),
            {"HostIp": binding.host_ip, "HostPort": str(binding.host_port)},
        ]
    return dict(sorted(found.items(), key=lambda item: (int(item[0].partition("/")[0]), item[0])))


def column(published: Mapping[str, Any]) -> str:
    """PORTS of `docker ps`: neighbouring ports are drawn together."""
    runs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for key, bindings in published.items():
        port, _, protocol = key.partition("/")
        for binding in bindings or [{"HostIp": "", "HostPort": "0"}]:
            runs.setdefault((binding["HostIp"], protocol), []).append((int(binding["HostPort"]), int(port)))
    texts = []
    for (ip, protocol), pairs in sorted(runs.items(), key=lambda run: (run[0][0] == "", run[1][0][1], run[0])):
        for hosts, inner in _runs(sorted(pairs, key=lambda pair: (pair[1], pair[0]))):
            texts.append(f"{bracketed(ip)}:{hosts}->{inner}/{protocol}" if ip else f"{inner}/{protocol}")
    return ", ".join(texts)


def _runs(pairs: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    found: list[list[tuple[int, int]]] = []
    for host, inner in pairs:
        last = found[-1][-1] if found else None
        if last is not None and inner == last[1] + 1 and (host == last[0] + 1 or host == last[0] == 0):
            found[-1].append((host, inner))
        else:
            found.append([(host, inner)])
    return [(span(run[0][0], run[-1][0]), span(run[0][1], run[-1][1])) for run in found]


def span(first: int, last: int) -> str:
    """`8000`, `8000-8002`."""
    return str(first) if first == last else f"{first}-{last}"
