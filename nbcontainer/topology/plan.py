"""What a topology becomes: every link's name, index, MAC address and IP address, and every route. It repeats.

A **segment** is what hosts and routers reach without a router: the switches that are linked with each other, or one
link between two of them. Each has a subnet. Where there is one segment it is 10.0.0.0/8, as in Mininet: h1 is
10.0.0.1, h2 is 10.0.0.2. Where there are several they are 10.0.1.0/24, 10.0.2.0/24 and on, larger where they must
be. Hosts count from the first address, routers down from the last.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from nbcontainer.errors import Conflict, InvalidArgument
from nbcontainer.network.endpoint import mac_of
from nbcontainer.topology.graph import Link, Topology

POOL = IPv4Network("10.0.0.0/8")
#: The prefix length of one segment of several, unless it has more hosts than that.
PREFIX = 24
#: How the MAC addresses of switches and their ports begin; two bytes for the switch, two for the port follow.
SWITCH_MAC = "02:44"


@dataclass(eq=False)
class Interface:
    """One end of a link. `ip` is None for a port of a switch."""

    node: str
    name: str
    link: Link
    mac: str = ""
    segment: int = -1
    ip: IPv4Interface | None = None

    def __post_init__(self) -> None:
        #: The other end.
        self.far: Interface = self


@dataclass(frozen=True)
class Route:
    """`to` is a subnet, or None for the default route."""

    to: IPv4Network | None
    via: IPv4Address

    def to_json(self) -> dict[str, str]:
        """For `build`."""
        return {"to": str(self.to) if self.to else "0.0.0.0/0", "via": str(self.via)}


@dataclass
class Plan:
    """Every name, address and route of a topology."""

    topology: Topology
    interfaces: dict[str, list[Interface]] = field(default_factory=dict)
    #: Each link's two ends, in the order of the topology's links.
    ends: list[tuple[Interface, Interface]] = field(default_factory=list)
    subnets: list[IPv4Network] = field(default_factory=list)
    routes: dict[str, list[Route]] = field(default_factory=dict)

    @classmethod
    def of(cls, topology: Topology) -> Plan:
        """Plan it. Raises `InvalidArgument`, `Conflict` for addresses that cannot be."""
        plan = cls(topology, {name: [] for name in topology.nodes})
        plan._name_interfaces()
        plan._find_segments()
        plan._give_addresses()
        plan._find_routes()
        return plan

    def addresses(self, node: str) -> list[IPv4Interface]:
        """A node's addresses, by link."""
        return [interface.ip for interface in self.interfaces[node] if interface.ip is not None]

    def address(self, node: str) -> IPv4Address:
        """A node's first address. Raises `InvalidArgument` where it has none."""
        for ip in self.addresses(node):
            return ip.ip
        kind = self.topology.node(node).kind
        raise InvalidArgument(f"{kind} {node} has no address{': it has no link' if kind != 'switch' else ''}")

    def owner(self, ip: IPv4Address) -> Interface | None:
        """Whose address that is."""
        for interfaces in self.interfaces.values():
            for interface in interfaces:
                if interface.ip is not None and interface.ip.ip == ip:
                    return interface
        return None

    def segment(self, number: int) -> list[Interface]:
        """The ends in a segment that have addresses: hosts' first, then routers'."""
        return self._segments[number]

    def looped(self, switch: str) -> bool:
        """Whether the switches of its segment form a loop, so that it needs the spanning tree protocol."""
        stp = self.topology.nodes[switch].stp
        return switch in self._looped if stp is None else stp

    # -- names and segments

    def _name_interfaces(self) -> None:
        numbers = {name: number for number, name in enumerate(self.topology.switches, 1)}
        for link in self.topology.links:
            made = []
            for name in link.ends:
                index = len(self.interfaces[name])
                if name in numbers:
                    mac = _switch_mac(numbers[name], index + 1)
                    interface = Interface(name, f"{name}-eth{index + 1}", link, mac)
                else:
                    interface = Interface(name, f"eth{index}", link)
                self.interfaces[name].append(interface)
                made.append(interface)
            a, b = made
            a.far, b.far = b, a
            self.ends.append((a, b))
        taken = set(numbers)
        for name in numbers:
            for interface in self.interfaces[name]:
                if interface.name in taken:
                    raise Conflict(f"port {interface.name} of switch {name} has a switch's name: call that another")

    def _find_segments(self) -> None:
        """Number the segments: first those of hosts, in the order of the hosts, then those between routers."""
        self._looped: set[str] = set()
        self._segments: list[list[Interface]] = []
        for name in (*self.topology.hosts, *self.topology.routers, *self.topology.switches):
            for interface in self.interfaces[name]:
                if interface.segment < 0:
                    self._segments.append(self._fill(interface, len(self._segments)))

    def _fill(self, start: Interface, segment: int) -> list[Interface]:
        """Walk one segment: the ends in it that have addresses. Where its switches form a loop, note them."""
        kinds = {name: node.kind for name, node in self.topology.nodes.items()}
        waiting, found = [start], []
        switches: dict[str, int] = {}
        while waiting:
            interface = waiting.pop()
            if interface.segment >= 0:
                continue
            interface.segment = segment
            waiting.append(interface.far)
            if kinds[interface.node] != "switch":
                found.append(interface)
                continue
            switches.setdefault(interface.node, 0)
            switches[interface.node] += kinds[interface.far.node] == "switch"
            waiting += self.interfaces[interface.node]
        # A tree of n switches has n - 1 links among them, each counted from both ends.
        if sum(switches.values()) > 2 * (len(switches) - 1):
            self._looped |= set(switches)
        order = {name: at for at, name in enumerate(kinds)}
        return sorted(found, key=lambda end: (kinds[end.node] == "router", order[end.node]))

    # -- addresses

    def _give_addresses(self) -> None:
        given: dict[IPv4Address, str] = {}
        for node in self.topology.of_kind("host"):
            if node.ip is not None:
                if not self.interfaces[node.name]:
                    raise InvalidArgument(f"host {node.name} has an ip but no link to have it on")
                if node.ip.ip in given:
                    raise Conflict(f"ip {node.ip.ip} belongs to both {given[node.ip.ip]} and {node.name}")
                given[node.ip.ip] = node.name
                self.interfaces[node.name][0].ip = node.ip
        for segment in self._segments:
            self.subnets.append(self._subnet(segment))
        for subnet, segment in zip(self.subnets, self._segments, strict=True):
            self._fill_subnet(subnet, segment, set(given))
        for at, subnet in enumerate(self.subnets):
            for other in self.subnets[:at]:
                if subnet.overlaps(other):
                    raise Conflict(f"subnets {other} and {subnet} overlap: routers could not tell them apart")

    def _subnet(self, segment: list[Interface]) -> IPv4Network:
        """What the hosts that have an ip say, or the next free one of the pool."""
        said = {end.ip.network: end.node for end in segment if end.ip is not None}
        if len(said) > 1:
            (one, a), (two, b) = list(said.items())[:2]
            raise Conflict(f"{a} is in {one} and {b} in {two}, with no router between them: give both one subnet")
        if said:
            return next(iter(said))
        if len(self._segments) == 1:
            return POOL
        needed = (len(segment) + 1).bit_length()  # with the network's own address and the broadcast
        size = 2 ** max(32 - PREFIX, needed)
        # The first /24 stays free: 10.0.1.0/24 is the first segment's.
        taken = [net for net in self.subnets if net.overlaps(POOL)]
        at = int(POOL.network_address) + 2 ** (32 - PREFIX)
        while at + size <= int(POOL.broadcast_address):
            at = -(-at // size) * size
            subnet = IPv4Network((at, 32 - size.bit_length() + 1))
            blocking = next((net for net in taken if net.overlaps(subnet)), None)
            if blocking is None:
                return subnet
            at = int(blocking.broadcast_address) + 1
        raise Conflict(f"the address pool {POOL} has no subnet left for another {size} addresses")

    def _fill_subnet(self, subnet: IPv4Network, segment: list[Interface], taken: set[IPv4Address]) -> None:
        kinds = self.topology.nodes
        edge = 0 if subnet.prefixlen >= 31 else 1
        low, high = int(subnet.network_address) + edge, int(subnet.broadcast_address) - edge
        for end in segment:
            if end.ip is None:
                router = kinds[end.node].kind == "router"
                step = -1 if router else 1
                at = high if router else low
                while IPv4Address(at) in taken:
                    at += step
                if not int(subnet.network_address) + edge <= at <= int(subnet.broadcast_address) - edge:
                    raise Conflict(f"subnet {subnet} has no address left for {end.node}")
                end.ip = IPv4Interface((at, subnet.prefixlen))
                taken.add(end.ip.ip)
                low, high = (low, at - 1) if router else (at + 1, high)
            end.mac = mac_of(end.ip.ip)

    # -- routes

    def _find_routes(self) -> None:
        """The shortest way to each subnet. Of a host the most common way is the default route."""
        routers = set(self.topology.routers)
        for node in self.topology.of_kind("host", "router"):
            ways = self._ways(node.name, routers)
            default = None
            if node.kind == "host" and ways:
                default = Counter(ways.values()).most_common(1)[0][0]
            made = [Route(self.subnets[segment], via) for segment, via in sorted(ways.items()) if via != default]
            self.routes[node.name] = [*made, *([Route(None, default)] if default else [])]

    def _ways(self, start: str, routers: set[str]) -> dict[int, IPv4Address]:
        """For each segment that is not `start`'s own: the address of the next router."""
        reached = {interface.segment for interface in self.interfaces[start]}
        waiting: deque[tuple[int, IPv4Address | None]] = deque((segment, None) for segment in sorted(reached))
        ways: dict[int, IPv4Address] = {}
        while waiting:
            segment, via = waiting.popleft()
            for end in self._segments[segment]:
                if end.node not in routers or end.node == start:
                    continue
                assert end.ip is not None
                for beyond in self.interfaces[end.node]:
                    if beyond.segment not in reached:
                        reached.add(beyond.segment)
                        ways[beyond.segment] = via or end.ip.ip
                        waiting.append((beyond.segment, ways[beyond.segment]))
        return ways


def _switch_mac(switch: int, port: int) -> str:
    return f"{SWITCH_MAC}:{switch >> 8:02x}:{switch & 255:02x}:{port >> 8:02x}:{port & 255:02x}"


def bridge_mac(number: int) -> str:
    """The MAC address of the nth switch, from 1: the lowest is the root of a spanning tree."""
    return _switch_mac(number, 0)
