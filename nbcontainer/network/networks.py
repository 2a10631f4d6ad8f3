"""The networks of a lab: docker0, none and host."""

from __future__ import annotations

import errno
import hashlib
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from nbcontainer.errors import Conflict, InvalidArgument, NotFound, Unavailable
from nbcontainer.lab.handle import Handle
from nbcontainer.network import wire
from nbcontainer.network.endpoint import Endpoint, host_mac_of, mac_of, veth_name
from nbcontainer.network.wire import Rtnetlink

#: docker0's interface index, unless a link made by hand has it. The bridge's ends of veth pairs count up from it:
#: never one used before, whose link the kernel may still be taking apart.
BRIDGE_INDEX = 10


@dataclass(frozen=True)
class Network:
    """A network by name. `subnet` is None for none and host."""

    name: str
    id: str
    driver: str
    subnet: IPv4Network | None = None
    gateway: IPv4Address | None = None

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id[:12]


class Networks:
    """The networks of `lab`, and who is on them."""

    def __init__(self, lab: Handle) -> None:
        self.lab = lab
        self._lock = threading.Lock()
        self._bridge_index: int | None = None
        self._netlink: socket.socket | None = None
        subnet = IPv4Network("172.17.0.0/16")
        self._networks = {
            "bridge": Network("bridge", self._id("bridge"), "bridge", subnet, IPv4Address("172.17.0.1")),
            "host": Network("host", self._id("host"), "host"),
            "none": Network("none", self._id("none"), "null"),
        }
        self._last_index = BRIDGE_INDEX
        self._used: dict[IPv4Address, tuple[str, str, Endpoint]] = {}

    def _id(self, name: str) -> str:
        return hashlib.sha256(f"{self.lab.seed}/network/{name}".encode()).hexdigest()

    def list(self) -> list[Network]:
        """Every network, by name."""
        return [self._networks[name] for name in sorted(self._networks)]

    def get(self, reference: str) -> Network:
        """The network with this name or id. Raises `NotFound`."""
        for network in self._networks.values():
            if reference == network.name or (len(reference) >= 3 and network.id.startswith(reference)):
                return network
        raise NotFound(f"network {reference} not found")

    def ensure_bridge(self) -> None:
        """Make docker0, with its address and forwarding, the first time a container wants it.

        Raises `Conflict` when a link made by hand has its name, `Unavailable` on a kernel without bridges.
        """
        with self._lock:
            if self._bridge_index is not None:
                return
            network = self._networks["bridge"]
            assert network.gateway is not None
            assert network.subnet is not None
            with self.lab.netlink() as sock:
                rtnetlink = Rtnetlink(sock)
                index = _add_bridge(rtnetlink, "docker0", BRIDGE_INDEX, mac_of(network.gateway))
                rtnetlink.address_add(
                    index, str(network.gateway), network.subnet.prefixlen, str(network.subnet.broadcast_address)
                )
            self.lab.call(enable_forwarding)
            self._bridge_index = index

    def allocate(self, container_id: str, name: str, ip: str | None = None, mac: str | None = None) -> Endpoint:
        """An endpoint on docker0: the address asked for, else the lowest free one.

        `ensure_bridge` comes first. Raises `InvalidArgument`, `Conflict` when the address is taken or none is left.
        """
        network = self._networks["bridge"]
        assert network.subnet is not None
        assert network.gateway is not None
        with self._lock:
            address = self._wanted(network, ip) if ip else self._lowest(network)
            self._last_index += 1
            endpoint = Endpoint(
                network="bridge",
                ip=str(address),
                prefixlen=network.subnet.prefixlen,
                gateway=str(network.gateway),
                broadcast=str(network.subnet.broadcast_address),
                mac=mac or mac_of(address),
                veth=self._free_veth(name),
                host_mac=host_mac_of(address),
                ifindex=self._last_index,
                bridge="docker0",
                bridge_index=self._bridge_index or BRIDGE_INDEX,
            )
            self._used[address] = (container_id, name, endpoint)
            return endpoint

    def wire(self, endpoint: Endpoint, netns_fd: int, netlink: socket.socket) -> None:
        """Make the endpoint's links: on the bridge, and over `netlink` in the network namespace `netns_fd`.

        Raises `OSError` as `wire.connect` does.
        """
        with self._lock:
            if self._netlink is None:
                self._netlink = self.lab.netlink()
            wire.connect(endpoint.to_json(), self._netlink, netns_fd, netlink)

    def _wanted(self, network: Network, ip: str) -> IPv4Address:
        assert network.subnet is not None
        address = IPv4Address(ip)
        edges = (network.subnet.network_address, network.subnet.broadcast_address, network.gateway)
        if address not in network.subnet or address in edges:
            raise InvalidArgument(f"Invalid address {ip}: It does not belong to any of this network's subnets")
        if address in self._used:
            raise Conflict(f"Address already in use: {ip} belongs to container {self._used[address][1]}")
        return address

    def _free_veth(self, name: str) -> str:
        """A link's name nobody on a network has: a container that was renamed keeps the one it started with."""
        taken = {endpoint.veth for _, _, endpoint in self._used.values()}
        wanted = veth_name(name)
        turn = 0
        while wanted in taken:
            turn += 1
            wanted = veth_name(f"{name}/{turn}")  # no container's name has a slash
        return wanted

    def _lowest(self, network: Network) -> IPv4Address:
        assert network.subnet is not None
        for address in network.subnet.hosts():
            if address != network.gateway and address not in self._used:
                return address
        raise Conflict(
            f"no available IPv4 addresses on this network's address pools: {network.name} ({network.short_id})"
        )

    def release(self, endpoint: Endpoint) -> None:
        """The endpoint's address is free again; its links end with the container's network namespace."""
        with self._lock:
            self._used.pop(IPv4Address(endpoint.ip), None)

    def inspect(self, reference: str) -> dict[str, Any]:
        """Docker's JSON for a network."""
        network = self.get(reference)
        config = [{"Subnet": str(network.subnet), "Gateway": str(network.gateway)}] if network.subnet else []
        with self._lock:
            attached = list(self._used.values())
        containers = {
            container_id: {
                "Name": name,
                "EndpointID": hashlib.sha256(f"{container_id}/{network.id}".encode()).hexdigest(),
                "MacAddress": endpoint.mac,
                "IPv4Address": f"{endpoint.ip}/{endpoint.prefixlen}",
                "IPv6Address": "",
            }
            for container_id, name, endpoint in attached
            if endpoint.network == network.name
        }
        return {
            "Name": network.name,
            "Id": network.id,
            "Scope": "local",
            "Driver": network.driver,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None, "Config": config},
            "Internal": False,
            "Containers": containers,
            "Options": {"com.docker.network.bridge.name": "docker0"} if network.name == "bridge" else {},
            "Labels": {},
        }


def _add_bridge(rtnetlink: Rtnetlink, name: str, index: int, mac: str) -> int:
    """Make a bridge that is up; its index, which is another one where a link made by hand has `index`."""
    try:
        rtnetlink.link_add("bridge", name, index=index, mac=mac)
        return index
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            raise Unavailable("this kernel has no bridges for a lab; use --network none or --network host") from None
        if error.errno not in (errno.EEXIST, errno.EBUSY):
            raise
    if any(link["name"] == name for link in rtnetlink.links()):
        raise Conflict(
            f"cannot make {name}: a link of that name was made by hand; `ip link del {name}` in a %%lab cell makes room"
        )
    rtnetlink.link_add("bridge", name, mac=mac)
    return next(int(link["index"]) for link in rtnetlink.links() if link["name"] == name)


def enable_forwarding() -> None:
    """Runs inside: what `sysctl -w net.ipv4.ip_forward=1` does, on the lab's host."""
    with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
        file.write("1")
