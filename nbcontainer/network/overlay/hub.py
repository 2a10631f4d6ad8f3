"""The channel of nodes that live in one process; and what a server of others asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from nbcontainer.errors import Conflict, NotFound
from nbcontainer.network.overlay.entries import Definition, Entry, Watcher

#: The first number of a network: Docker's, too, count from here.
FIRST_VNI = 4097
LAST_VNI = (1 << 24) - 1


class Hub:
    """Knows every network and every entry, and who wants to hear of them (`entries.Channel`)."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._networks: dict[str, Definition] = {}
        self._members: dict[str, set[str]] = {}
        self._entries: dict[tuple[str, str], Entry] = {}
        self._watchers: list[tuple[str, str, Watcher]] = []

    def networks(self) -> Sequence[Definition]:
        """Every network that some node has, by name."""
        with self._lock:
            return [self._networks[name] for name in sorted(self._networks)]

    def entries(self, network: str) -> Sequence[Entry]:
        """Who is on a network, by address."""
        with self._lock:
            found = [entry for (name, _), entry in self._entries.items() if name == network]
        return sorted(found, key=lambda entry: tuple(map(int, entry.ip.split("."))))

    def define(self, node: str, definition: Definition) -> Definition:
        """`Channel.define`: the first node says what it is, the others must say the same."""
        with self._lock:
            known = self._networks.get(definition.name)
            if known is None:
                known = self._new(definition)
            elif (known.subnet, known.gateway) != (definition.subnet, definition.gateway):
                raise Conflict(
                    f"overlay network {known.name} is {known.subnet} with gateway {known.gateway} on other nodes"
                )
            self._members.setdefault(known.name, set()).add(node)
            return known

    def _new(self, definition: Definition) -> Definition:
        for other in self._networks.values():
            if IPv4Network(other.subnet).overlaps(IPv4Network(definition.subnet)):
                raise Conflict(f"Pool overlaps with overlay network {other.name} on this address space: {other.subnet}")
        taken = {other.vni for other in self._networks.values()}
        if definition.vni in taken:
            raise Conflict(f"VXLAN network identifier {definition.vni} is another network's")
        vni = definition.vni or next(number for number in range(FIRST_VNI, LAST_VNI) if number not in taken)
        made = self._networks[definition.name] = replace(definition, vni=vni)
        return made

    def leave(self, node: str, network: str) -> None:
        """`Channel.leave`: with the last node the network is gone."""
        with self._lock:
            for entry in [entry for entry in self._entries.values() if (entry.network, entry.node) == (network, node)]:
                self.withdraw(entry)
            members = self._members.get(network, set())
            members.discard(node)
            if not members:
                self._members.pop(network, None)
                self._networks.pop(network, None)

    def announce(self, entry: Entry) -> None:
        """`Channel.announce`."""
        with self._lock:
            if entry.network not in self._networks:
                raise NotFound(f"network {entry.network} not found")
            key = (entry.network, entry.ip)
            known = self._entries.get(key)
            if known is not None and known.node != entry.node:
                raise Conflict(f"Address already in use: {entry.ip} belongs to {known.name} on node {known.node}")
            if known is not None:
                self._tell(known, False)
            self._entries[key] = entry
            self._tell(entry, True)

    def withdraw(self, entry: Entry) -> None:
        """`Channel.withdraw`: only the node that announced it can."""
        with self._lock:
            known = self._entries.get((entry.network, entry.ip))
            if known is not None and known.node == entry.node:
                del self._entries[entry.network, entry.ip]
                self._tell(known, False)

    def watch(self, node: str, network: str, watcher: Watcher) -> Callable[[], None]:
        """`Channel.watch`. The watcher is called by the thread that announces, one call at a time."""
        subscription = (node, network, watcher)
        with self._lock:
            self._watchers.append(subscription)
            for entry in self.entries(network):
                if entry.node != node:
                    watcher(entry, True)

        def end() -> None:
            with self._lock:
                if subscription in self._watchers:
                    self._watchers.remove(subscription)

        return end

    def _tell(self, entry: Entry, there: bool) -> None:
        for node, network, watcher in list(self._watchers):
            if network == entry.network and node != entry.node:
                watcher(entry, there)
