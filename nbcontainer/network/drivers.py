"""What makes a network real: one driver for each kind that `network create -d` knows.

A driver is added to `DRIVERS` by its name. `Networks` keeps who is on a network and what address they have; the driver
makes links.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbcontainer.errors import Conflict, Unavailable
from nbcontainer.network import wire
from nbcontainer.network.endpoint import Endpoint, mac_of
from nbcontainer.network.network import Network, Settings
from nbcontainer.network.wire import Rtnetlink

if TYPE_CHECKING:
    from nbcontainer.network.networks import Networks


class Driver:
    """A kind of network."""

    #: Docker's word for how far it reaches.
    scope = "local"

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    def check(self, settings: Settings) -> Settings:
        """The settings, completed where the driver knows better than `Networks`.

        Raises `InvalidArgument` for those that this kind of network cannot have, `Unavailable`.
        """
        return settings

    def create(self, network: Network) -> None:
        """Make its links on the lab's host. Raises `Conflict`, `Unavailable`."""
        raise NotImplementedError

    def remove(self, network: Network) -> None:
        """Take them away; those that are gone already are no error."""
        raise NotImplementedError

    def connect(self, network: Network, endpoint: Endpoint, netns: int, netlink: socket.socket) -> None:
        """Wire up a container: `netns` is a descriptor of its namespace, `netlink` a socket in it.

        Raises `OSError`, whose filename says at what.
        """
        with self.networks.host() as host:
            wire.connect(endpoint.to_json(), host, netns, netlink)

    def disconnect(self, network: Network, endpoint: Endpoint) -> None:
        """Take a container's link away, also one that was deleted by hand."""
        with self.networks.host() as host:
            wire.disconnect(endpoint.to_json(), host)

    def released(self, network: Network, endpoint: Endpoint) -> None:
        """The container has ended; its links end with its namespace."""


class Bridge(Driver):
    """A bridge on the lab's host, which has the network's gateway address."""

    def create(self, network: Network) -> None:
        """Make the bridge, up, with its addresses."""
        assert network.gateway is not None
        assert network.subnet is not None
        with self.networks.host() as sock:
            rtnetlink = Rtnetlink(sock)
            wanted = self.networks.next_index(network)
            index = add_link(rtnetlink, "bridge", network.bridge, wanted, mac_of(network.gateway), network.mtu)
            rtnetlink.address_add(
                index, str(network.gateway), network.subnet.prefixlen, str(network.subnet.broadcast_address)
            )
            if network.subnet6 is not None:
                rtnetlink.address_add(index, str(network.gateway6), network.subnet6.prefixlen)
        network.bridge_index = index

    def remove(self, network: Network) -> None:
        """Delete the bridge."""
        if network.bridge_index is None:
            return
        with self.networks.host() as sock:
            rtnetlink = Rtnetlink(sock)
            links = {link["name"]: link["index"] for link in rtnetlink.links()}
            if links.get(network.bridge) == network.bridge_index:
                rtnetlink.link_delete(network.bridge)
        network.bridge_index = None


def add_link(rtnetlink: Rtnetlink, kind: str, name: str, index: int, mac: str, mtu: int | None = None) -> int:
    """Make a link that is up; its index, which is another one where a link made by hand has `index`."""
    try:
        rtnetlink.link_add(kind, name, index=index, mac=mac, mtu=mtu or 0)
        return index
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            raise Unavailable(f"this kernel has no {kind}s for a lab; use --network none or --network host") from None
        if error.errno not in (errno.EEXIST, errno.EBUSY):
            raise
    if any(link["name"] == name for link in rtnetlink.links()):
        raise Conflict(
            f"cannot make {name}: a link of that name was made by hand; `ip link del {name}` in a %%lab cell makes room"
        )
    rtnetlink.link_add(kind, name, mac=mac, mtu=mtu or 0)
    return next(int(link["index"]) for link in rtnetlink.links() if link["name"] == name)


def _overlay(networks: Networks) -> Driver:
    from nbcontainer.network.overlay.driver import Overlay  # which is made of this module's

    return Overlay(networks)


#: By the name that `-d` takes. `host` and `null` are not made: every lab has one of each.
DRIVERS: dict[str, Callable[[Networks], Driver]] = {"bridge": Bridge, "overlay": _overlay}
