"""The driver `overlay`: a bridge on each node, and a tunnel between them.

A lab is a node once it has an address that the others can send to, and a channel: `join`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError, Unavailable
from nbcontainer.network.drivers import Bridge
from nbcontainer.network.endpoint import Endpoint
from nbcontainer.network.network import MTU, Attached, Network, Settings
from nbcontainer.network.overlay import vxlan
from nbcontainer.network.overlay.entries import Channel, Definition, Entry
from nbcontainer.network.wire import Rtnetlink, mac_bytes

if TYPE_CHECKING:
    import socket

    from nbcontainer.network.networks import Networks

#: Docker's option that says which number a network has in the tunnels.
VNI = "com.docker.network.driver.overlay.vxlanid_list"
#: Docker's default pool of overlay networks, in subnets of /24; the first is its ingress network's.
POOL = IPv4Network("10.0.0.0/8")
UNDERLAY_MTU = 1500


@dataclass(frozen=True)
class Node:
    """A lab among others: the address that tunnels to it are sent to, and the channel that says who is where."""

    address: str
    channel: Channel


class Overlay(Bridge):
    """Networks over several nodes. Their addresses are given out by all of them, each the lowest that is free."""

    scope = "swarm"

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks)
        self.node: Node | None = None
        self._watches: dict[str, Callable[[], None]] = {}

    def join(self, address: str, channel: Channel) -> Node:
        """Become a node. Raises `InvalidArgument` for an address that the lab's host does not have, `Conflict`."""
        if self.node is not None:
            raise Conflict(f"this lab is a node already, at {self.node.address}")
        with self.networks.host() as sock:
            if address not in vxlan.addresses(Rtnetlink(sock)):
                raise InvalidArgument(f"{address} is no address of the lab's host: others could not reach this node")
        self.node = Node(address, channel)
        return self.node

    def _joined(self) -> Node:
        if self.node is None:
            raise Unavailable(
                "This lab is no node of a cluster: make it one of several with Cluster(lab, other), or "
                "overlay.driver.join(lab, address, channel), and then overlay networks reach over them"
            )
        return self.node

    # -- networks

    def check(self, settings: Settings) -> Settings:
        """The subnet that other nodes know the network by, else the one asked for, else a free one."""
        node = self._joined()
        if settings.ipv6:
            raise InvalidArgument("overlay networks of this runtime carry IPv4 only")
        known = {definition.name: definition for definition in node.channel.networks()}
        there = known.get(settings.name)
        if there is not None:
            for given, theirs, what in (
                (settings.subnet, there.subnet, "subnet"),
                (settings.gateway, there.gateway, "gateway"),
            ):
                if given and given != (theirs,):
                    raise Conflict(
                        f"overlay network {there.name} has the {what} {theirs} on other nodes, not {given[0]}"
                    )
            return replace(settings, subnet=(there.subnet,), gateway=(there.gateway,))
        if settings.subnet:
            return settings
        taken = [IPv4Network(definition.subnet) for definition in known.values()]
        taken += [network.subnet for network in self.networks.list() if network.subnet is not None]
        free = (net for net in POOL.subnets(new_prefix=24) if net.network_address != POOL.network_address)
        return replace(settings, subnet=(str(next(net for net in free if not any(map(net.overlaps, taken)))),))

    def create(self, network: Network) -> None:
        """The bridge with the network's gateway, and the tunnel as a port of it."""
        node = self._joined()
        wanted = Definition(network.name, str(network.subnet), str(network.gateway), _vni(network))
        definition = node.channel.define(node.address, wanted)
        mtu = network.mtu or UNDERLAY_MTU - vxlan.OVERHEAD
        network.options = {**network.options, VNI: str(definition.vni), MTU: str(mtu)}
        try:
            super().create(network)
            assert network.bridge_index is not None
            with self.networks.host() as sock:
                rtnetlink = Rtnetlink(sock)
                name = _link(definition.vni)
                vxlan.add(rtnetlink, name, definition.vni, node.address, network.bridge_index, mtu, _mac(node.address))
            self._watches[network.name] = node.channel.watch(
                node.address, network.name, lambda entry, there: self._told(network, entry, there)
            )
        except BaseException as error:
            self.remove(network)
            if isinstance(error, OSError) and error.errno == errno.EOPNOTSUPP:
                raise Unavailable("this kernel has no vxlan links (CONFIG_VXLAN): no overlay networks") from None
            raise

    def remove(self, network: Network) -> None:
        """The tunnel and the bridge; the others are told."""
        self._watches.pop(network.name, lambda: None)()
        if VNI in network.options:
            with self.networks.host() as sock:
                rtnetlink = Rtnetlink(sock)
                if vxlan.index_of(rtnetlink, _link(_vni(network))) is not None:
                    rtnetlink.link_delete(_link(_vni(network)))
        super().remove(network)
        self._leave(network)

    def leave(self) -> None:
        """Be a node no more: the others forget what is here."""
        for network in self.networks.list():
            if network.driver == "overlay":
                self._watches.pop(network.name, lambda: None)()
                self._leave(network)
        self.node = None

    def _leave(self, network: Network) -> None:
        self._tell(lambda node: node.channel.leave(node.address, network.name))

    def _tell(self, tell: Callable[[Node], object]) -> None:
        """Say that something is gone. A channel that is gone has told the others already."""
        if self.node is not None:
            with suppress(Unavailable):
                tell(self.node)

    # -- containers

    def connect(self, network: Network, endpoint: Endpoint, netns: int, netlink: socket.socket) -> None:
        """Wire up a container here, and tell the others where it is."""
        node = self._joined()
        try:
            node.channel.announce(self._entry(network, endpoint))
        except NbcontainerError as error:
            raise OSError(errno.EADDRINUSE, str(error), f"address {endpoint.ip} ({error})") from None
        try:
            super().connect(network, endpoint, netns, netlink)
        except BaseException:
            self.released(network, endpoint)
            raise

    def disconnect(self, network: Network, endpoint: Endpoint) -> None:
        """Take it off, and tell the others."""
        self.released(network, endpoint)
        super().disconnect(network, endpoint)

    def released(self, network: Network, endpoint: Endpoint) -> None:
        """Tell the others that it is gone."""
        self._tell(lambda node: node.channel.withdraw(self._entry(network, endpoint)))

    def _entry(self, network: Network, endpoint: Endpoint) -> Entry:
        there = next((there for there in network.attached.values() if there.endpoint.ip == endpoint.ip), None)
        name, aliases = (there.name, there.aliases) if there is not None else ("", ())
        return Entry(network.name, endpoint.ip, endpoint.mac, self._joined().address, name, tuple(aliases))

    def _told(self, network: Network, entry: Entry, there: bool) -> None:
        """Another node has said that a container is there, or gone."""
        address = ip_address(entry.ip)
        pool = network.pool4
        if pool is None or address not in pool.subnet or entry.node == self._joined().address:
            return
        act: Any = vxlan.learn if there else vxlan.forget
        if there:
            pool.used.setdefault(address, f"{entry.name} on node {entry.node}")
            network.elsewhere[entry.ip] = Attached(entry.name, _far(network, entry), entry.aliases)
        else:
            pool.give_back(address)
            network.elsewhere.pop(entry.ip, None)
        if self.networks.lab.closed or self.networks.lab.gone:
            return
        with self.networks.host() as sock:
            rtnetlink = Rtnetlink(sock)
            index = vxlan.index_of(rtnetlink, _link(_vni(network)))
            if index is not None:
                act(rtnetlink, index, entry.ip, entry.mac, entry.node)


def join(lab: Any, address: str, channel: Channel) -> Node:
    """Make a lab a node: `address` is one of its host's, which the other nodes reach."""
    driver = lab.networks.driver("overlay")
    assert isinstance(driver, Overlay)
    return driver.join(address, channel)


def _vni(network: Network) -> int:
    text = network.options.get(VNI, "0")
    if not text.isdigit() or not 0 <= int(text) < 1 << 24:
        raise InvalidArgument(f"invalid value for {VNI}: {text}: it is a number below {1 << 24}")
    return int(text)


def _link(vni: int) -> str:
    return f"vxlan{vni}"


def _mac(address: str) -> str:
    """Of the node's end of a tunnel; it shows nowhere but in `ip link`."""
    return (mac_bytes("02:45") + IPv4Address(address).packed).hex(":")


def _far(network: Network, entry: Entry) -> Endpoint:
    """Where a container of another node is, for who asks for its name."""
    assert network.subnet is not None
    return Endpoint(
        network=network.name, ip=entry.ip, prefixlen=network.subnet.prefixlen, gateway="", broadcast="", mac=entry.mac,
        veth="", host_mac="", ifindex=0, bridge=network.bridge, bridge_index=0,
    )  # fmt: skip
