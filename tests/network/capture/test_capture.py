"""Packets of real links, taken while real programs talk, and read back by tcpdump."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nbcontainer import Capture, Netns
from nbcontainer.errors import InvalidArgument, NotFound
from nbcontainer.network.ip.command import ip

TCPDUMP = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="not installed: tcpdump")


def do(lab: Any, *lines: str) -> None:
    for line in lines:
        ip(lab.netns.host, line.split())


@pytest.fixture
def pair(lab: Any) -> tuple[Netns, Netns]:
    """r1 with eth0 10.1.0.1 and r2 with eth0 10.1.0.2, joined by a cable."""
    lab.netns.add_all(["r1", "r2"], loopback=True)
    do(
        lab,
        "link add name a type veth peer name b",
        "link set a netns r1 name eth0",
        "link set b netns r2 name eth0",
        "-n r1 link set eth0 up",
        "-n r2 link set eth0 up",
        "-n r1 addr add 10.1.0.1/24 dev eth0",
        "-n r2 addr add 10.1.0.2/24 dev eth0",
    )
    return lab.netns.get("r1"), lab.netns.get("r2")


def ping(netns: Netns, address: str) -> None:
    done = netns.exec(["ping", "-c", "1", "-w", "10", address])
    assert done.exit_code == 0, done.stdout + done.stderr


def greet(one: Netns, other: Netns, address: str) -> None:
    """A TCP connection from one to port 80 of the other, a word each way, an orderly end."""
    with other.listen((address, 80)) as server, one.connect((address, 80), 30) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
        assert client.recv(1) == b""


def test_a_ping_and_a_handshake(pair: tuple[Netns, Netns]) -> None:
    r1, r2 = pair
    with Capture("eth0", "arp or icmp or tcp", netns=r2) as c:
        ping(r1, "10.1.0.2")
        greet(r1, r2, "10.1.0.2")
    mac = ip(r2, ["link", "show", "eth0"]).rows[0]["address"]  # type: ignore[union-attr]
    lines = str(c.diagram).split("\n")
    assert lines[:7] == [
        "r1 10.1.0.1 ⇢ r2 10.1.0.2  ARP   who has 10.1.0.2? tell 10.1.0.1",
        f"r2 10.1.0.2 → r1 10.1.0.1  ARP   10.1.0.2 is at {mac}",
        next(line for line in lines if "echo request" in line),
        next(line for line in lines if "echo reply" in line),
        "r1 10.1.0.1 → r2 10.1.0.2  TCP   SYN to port 80",
        "r2 10.1.0.2 → r1 10.1.0.1  TCP   SYN, ACK from port 80",
        "r1 10.1.0.1 → r2 10.1.0.2  TCP   ACK to port 80",
    ]
    assert "PSH, ACK to port 80, 5 bytes" in lines[7]
    assert [packet.number for packet in c.packets] == list(range(1, len(c.packets) + 1))
    first = c.packets[0]
    assert (first.source, first.destination, first.outgoing, first.link) == (
        "10.1.0.1",
        "ff:ff:ff:ff:ff:ff",
        False,
        "eth0",
    )
    assert c.dropped == 0
    assert not c.running
    greet(r1, r2, "10.1.0.2")
    assert len(c.packets) == len(lines)


def test_the_filter_is_the_kernels(pair: tuple[Netns, Netns]) -> None:
    r1, r2 = pair
    ping(r1, "10.1.0.2")
    with Capture("eth0", "tcp[tcpflags] & tcp-syn != 0", netns=r2) as c:
        ping(r1, "10.1.0.2")
        greet(r1, r2, "10.1.0.2")
    assert [packet.info for packet in c.packets] == ["SYN to port 80", "SYN, ACK from port 80"]


def test_while_it_runs(pair: tuple[Netns, Netns]) -> None:
    r1, r2 = pair
    c = Capture("eth0", "icmp", netns=r2)
    assert repr(c) == "<Capture eth0: 0 packets, running>"
    ping(r1, "10.1.0.2")
    assert len(c.wait(2)) == len(c.packets) == 2
    with pytest.raises(TimeoutError, match="2 of 3 packets on eth0"):
        c.wait(3, timeout=0.01)
    assert c.stop() is c.stop()
    assert repr(c) == "<Capture eth0: 2 packets, stopped>"
    limited = Capture("eth0", "icmp", netns=r2, limit=1)
    ping(r1, "10.1.0.2")
    assert len(limited.wait(1)) == 1
    assert not limited.running


def test_what_cannot_be(lab: Any, pair: tuple[Netns, Netns]) -> None:
    with pytest.raises(NotFound, match=r"nosuch: No such device exists \(in r1 there are lo, eth0, and any\)"):
        Capture("nosuch", netns=pair[0])
    with pytest.raises(InvalidArgument, match="capture filter 'frob x': can't parse filter expression"):
        Capture("eth0", "frob x", netns=pair[0])
    for link in ("", "a/b", "x" * 16, "a b"):
        with pytest.raises(InvalidArgument, match="not a valid ifname"):
            Capture(link, lab=lab)
    lab.netns.delete("r1")
    with pytest.raises(NotFound, match='Cannot open network namespace "r1"'):
        Capture("eth0", netns=pair[0])


def test_a_link_or_a_namespace_deleted_under_it(lab: Any, pair: tuple[Netns, Netns]) -> None:
    r1, r2 = pair
    c = Capture("eth0", "icmp", netns=r2)
    ping(r1, "10.1.0.2")
    do(lab, "-n r1 link del eth0")
    assert [packet.protocol for packet in c.packets] == ["ICMP", "ICMP"]
    lab.netns.delete("r1", "r2")
    assert len(c.stop().packets) == 2
    assert "echo request" in str(c.diagram)


def test_the_loopback_shows_each_packet_once(pair: tuple[Netns, Netns]) -> None:
    with Capture("lo", "icmp", netns=pair[0]) as c:
        ping(pair[0], "127.0.0.1")
    assert [packet.info.partition(",")[0] for packet in c.packets] == ["echo request", "echo reply"]


def test_a_bridge_and_every_link_at_once(lab: Any) -> None:
    lab.netns.add_all(["r1", "r2"], loopback=True)
    do(lab, "link add br0 up type bridge")
    for n in (1, 2):
        do(
            lab,
            f"link add v{n} up master br0 type veth peer name eth0 netns r{n}",
            f"-n r{n} link set eth0 up",
            f"-n r{n} addr add 10.1.0.{n}/24 dev eth0",
        )
    with Capture("br0", "icmp", lab=lab) as c:
        ping(lab.netns.get("r1"), "10.1.0.2")
    assert [packet.info.partition(",")[0] for packet in c.packets] == ["echo request", "echo reply"]
    with Capture("any", "icmp", lab=lab) as c:
        ping(lab.netns.get("r1"), "10.1.0.2")
    assert [packet.link for packet in c.packets] == ["v1", "v2", "v2", "v1"]
    assert len(c.diagram) == 2  # each told once


def test_a_tunnel_and_what_it_carries(lab: Any, pair: tuple[Netns, Netns]) -> None:
    for near, far in ((1, 2), (2, 1)):
        do(
            lab,
            f"-n r{near} link add vx up type vxlan id 42 dstport 4789 local 10.1.0.{near} remote 10.1.0.{far} dev eth0",
            f"-n r{near} addr add 192.168.9.{near}/24 dev vx",
        )
    with Capture("eth0", "udp port 4789", netns=pair[0]) as c:
        ping(pair[0], "192.168.9.2")
    assert {packet.protocol for packet in c.packets} == {"VXLAN"}
    assert c.diagram.lanes == ("r1", "r2")
    assert c.diagram.addresses("r1") == ["10.1.0.1", "192.168.9.1"]
    inner = [line.split() for line in str(c.diagram).split("\n") if line.startswith("  ") and "ICMP" in line]
    assert [(words[1], words[4], words[6:8]) for words in inner] == [
        ("192.168.9.1", "192.168.9.2", ["echo", "request"]),
        ("192.168.9.2", "192.168.9.1", ["echo", "reply"]),
    ]
    carried = next(packet.inner for packet in c.packets if packet.inner and packet.inner.protocol == "ICMP")
    assert (carried.source, carried.destination) == ("192.168.9.1", "192.168.9.2")


def test_names_asked_for_and_answered(pair: tuple[Netns, Netns]) -> None:
    from dpkt import dns

    r1, r2 = pair
    with (
        r2.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        r1.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        Capture("eth0", "udp port 53", netns=r1) as c,
    ):
        server.bind(("10.1.0.2", 53))
        query = dns.DNS(id=7, qd=[dns.DNS.Q(name="web.lab", type=dns.DNS_A)])
        client.sendto(bytes(query), ("10.1.0.2", 53))
        asked, peer = server.recvfrom(512)
        answer = dns.DNS(asked)
        answer.qr = 1
        answer.an = [dns.DNS.RR(name="web.lab", type=dns.DNS_A, rdata=bytes([10, 1, 0, 9]), ip=bytes([10, 1, 0, 9]))]
        server.sendto(bytes(answer), peer)
        client.recv(512)
    assert str(c.diagram).split("\n") == [
        "r1 10.1.0.1 → r2 10.1.0.2  DNS  A web.lab?",
        "r2 10.1.0.2 → r1 10.1.0.1  DNS  A web.lab: 10.1.0.9",
    ]


@TCPDUMP
def test_tcpdump_reads_the_file(pair: tuple[Netns, Netns], tmp_path: Path) -> None:
    r1, r2 = pair
    with Capture("eth0", "arp or icmp or tcp", netns=r2) as c:
        ping(r1, "10.1.0.2")
        greet(r1, r2, "10.1.0.2")
    path = c.save(tmp_path / "talk.pcapng")

    def read(*words: str) -> list[str]:
        command = ["tcpdump", "-n", "--nano", "-tt", "-r", str(path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    lines = read()
    assert len(lines) == len(c.packets)
    for line, packet in zip(lines, c.packets, strict=True):
        assert abs(float(line.split()[0]) - packet.time) < 0.001
    assert "ARP, Request who-has 10.1.0.2 tell 10.1.0.1" in lines[0]
    assert "ICMP echo request" in lines[2]
    assert any("Flags [S.]" in line for line in lines)
    assert len(read("icmp")) == 2


def test_a_bare_ip_link(lab: Any) -> None:
    """A tun link has no Ethernet header: the filter and the file say so too."""
    from nbcontainer.errors import Unavailable
    from nbcontainer.network.ip.context import Context, Options
    from nbcontainer.network.ip.tuntap import open_link

    try:
        do(lab, "tuntap add tun0 mode tun")
    except Unavailable as error:
        pytest.skip(str(error))
    with Context(lab.netns.host, Options()) as context:
        fd = open_link(context, "tun0", 0x0001 | 0x1000)
    do(lab, "link set tun0 up", "addr add 10.9.0.1/24 dev tun0")
    sock = lab.netns.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with Capture("tun0", "udp and dst host 10.9.0.2", lab=lab) as c, sock:
        sock.sendto(b"hello", ("10.9.0.2", 99))
    (packet,) = c.packets
    assert (packet.linktype, packet.source, packet.info) == (101, "10.9.0.1", "to port 99, 5 bytes")
    os.close(fd)


def test_a_containers_link(lab: Any, busybox: Any) -> None:
    web = lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web")
    place = web.netns
    with Capture("eth0", "icmp", netns=place, names={"172.17.0.2": "web"}) as c:
        assert web.exec(["ping", "-c", "1", "172.17.0.1"]).exit_code == 0
    assert str(c.diagram).startswith("web 172.17.0.2 → 172.17.0.1      ICMP  echo request")
    web.remove(force=True)
    with pytest.raises(NotFound, match="web has no network namespace: it is not running"):
        Capture("eth0", netns=place)


def test_a_forgotten_capture_and_the_end_of_the_lab_close_their_sockets(lab: Any) -> None:
    from nbcontainer.runtime import Lab

    c = Capture("lo", lab=lab)
    tap = c._tap
    del c
    gc.collect()
    lab.loop.do(lambda: None)
    assert tap.sock.fileno() == -1
    with Lab() as other:
        kept = Capture("lo", lab=other)
        monitor = other.netns.monitor()
    assert not kept.running
    assert monitor.lines == []


def test_many_packets_keep_their_order(pair: tuple[Netns, Netns]) -> None:
    r1, r2 = pair
    ping(r1, "10.1.0.2")
    with Capture("eth0", "udp", netns=r2) as c, r1.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(2000):
            sock.sendto(number.to_bytes(4, "big"), ("10.1.0.2", 9))
    got = [int.from_bytes(packet.data[42:46], "big") for packet in c.packets]
    assert got == sorted(got)
    assert len(got) + c.dropped == 2000
