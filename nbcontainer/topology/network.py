"""A topology that is up, and those of a lab."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nbcontainer.errors import Conflict, InvalidArgument, LabGone, NbcontainerError, NotFound, Unavailable
from nbcontainer.topology import build, ping, relink, throughput, trace
from nbcontainer.topology.graph import Node, Topology
from nbcontainer.topology.path import found_path
from nbcontainer.topology.plan import Plan
from nbcontainer.topology.results import Flow, Flows, Path, Reach
from nbcontainer.topology.settle import PATIENCE
from nbcontainer.topology.wiring import wiring

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.container.containers import Containers
    from nbcontainer.lab.handle import Handle
    from nbcontainer.network.namespaces import Namespaces
    from nbcontainer.network.netns import Netns

T = TypeVar("T")

#: What a host that is a container runs unless told otherwise.
IDLE = ("sleep", "2147483647")


class TopologyNetwork:
    """A topology that is up: `with Topology.tree(2, 2) as net: net.pingall()`."""

    def __init__(self, topologies: Topologies, plan: Plan, wired: dict[str, Any]) -> None:
        self.topology = plan.topology
        self.plan = plan
        self.lab = topologies.lab
        self.containers: dict[str, Container] = {}
        self.is_up = True
        self._topologies = topologies
        self._wired = wired

    @property
    def name(self) -> str:
        """The topology's name."""
        return self.topology.name

    def __repr__(self) -> str:
        return repr(self.topology).replace("<Topology", "<TopologyNetwork", 1)

    # -- what is in it

    def __getitem__(self, name: str) -> Netns:
        """The network namespace of a node: `net["h1"].exec(["ip", "addr"])`. Raises `NotFound`.

        Switches share one, which has the topology's name.
        """
        node = self.topology.node(name)
        return self._topologies.namespaces.get(self.name if node.kind == "switch" else name)

    def address(self, name: str) -> str:
        """A node's first address. Raises `NotFound`, `InvalidArgument` for a switch."""
        return str(self.plan.address(self.topology.node(name).name))

    # -- change

    def cut(self, a: str, b: str) -> None:
        """Take the links between two nodes down, as Mininet's `link a b down`. Raises `NotFound`."""
        self._switch(a, b, False)

    def mend(self, a: str, b: str) -> None:
        """Bring them up again. Both wait until the switches have found their new ways."""
        self._switch(a, b, True)

    def _switch(self, a: str, b: str, on: bool) -> None:
        self.topology.node(a), self.topology.node(b)
        names = []
        for ends in self.plan.ends:
            if {a, b} == {end.node for end in ends}:
                # A host forgets routes with its link, a switch has none: so that end goes down.
                end = next((end for end in ends if end.node in self.topology.switches), ends[0])
                names.append([end.node, end.name])
        if not names:
            raise NotFound(f"no link between {a} and {b} in {self.name}")
        try:
            self._call(relink.switch_links, self._wired, names, on)
        except OSError as error:
            raise _explained(error, self.plan) from None

    def closed_links(self) -> dict[int, str]:
        """The links at switches that pass nothing on: `blocked` by the spanning tree, or `down`.

        By their place in `topology.links`: two cables may lead to the same switch.
        """
        if not self.is_up or not self.topology.switches:
            return {}
        ports = self._call(relink.states, self.name)
        found = {}
        for at, ends in enumerate(self.plan.ends):
            said = [ports[end.name] for end in ends if end.node in self.topology.switches and end.name in ports]
            if said:
                found[at] = "down" if "down" in said else said[0]
        return found

    # -- measure

    def pingall(self, hosts: Iterable[str] | None = None, *, count: int = 1, timeout: float = 2.0) -> Reach:
        """Every host pings every other, `count` times; what has no answer after `timeout` seconds is lost.

        With more hosts than the machine's ARP table has room for, that is emptied in between. Raises `NotFound`.
        """
        names = [self._place(name).name for name in hosts] if hosts is not None else self._with_address()
        return self._ping([(a, b) for a in names for b in names if a != b], tuple(names), count, timeout)

    def ping(self, a: str, b: str, *, count: int = 1, timeout: float = 2.0) -> Reach:
        """One pings another."""
        self._place(a), self._place(b)
        return self._ping([(a, b)], (a, b), count, timeout)

    def _ping(self, pairs: list[tuple[str, str]], names: tuple[str, ...], count: int, timeout: float) -> Reach:
        targets = {a: [b for start, b in pairs if start == a] for a in names}
        sources = [a for a in names if targets[a]]
        asked = [[self.address(b) for b in targets[a]] for a in sources]
        found = self._call(ping.ping_all, sources, asked, timeout, count)
        rtts = {
            (a, b): tuple(answers)
            for a, results in zip(sources, found, strict=True)
            for b, answers in zip(targets[a], results, strict=True)
        }
        return Reach(names, rtts, count)

    def iperf(
        self, sender: str | None = None, receiver: str | None = None, *, seconds: float = 1.0, timeout: float = 10.0
    ) -> Flow:
        """What TCP carries in `seconds` from one host to another; as in Mininet, from the first to the last by default.

        Raises `Unavailable` where there is no connection after `timeout` seconds.
        """
        hosts = self._with_address()
        if sender is None or receiver is None:
            if len(hosts) < 2:
                raise InvalidArgument(f"{self.name} has fewer than two hosts: name a sender and a receiver")
            sender, receiver = sender or hosts[0], receiver or hosts[-1]
        self._place(sender), self._place(receiver)
        address = self.address(receiver)
        try:
            count, took = self._call(throughput.measure, sender, receiver, address, seconds, timeout)
        except OSError as error:
            raise Unavailable(f"no TCP connection from {sender} to {receiver} ({address}): {error.strerror}") from None
        return Flow(sender, receiver, 8 * count / took if took else 0.0)

    def flows(self, hosts: Iterable[str] | None = None, *, seconds: float = 1.0, timeout: float = 10.0) -> Flows:
        """The same for every pair of hosts, one pair after the other."""
        names = list(hosts) if hosts is not None else self._with_address()
        pairs = itertools.combinations(names, 2)
        return Flows(self.iperf(a, b, seconds=seconds, timeout=timeout) for a, b in pairs)

    def trace(self, source: str, target: str, *, most: int = 30, timeout: float = 1.0) -> Path:
        """The way from one host to another: routers by their answers, switches by what they have learned."""
        self._place(source), self._place(target)
        answers = self._call(trace.trace, source, self.address(target), most, timeout)
        switches = self._call(trace.learned, self.name) if self.topology.switches else []
        return found_path(self.plan, source, target, answers, switches)

    def _place(self, name: str) -> Node:
        node = self.topology.node(name)
        if node.kind == "switch":
            raise InvalidArgument(f"{name} is a switch: it has no address; name hosts or routers")
        return node

    def _with_address(self) -> list[str]:
        return [name for name in self.topology.hosts if self.plan.addresses(name)]

    def _call(self, target: Callable[..., T], *args: Any) -> T:
        if not self.is_up:
            raise Conflict(f"topology {self.name} is down")
        try:
            return self.lab.call(target, *args)
        except FileNotFoundError as error:
            gone = str(error.filename).rpartition("/")[2]
            raise NotFound(f"the network namespace of {gone} is gone: it was deleted by hand") from None

    # -- the end

    def down(self) -> None:
        """Take it away; a second time does nothing."""
        self._topologies.down(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


class Topologies:
    """The topologies that are up in `lab`."""

    def __init__(self, lab: Handle, namespaces: Namespaces, containers: Callable[[], Containers]) -> None:
        self.lab = lab
        self.namespaces = namespaces
        self._containers = containers
        self._lock = threading.Lock()
        self._up: dict[str, TopologyNetwork] = {}

    def list(self) -> Sequence[TopologyNetwork]:
        """Those that are up, by name."""
        return [self._up[name] for name in sorted(self._up)]

    def get(self, name: str | None = None) -> TopologyNetwork:
        """The one of this name; without a name the only one there is. Raises `NotFound`, `Conflict`."""
        if name is not None and name in self._up:
            return self._up[name]
        if name is None and len(self._up) == 1:
            return next(iter(self._up.values()))
        if name is None and self._up:
            raise Conflict(f"which topology? There are {', '.join(sorted(self._up))}")
        raise NotFound(f"no topology {name} is up" if name else "no topology is up: `%topology up tree 2 2` makes one")

    def up(self, topology: Topology) -> TopologyNetwork:
        """Make it. Raises `Conflict` where a name is taken, `Unavailable` for what this kernel cannot do."""
        with self._lock:
            if topology.name in self._up:
                raise Conflict(f"topology {topology.name} is up already: take it down, or call this one something else")
            if topology.name in topology.nodes:
                raise InvalidArgument(f"a node and the topology are both called {topology.name}: rename one of them")
            plan = Plan.of(topology)
            network = TopologyNetwork(self, plan, wiring(plan))
            try:
                self._check_names(network)
                self._start_containers(network)
                self.lab.call(build.make, network._wired)
            except OSError as error:  # and what was made is gone again
                self._remove_containers(network)
                raise _explained(error, plan) from None
            except BaseException:  # Ctrl-C: nobody else knows how far it came
                self._take_away(network)
                raise
            self._up[topology.name] = network
            return network

    def _check_names(self, network: TopologyNetwork) -> None:
        taken = set(self.namespaces.names())
        for name in (network.name, *(node["name"] for node in network._wired["nodes"])):
            if name in taken:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)

    def _start_containers(self, network: TopologyNetwork) -> None:
        for node in network.topology.of_kind("host"):
            if node.image is not None:
                network.containers[node.name] = self._start(node.name, node.image, node.command or IDLE)

    def _start(self, name: str, image: str, command: tuple[str, ...]) -> Container:
        container = self._containers().run(image, command, name=name, network="none", detach=True)
        assert container.process is not None
        fd = self.namespaces.opener.netns(container.process.pidfd)
        try:
            self.namespaces.name(name, fd)
        except BaseException:
            container.remove(force=True)
            raise
        finally:
            os.close(fd)
        return container

    def down(self, network: TopologyNetwork) -> None:
        """Take it away."""
        with self._lock:
            if network.is_up:
                self._take_away(network)
                self._up.pop(network.name, None)

    def _take_away(self, network: TopologyNetwork) -> None:
        network.is_up = False
        wired = network._wired
        names = [wired["home"], *(node["name"] for node in wired["nodes"] if not node["container"])]
        try:
            self.lab.call(build.unmake, names)
            self._remove_containers(network)
        except LabGone:
            pass  # and everything with it

    def _remove_containers(self, network: TopologyNetwork) -> None:
        for name, container in network.containers.items():
            with suppress(NotFound):
                self.namespaces.delete(name)
            with suppress(NotFound):  # it may have been removed by hand
                container.remove(force=True)
        network.containers.clear()


def _explained(error: OSError, plan: Plan) -> NbcontainerError:
    """What the kernel refused, in one line with the remedy."""
    what = str(error.filename)
    if what.startswith("netem ") and error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
        link = next(link for link in plan.topology.links if f"netem {link}" == what)
        return Unavailable(
            f"link {link} wants {link.quality}, but this kernel has no netem (CONFIG_NET_SCH_NETEM, "
            "`modprobe sch_netem`): it can limit a rate, not delay or lose packets"
        )
    if what.startswith("tbf ") and error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
        return Unavailable(f"link {what[4:]} wants a rate, but this kernel has no tbf (CONFIG_NET_SCH_TBF)")
    if error.errno == errno.ETIMEDOUT:
        return Unavailable(f"{what} of {plan.topology.name} have not settled in {PATIENCE:g} seconds")
    if error.errno == errno.EEXIST and what in (plan.topology.name, *plan.topology.nodes):
        return Conflict(f"there is a network namespace {what} already: `ip netns del {what}`, or another name")
    if error.errno in (errno.EEXIST, errno.EBUSY):
        return Conflict(f"cannot make {what}: there is one already")
    if error.errno == errno.EOPNOTSUPP:
        return Unavailable(f"cannot make {what}: this kernel lacks bridges or veth links for a lab")
    if error.errno == errno.ENODEV:
        return NotFound(f"{what} is gone: it was deleted by hand")
    return NbcontainerError(f"cannot make {what}: {error.strerror}")
