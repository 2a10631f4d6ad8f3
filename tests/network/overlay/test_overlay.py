"""Two labs as two nodes: what one says to the other goes through a tunnel of the kernel's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, StartFailed, Unavailable
from nbcontainer.network.overlay.cluster import Cluster, Underlay
from nbcontainer.network.overlay.control import Client, Server
from nbcontainer.network.overlay.driver import VNI, join
from nbcontainer.network.overlay.hub import Hub
from nbcontainer.runtime import Lab

ETH_P_ALL = 3


@pytest.fixture
def nodes(lab: Any, busybox: Any) -> Iterator[tuple[Any, Any]]:
    """Two labs, not joined yet."""
    with Lab() as other:
        yield lab, other


@pytest.fixture
def cluster(nodes: tuple[Any, Any]) -> Iterator[Cluster]:
    """The same with a network `net` on both."""
    with Cluster(*nodes) as cluster:
        for node in nodes:
            node.networks.create("net", driver="overlay")
        yield cluster


def sh(lab: Any, script: str) -> str:
    result = on_host.run(lab, ["sh", "-c", script])
    assert result.exit_code == 0, result.stderr
    return str(result.stdout.decode())


def sleeper(node: Any, name: str, **options: Any) -> Any:
    return node.containers.run("busybox", ["sleep", "1000"], name=name, network="net", detach=True, **options)


class Capture:
    """What goes over a node's end of the underlay, from now on."""

    def __init__(self, lab: Any) -> None:
        self.sock = lab.netns.opener.new(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setblocking(False)

    def frames(self) -> list[bytes]:
        found = []
        while True:
            try:
                frame, address = self.sock.recvfrom(1 << 16)
            except BlockingIOError:
                return found
            if address[0] == "underlay0":
                found.append(frame)

    def tunnelled(self) -> list[tuple[str, str, int, bytes]]:
        """The encapsulated frames: the outer addresses, the network's number, the inner frame (RFC 7348)."""
        found = []
        for frame in self.frames():
            if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
                continue
            start = 14 + (frame[14] & 15) * 4
            if struct.unpack_from("!H", frame, start + 2)[0] != 4789:
                continue
            source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            assert frame[start + 8] == 8, "the flag that says that the number is valid"
            number = int.from_bytes(frame[start + 12 : start + 15], "big")
            found.append((source, target, number, frame[start + 16 :]))
        return found


def test_process1_on_node1_reaches_process2_on_node2(nodes: tuple[Any, Any], cluster: Cluster) -> None:
    """The text's sentence: "node1上的process1访问node2上的process2,通过隧道的方式直接访问"."""
    node1, node2 = nodes
    process2 = node2.containers.run(
        "busybox", ["httpd", "-f", "-p", "80", "-h", "/etc"], name="process2", network="net", detach=True
    )
    process1 = sleeper(node1, "process1")
    assert (process1.endpoint.ip, process2.endpoint.ip) == ("10.0.1.3", "10.0.1.2")
    capture = Capture(node1)
    # Through no port of a node, through no translation: the address of one is what the other sees.
    assert process1.exec(["wget", "-q", "-O-", "http://10.0.1.2/hostname"]).stdout.decode().strip() == process2.short_id
    assert process1.exec(["ping", "-c", "2", "-w", "20", "10.0.1.2"]).exit_code == 0
    seen = capture.tunnelled()
    assert {(source, target) for source, target, _, _ in seen} == {
        ("192.168.50.1", "192.168.50.2"),
        ("192.168.50.2", "192.168.50.1"),
    }
    assert {number for _, _, number, _ in seen} == {4097}
    inner = {(f[12:14].hex(), socket.inet_ntoa(f[26:30]), socket.inet_ntoa(f[30:34]), f[23]) for *_, f in seen}
    assert inner == {
        ("0800", "10.0.1.3", "10.0.1.2", socket.IPPROTO_TCP),
        ("0800", "10.0.1.2", "10.0.1.3", socket.IPPROTO_TCP),
        ("0800", "10.0.1.3", "10.0.1.2", socket.IPPROTO_ICMP),
        ("0800", "10.0.1.2", "10.0.1.3", socket.IPPROTO_ICMP),
    }
    assert all(frame[0] & 1 == 0 for *_, frame in seen), "a broadcast went through the tunnel"


def test_they_find_each_other_by_name(nodes: tuple[Any, Any], cluster: Cluster) -> None:
    node1, node2 = nodes
    sleeper(node2, "process2", network_alias=["service"])
    process1 = sleeper(node1, "process1")
    for name in ("process2", "service"):
        assert process1.exec(["ping", "-c", "1", "-w", "20", name]).exit_code == 0


def test_the_control_side_fills_the_tables(nodes: tuple[Any, Any], cluster: Cluster) -> None:
    node1, node2 = nodes
    process2 = sleeper(node2, "process2")
    shown = sh(node1, "bridge fdb show dev vxlan4097; ip neigh show dev vxlan4097; ip -d link show vxlan4097")
    assert "02:42:0a:00:01:02 dst 192.168.50.2 self permanent" in shown
    assert "10.0.1.2 lladdr 02:42:0a:00:01:02 PERMANENT" in shown
    assert "nolearning proxy" in shown
    assert "learning off flood off" in shown
    process2.stop(timeout=0)
    assert "10.0.1.2" not in sh(node1, "bridge fdb show dev vxlan4097; ip neigh show dev vxlan4097")
    assert "10.0.1.2" not in str(cluster.channel.networks())


def test_nothing_is_flooded(nodes: tuple[Any, Any], cluster: Cluster) -> None:
    """Who is not known is asked for in vain, and not on the underlay."""
    process1 = sleeper(nodes[0], "process1")
    capture = Capture(nodes[0])
    assert process1.exec(["ping", "-c", "1", "-W", "1", "10.0.1.77"]).exit_code != 0
    assert capture.tunnelled() == []


def test_addresses_are_given_out_once(nodes: tuple[Any, Any], cluster: Cluster) -> None:
    node1, node2 = nodes
    ips = [sleeper(node, f"c{turn}").endpoint.ip for turn in range(3) for node in (node1, node2)]
    assert ips == [f"10.0.1.{last}" for last in range(2, 8)]
    with pytest.raises(Conflict, match=r"Address already in use: 10.0.1.2 belongs to container c0 on node"):
        sleeper(node2, "other", ip="10.0.1.2")


def test_networks_are_the_same_on_every_node(nodes: tuple[Any, Any]) -> None:
    node1, node2 = nodes
    with Cluster(*nodes):
        first = node1.networks.create("a", driver="overlay", subnet="10.9.0.0/16")
        with pytest.raises(Conflict, match=r"has the subnet 10.9.0.0/16 on other nodes, not 10.8"):
            node2.networks.create("a", driver="overlay", subnet="10.8.0.0/16")
        assert node2.networks.create("a", driver="overlay").subnet == first.subnet
        second = node2.networks.create("b", driver="overlay")
        assert first.options["com.docker.network.driver.overlay.vxlanid_list"] == "4097"
        assert second.options["com.docker.network.driver.overlay.vxlanid_list"] == "4098"
        shown = node2.networks.inspect("b")
        assert (shown["Driver"], shown["Scope"]) == ("overlay", "swarm")
        assert shown["IPAM"]["Config"] == [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]
        node1.networks.remove("a")
        node2.networks.remove("a")
        assert str(node1.networks.create("a", driver="overlay").subnet) == "10.0.2.0/24"


def test_a_lab_that_is_no_node(lab: Any) -> None:
    with pytest.raises(Unavailable, match="This lab is no node of a cluster"):
        lab.networks.create("net", driver="overlay")
    with pytest.raises(InvalidArgument, match="is no address of the lab's host"):
        join(lab, "192.168.9.9", Hub())
    with pytest.raises(InvalidArgument, match="two labs or more"):
        Underlay(lab)


def test_nothing_is_left_of_a_cluster(nodes: tuple[Any, Any]) -> None:
    before = [sh(node, "ip -brief link") for node in nodes]
    for _ in range(2):
        with Cluster(*nodes) as cluster:
            with pytest.raises(Conflict, match="a node of another cluster"):
                Cluster(*nodes)
            nodes[0].networks.create("net", driver="overlay")
            nodes[0].networks.remove("net")
            assert cluster.channel.networks() == []
        assert [sh(node, "ip -brief link") for node in nodes] == before


def test_a_node_that_ends_is_forgotten(lab: Any, busybox: Any) -> None:
    with Lab() as other:
        cluster = Cluster(lab, other)
        for node in (lab, other):
            node.networks.create("net", driver="overlay")
        sleeper(other, "process2")
        assert "10.0.1.2" in sh(lab, "ip neigh show dev vxlan4097")
        other.close()
        assert "10.0.1.2" not in sh(lab, "ip neigh show dev vxlan4097")
        cluster.close()


def test_three_nodes(lab: Any, busybox: Any) -> None:
    with ExitStack() as stack:
        labs = [lab, *(stack.enter_context(Lab()) for _ in range(2))]
        stack.enter_context(Cluster(*labs))
        for node in labs:
            node.networks.create("net", driver="overlay")
        containers = [sleeper(node, "here") for node in labs]
        for a in containers:
            for b in containers:
                assert a.exec(["ping", "-c", "1", "-w", "20", b.endpoint.ip]).exit_code == 0


def test_a_node_whose_channel_is_tcp(nodes: tuple[Any, Any]) -> None:
    """As two machines do it: an address each, and a connection to a server that one of them has."""
    node1, node2 = nodes
    hub = Hub()
    with Server(hub) as server, Client(server.address, server.token) as client, Underlay(node1, node2):
        join(node1, "192.168.50.1", hub)
        join(node2, "192.168.50.2", client)
        for node in nodes:
            node.networks.create("net", driver="overlay")
        process1, process2 = sleeper(node1, "process1"), sleeper(node2, "process2")
        assert process1.exec(["ping", "-c", "1", "-w", "20", process2.endpoint.ip]).exit_code == 0
        assert process2.exec(["ping", "-c", "1", "-w", "20", "process1"]).exit_code == 0
        assert [(entry.ip, entry.node) for entry in hub.entries("net")] == [
            ("10.0.1.2", "192.168.50.1"),
            ("10.0.1.3", "192.168.50.2"),
        ]
        server.close()
        with pytest.raises((StartFailed, Unavailable), match="the overlay server has gone"):
            sleeper(node2, "late")


def test_a_lab_with_a_name_starts_again_without_the_networks_of_its_cluster(lab: Any, home: Any) -> None:
    with Lab("kept") as named, Cluster(lab, named):
        named.networks.create("net", driver="overlay")
        named.networks.create("own")
    with Lab("kept") as named:
        assert [network.name for network in named.networks.list()] == ["bridge", "host", "none", "own"]


def test_what_an_overlay_network_cannot_be(nodes: tuple[Any, Any]) -> None:
    with Cluster(*nodes):
        with pytest.raises(InvalidArgument, match="carry IPv4 only"):
            nodes[0].networks.create("net", driver="overlay", ipv6=True)
        with pytest.raises(InvalidArgument, match="it is a number below"):
            nodes[0].networks.create("net", driver="overlay", opt={VNI: "many"})
        assert nodes[0].networks.create("net", driver="overlay", opt={VNI: "77"}).options[VNI] == "77"
        assert "id 77 local 192.168.50.1" in sh(nodes[0], "ip -d link show vxlan77")
