"""Several labs of one process as nodes: an underlay that joins them, and one channel."""

from __future__ import annotations

import itertools
import os
from ipaddress import IPv4Network
from typing import Any, Self, cast

from nbcontainer.errors import Conflict, InvalidArgument, LabGone
from nbcontainer.lab.process import Process
from nbcontainer.network.endpoint import mac_of
from nbcontainer.network.overlay import cable
from nbcontainer.network.overlay.driver import Overlay, join
from nbcontainer.network.overlay.entries import Channel
from nbcontainer.network.overlay.hub import Hub

#: The link to the other nodes on each lab's host, and its addresses: the first lab's is 192.168.50.1.
LINK = "underlay0"
SUBNET = IPv4Network("192.168.50.0/24")


class Underlay:
    """An Ethernet segment that joins labs: each gets the link `underlay0`, with an address."""

    def __init__(self, *labs: Any, subnet: IPv4Network = SUBNET, link: str = LINK) -> None:
        if len(labs) < 2:
            raise InvalidArgument("an underlay joins two labs or more")
        if len(labs) > min(30, subnet.num_addresses - 2):
            raise InvalidArgument(f"an underlay joins at most {min(30, subnet.num_addresses - 2)} labs")
        self.labs = labs
        self.link = link
        self.addresses = [str(ip) for ip in itertools.islice(subnet.hosts(), len(labs))]
        self._process: Process | None = None
        plugged: list[tuple[Any, int]] = []
        try:
            for lab, ip in zip(labs, subnet.hosts(), strict=False):
                try:
                    made = lab.call(cable.plug, link, mac_of(ip), str(ip), subnet.prefixlen)
                except FileExistsError:
                    raise Conflict(f"{lab} has a link {link} already: it is a node of another cluster") from None
                plugged.append((lab, cast("tuple[None, list[int]]", made)[1][0]))
            sockets = [fd for _, fd in plugged]
            pidfds = [lab.pidfd for lab in labs]
            self._process = labs[0].spawn(cable.carry, len(sockets), fds=[*sockets, *pidfds])
        except BaseException:
            self._unplug([lab for lab, _ in plugged])
            raise
        finally:
            for _, fd in plugged:
                os.close(fd)

    def _unplug(self, labs: list[Any]) -> None:
        for lab in labs:
            try:
                lab.call(cable.unplug, self.link)
            except LabGone:
                continue

    def close(self) -> None:
        """Take the cable away."""
        if self._process is not None:
            self._process.kill()
            self._process = None
            self._unplug([lab for lab in self.labs if not lab.closed])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cluster:
    """Labs as nodes of one cluster: `%network create -d overlay` in one of them reaches over all.

    >>> with Lab() as node1, Lab() as node2, Cluster(node1, node2):
    ...     for node in (node1, node2):
    ...         node.networks.create("net", driver="overlay")

    Raises `Conflict` for a lab that is a node of another cluster.
    """

    def __init__(self, *labs: Any, channel: Channel | None = None) -> None:
        self.labs = labs
        self.channel: Channel = channel or Hub()
        self.underlay = Underlay(*labs)
        self._joined: list[Overlay] = []
        try:
            for lab, address in zip(labs, self.underlay.addresses, strict=True):
                join(lab, address, self.channel)
                self._joined.append(lab.networks.driver("overlay"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The labs are nodes no more."""
        for driver in self._joined:
            driver.leave()
        self._joined.clear()
        self.underlay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
