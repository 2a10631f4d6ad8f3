"""The networks of a lab: docker0, none, host and the user's own; who is on them, and with what address."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any, cast

from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError, NotFound, Unavailable
from nbcontainer.lab.handle import Handle
from nbcontainer.network import filter as packet_filter
from nbcontainer.network import host, pools
from nbcontainer.network.drivers import DRIVERS, Driver
from nbcontainer.network.endpoint import Endpoint, host_mac_of, mac_of, veth_name
from nbcontainer.network.filter import Published
from nbcontainer.network.machine_link import MachineLink
from nbcontainer.network.network import BRIDGE_NAME, HOST_BINDING, ICC, MASQUERADE, MTU, Attached, Network, Settings
from nbcontainer.network.pools import Address, Pool
from nbcontainer.network.sockets import Opener
from nbcontainer.network.uplink import Uplink

#: docker0's interface index, unless a link made by hand has it. The bridge's ends of veth pairs count up from it:
#: never one used before, whose link the kernel may still be taking apart.
BRIDGE_INDEX = 10
#: Where a lab with a name keeps its networks, below its directory.
KEPT = "networks.json"
#: Events kept.
EVENTS = 4096


@dataclass(frozen=True)
class Event:
    """Something that happened to a network: create, connect, disconnect, destroy."""

    time: str
    action: str
    network_id: str
    attributes: dict[str, str] = field(default_factory=dict)


class Networks:
    """The networks of `lab`, and who is on them."""

    def __init__(self, lab: Handle, sockets: Opener) -> None:
        self.lab = lab
        self.sockets = sockets
        self.events: deque[Event] = deque(maxlen=EVENTS)
        #: Asked before a network goes: the names of containers that are to be connected to it when they start.
        self.users: Callable[[Network], Sequence[str]] = lambda network: ()
        #: Why no packet filter could be put in force, "" when nothing hinders it.
        self.filter_refusal = ""
        self._drivers: dict[str, Driver] = {}
        self._watchers: builtins.list[Callable[[Event], object]] = []
        self._lock = threading.RLock()
        self._netlink_lock = threading.RLock()
        self._netlink: socket.socket | None = None
        self._forwarding = self._netns = self._userns = -1
        self.uplink = Uplink(lab, self.host, lambda: (self._netns, self._userns))
        self._last_index = BRIDGE_INDEX
        self._number = 0
        self._published: dict[str, tuple[Published, ...]] = {}
        self._networks = {network.name: network for network in self._predefined()}
        self._load()

    def __del__(self) -> None:
        for fd in (getattr(self, name, -1) for name in ("_forwarding", "_netns", "_userns")):
            if fd >= 0:
                os.close(fd)

    def close(self) -> None:
        """The lab ends: what runs on the machine for it ends first."""
        self.uplink.stop()

    def _predefined(self) -> builtins.list[Network]:
        pool = Pool(IPv4Network("172.17.0.0/16"), IPv4Address("172.17.0.1"))
        options = {
            "com.docker.network.bridge.default_bridge": "true",
            ICC: "true",
            MASQUERADE: "true",
            HOST_BINDING: "127.0.0.1",
            BRIDGE_NAME: "docker0",
            MTU: "1500",
        }
        born = _now()
        return [
            Network("bridge", self._id("bridge"), "bridge", born, [pool], options=options),
            Network("host", self._id("host"), "host", born),
            Network("none", self._id("none"), "null", born),
        ]

    def _id(self, name: str) -> str:
        return hashlib.sha256(f"{self.lab.seed}/network/{name}".encode()).hexdigest()

    # -- make and remove

    def create(self, name: str, **raw: Any) -> Network:
        """Make a network. Options are those of `docker network create`, dashes as underscores, as text or values.

        Raises `InvalidArgument`, `Conflict` (the name, the subnet, or every address pool is taken), `Unavailable`.
        """
        settings = Settings.parse(name, **raw)
        with self._lock:
            if name in ("bridge", "host", "none"):
                raise Conflict(f"operation is not permitted on predefined {name} network")
            if name in self._networks:
                raise Conflict(f"network with name {name} already exists")
            driver = self.driver(settings.driver)
            settings = driver.check(settings)
            network = Network(
                name=name,
                id=self._id(f"{self._number + 1}/{name}"),
                driver=settings.driver,
                created=_now(),
                pools=self._pools(settings),
                ipv6=settings.ipv6,
                internal=settings.internal,
                attachable=settings.attachable,
                labels=dict(settings.label),
                options=dict(settings.opt),
                scope=driver.scope,
            )
            self._bring_up()
            driver.create(network)
            self._networks[name] = network
            try:
                self._apply_filter()
                if self.filter_refusal and (network.internal or not network.icc):
                    raise Unavailable(f"{name} could not be kept to itself: {self.filter_refusal}")
            except BaseException:
                self._networks.pop(name)
                driver.remove(network)
                raise
            self._number += 1
            self._save()
        self.event("create", network)
        return network

    def driver(self, name: str) -> Driver:
        """The driver of this name. Raises `NotFound`, and `Conflict` for those of which every lab has one."""
        if name in ("host", "null", "none"):
            raise Conflict(f'only one instance of "{name}" network is allowed')
        if name not in DRIVERS:
            raise NotFound(
                f"could not find plugin {name} in v2 plugin registry: there are {', '.join(sorted(DRIVERS))}"
            )
        if name not in self._drivers:
            self._drivers[name] = DRIVERS[name](self)
        return self._drivers[name]

    def _pools(self, settings: Settings) -> builtins.list[Pool]:
        taken = [pool.subnet for network in self._networks.values() for pool in network.pools]
        made = pools.make(settings.subnet, settings.gateway, settings.ip_range, settings.aux_address, taken)
        versions = {pool.subnet.version for pool in made}
        if 6 in versions and not settings.ipv6:
            raise InvalidArgument("an IPv6 subnet was given: IPv6 has to be enabled with --ipv6")
        if len(made) > len(versions):
            raise InvalidArgument(f"{settings.driver} driver doesn't support multiple subnets")
        if 4 not in versions:
            made.insert(0, pools.default(taken))
        if settings.ipv6 and 6 not in versions:
            made.append(pools.default6(settings.name, taken))
        return made

    def remove(self, reference: str) -> None:
        """Remove a network that nobody is on. Raises `NotFound`, `Conflict`."""
        with self._lock:
            network = self.get(reference)
            if network.predefined:
                raise Conflict(f"{network.name} is a pre-defined network and cannot be removed")
            names = [there.name for there in network.attached.values()]
            if names:
                raise Conflict(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints: "
                    + ", ".join(names)
                )
            self.driver(network.driver).remove(network)
            self._networks.pop(network.name)
            self._apply_filter()
            self._save()
        self.event("destroy", network)

    def prune(self, wanted: Callable[[Network], bool] = lambda network: True) -> builtins.list[Network]:
        """Remove every network of the user's that no container uses, running or not; those removed."""
        unused = [
            network
            for network in self.list()
            if not network.predefined and not network.attached and not self.users(network) and wanted(network)
        ]
        for network in unused:
            self.remove(network.id)
        return unused

    # -- find

    def list(self) -> builtins.list[Network]:
        """Every network, by name."""
        return [self._networks[name] for name in sorted(self._networks)]

    def get(self, reference: str) -> Network:
        """The network with this name, id or unique beginning of an id. Raises `NotFound`, `Conflict`."""
        network = self._networks.get({"default": "bridge"}.get(reference, reference))
        if network is not None:
            return network
        found = [n for n in self._networks.values() if len(reference) >= 3 and n.id.startswith(reference)]
        if len(found) > 1:
            raise Conflict(f"network {reference} is ambiguous ({len(found)} matches found on ID prefix)")
        if not found:
            raise NotFound(f"network {reference} not found")
        return found[0]

    def inspect(self, reference: str) -> dict[str, Any]:
        """Docker's JSON for a network."""
        network = self.get(reference)
        with self._lock:
            return network.inspect(lambda container_id: endpoint_id(container_id, network))

    def watch(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback(event)` for every event from now on; the function returned ends that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def event(self, action: str, network: Network, **attributes: str) -> None:
        """Something happened to `network`."""
        about = {"name": network.name, "type": network.driver}
        event = Event(_now(), action, network.id, {**about, **attributes})
        self.events.append(event)
        for watcher in builtins.list(self._watchers):
            watcher(event)

    # -- the lab's host

    @contextmanager
    def host(self) -> Iterator[socket.socket]:
        """A netlink socket of the lab's host, for one thread at a time."""
        with self._netlink_lock:
            if self._netlink is None:
                self._netlink = self.lab.netlink()
            yield self._netlink

    def ensure_bridge(self) -> None:
        """Make docker0, with its address, forwarding and rules, the first time a container wants it.

        Raises `Conflict` when a link made by hand has its name, `Unavailable` on a kernel without bridges.
        """
        with self._lock:
            network = self._networks["bridge"]
            if network.bridge_index is None:
                self._bring_up()
                self.driver("bridge").create(network)
                self._apply_filter()

    def _bring_up(self) -> None:
        if self._forwarding < 0:
            _, fds = cast("tuple[None, builtins.list[int]]", self.lab.call(host.bring_up))
            self._forwarding, self._netns, self._userns = fds
            self.uplink.start()

    @property
    def forwarding(self) -> bool:
        """False when somebody has switched off what the first network switched on."""
        return self._forwarding < 0 or os.pread(self._forwarding, 1, 0) == b"1"

    def link_to_machine(self) -> MachineLink:
        """`%lab uplink`. Raises `Unavailable` without root, `Conflict`."""
        with self._lock:
            self.ensure_bridge()
        return self.uplink.link()

    def next_index(self, network: Network) -> int:
        """The index that a network's own link is to have."""
        if network.name == "bridge":
            return BRIDGE_INDEX
        self._last_index += 1
        return self._last_index

    def publish(self, container_id: str, ports: builtins.list[Published]) -> None:
        """Ports of the lab's host that lead to a container; none, when it is to have none any more."""
        with self._lock:
            if ports:
                self._published[container_id] = tuple(ports)
            elif self._published.pop(container_id, None) is None:
                return
        self._apply_filter()

    def _apply_filter(self) -> None:
        """Put the rules in force that follow from what there is now."""
        with self._lock:
            networks = [network for network in self.list() if network.bridge_index is not None]
            ports = [port for ports in self._published.values() for port in ports]
            rules = packet_filter.rules(networks, ports)
            self.filter_refusal = self.lab.call(host.filter, rules, [n.bridge for n in networks] if ports else [])

    # -- endpoints

    def allocate(
        self,
        container_id: str,
        name: str,
        network: str = "bridge",
        *,
        ip: str | None = None,
        ip6: str | None = None,
        mac: str | None = None,
        aliases: tuple[str, ...] = (),
        interface: int = 0,
        routed: bool = True,
        counted: bool = True,
    ) -> Endpoint:
        """An endpoint on a network: the addresses asked for, else the lowest free ones. No link is made yet.

        `aliases` are names besides the container's own. With `counted` false the kernel chooses the link's index, so
        that those of later containers are what they are without it, and nobody is told.

        Raises `InvalidArgument`, `Conflict` when the address is taken or none is left.
        """
        with self._lock:
            found = self.get(network)
            if found.name == "bridge":
                self.ensure_bridge()
            if container_id in found.attached:
                raise Conflict(f"endpoint with name {name} already exists in network {found.name}")
            if ip6 and found.pool6 is None:
                raise InvalidArgument(f"invalid IPv6 address {ip6}: network {found.name} has no IPv6")
            address = self._take(found, found.pool4, name, ip)
            assert isinstance(address, IPv4Address)
            assert found.subnet is not None
            try:
                address6 = self._take(found, found.pool6, name, ip6) if found.pool6 is not None else None
            except NbcontainerError:
                self._give_back(found, str(address))
                raise
            self._last_index += counted
            endpoint = Endpoint(
                network=found.name,
                ip=str(address),
                prefixlen=found.subnet.prefixlen,
                gateway="" if found.internal else str(found.gateway),
                broadcast=str(found.subnet.broadcast_address),
                mac=mac or mac_of(address),
                veth=self._free_veth(name),
                host_mac=host_mac_of(address),
                ifindex=self._last_index if counted else 0,
                bridge=found.bridge,
                bridge_index=found.bridge_index or 0,
                interface=interface,
                routed=routed and not found.internal,
                ip6=str(address6) if address6 is not None else "",
                prefixlen6=found.subnet6.prefixlen if found.subnet6 is not None else 0,
                gateway6=str(found.gateway6) if found.gateway6 is not None and not found.internal else "",
                mtu=found.mtu or 0 if not found.predefined else 0,
                isolated=not found.icc,
            )
            found.attached[container_id] = Attached(name, endpoint, aliases)
        if counted:
            self.event("connect", found, container=container_id)
        return endpoint

    def _take(self, network: Network, pool: Pool | None, name: str, wanted: str | None) -> Address:
        if pool is None:
            raise InvalidArgument(f"network {network.name} gives no addresses")
        address = pool.take(name, ip_address(wanted) if wanted else None)
        if address is None:
            raise Conflict(
                f"no available IPv{pool.subnet.version} addresses on this network's address pools: "
                f"{network.name} ({network.short_id})"
            )
        return address

    def _give_back(self, network: Network, *addresses: str) -> None:
        for text in addresses:
            for pool in network.pools:
                if text:
                    pool.give_back(ip_address(text))

    def _free_veth(self, name: str) -> str:
        """A link's name nobody on a network has: a container that was renamed keeps the one it started with."""
        taken = {there.endpoint.veth for network in self._networks.values() for there in network.attached.values()}
        wanted = veth_name(name)
        turn = 0
        while wanted in taken:
            turn += 1
            wanted = veth_name(f"{name}/{turn}")  # no container's name has a slash
        return wanted

    def renamed(self, container_id: str, name: str) -> None:
        """A container has another name now."""
        with self._lock:
            for network in self._networks.values():
                if container_id in network.attached:
                    network.attached[container_id].name = name

    def wire(self, endpoint: Endpoint, netns_fd: int, netlink: socket.socket) -> None:
        """Make the endpoint's links: on the lab's host, and over `netlink` in the network namespace `netns_fd`.

        Raises `OSError` as `wire.connect` does.
        """
        network = self.get(endpoint.network)
        self.driver(network.driver).connect(network, endpoint, netns_fd, netlink)
        if endpoint.routed:
            self.uplink.wait()

    def reroute(self, endpoint: Endpoint) -> Endpoint:
        """The same endpoint as the one that its container's default routes lead to; making them is the caller's."""
        with self._lock:
            routed = replace(endpoint, routed=True)
            for there in self.get(endpoint.network).attached.values():
                if there.endpoint == endpoint:
                    there.endpoint = routed
        return routed

    def unwire(self, endpoint: Endpoint) -> None:
        """Take the endpoint's links away while its container goes on. `release` comes after it."""
        network = self.get(endpoint.network)
        self.driver(network.driver).disconnect(network, endpoint)

    def release(self, endpoint: Endpoint) -> None:
        """The endpoint's addresses are free again; its links end with the container's network namespace."""
        with self._lock:
            network = self._networks.get(endpoint.network)
            if network is None:
                return
            self._give_back(network, endpoint.ip, endpoint.ip6)
            owner = next((key for key, there in network.attached.items() if there.endpoint == endpoint), None)
            if owner is None:
                return
            network.attached.pop(owner)
        self.driver(network.driver).released(network, endpoint)
        if endpoint.ifindex:
            self.event("disconnect", network, container=owner)

    # -- keep (labs with a name)

    def _save(self) -> None:
        if self.lab.name is None:
            return
        # A network over several nodes is the cluster's to keep: this lab is no node when it starts again.
        kept = [network.to_json() for network in self.list() if not network.predefined and network.scope == "local"]
        record = {"number": self._number, "networks": sorted(kept, key=lambda network: network["created"])}
        path = self.lab.directory / KEPT
        beside = path.with_name(KEPT + ".new")
        beside.write_text(json.dumps(record, indent=1))
        os.replace(beside, path)

    def _load(self) -> None:
        try:
            record = json.loads((self.lab.directory / KEPT).read_text())
        except (OSError, ValueError):
            return
        self._number = record["number"]
        for kept in record["networks"]:
            network = Network.from_json(kept)
            self._bring_up()
            self.driver(network.driver).create(network)
            self._networks[network.name] = network
        self._apply_filter()


def endpoint_id(container_id: str, network: Network) -> str:
    """Docker's id of a container's place on a network."""
    return hashlib.sha256(f"{container_id}/{network.id}".encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
