"""Sockets, connections and bridges of any namespace."""

from __future__ import annotations

import os
import select
from typing import Any

import pytest

from nbcontainer.errors import Unavailable
from nbcontainer.network import look
from nbcontainer.network.ip.command import bridge, ip


def test_sockets_of_a_namespace(lab: Any) -> None:
    r1 = lab.netns.add("r1", loopback=True)
    with r1.listen(("127.0.0.1", 80)) as server, r1.connect(("127.0.0.1", 80)) as client:
        found = look.sockets(r1)
        near = client.getsockname()[1]
        assert [(row["state"], row["local_port"], row["peer_port"]) for row in found.rows] == [
            ("ESTAB", 80, near),
            ("ESTAB", near, 80),
            ("LISTEN", 80, 0),
        ]
        assert "tcp   LISTEN     1      128    127.0.0.1:80 " in found.text
        assert server.fileno() > 0
    assert look.sockets(lab.netns.host).rows == ()


def test_connections_once_a_rule_asks_for_them(lab: Any) -> None:
    r1 = lab.netns.add("r1", loopback=True)
    try:
        assert look.conntrack(r1).rows == ()
    except Unavailable:
        pytest.skip("the kernel does not list connections (CONFIG_NF_CT_NETLINK)")
    rules = "add table t; add chain t c { type filter hook input priority 0; }; add rule t c ct state new accept"
    done = r1.exec(["nft", rules])
    assert done.exit_code == 0, done.stderr
    with r1.listen(("127.0.0.1", 80)) as server, r1.connect(("127.0.0.1", 80)):
        server.accept()[0].close()
        (row,) = look.conntrack(r1).rows
        assert (row["protocol"], row["original"]["dst"], row["replied"]) == ("tcp", "127.0.0.1", True)


def test_bridges_their_ports_and_what_they_have_seen(lab: Any) -> None:
    host = lab.netns.host
    for name in ("r1", "r2"):
        lab.netns.add(name)
        ip(host, f"link add veth{name} up type veth peer name eth0 netns {name}".split())
        ip(host, f"-n {name} addr add 10.1.0.{name[1]}/24 dev eth0".split())
        ip(host, f"-n {name} link set eth0 up".split())
    ip(host, "link add br0 up address 02:00:00:00:00:01 type bridge".split())
    for name in ("r1", "r2"):
        ip(host, f"link set veth{name} master br0".split())
    assert look.bridges(host).text.split("\n") == [
        "bridge name\tbridge id\t\tSTP enabled\tinterfaces",
        "br0\t\t8000.020000000001\tno\t\tvethr1",
        "\t\t\t\t\t\t\tvethr2",
    ]
    done = lab.netns.get("r1").exec(["ping", "-c", "1", "-w", "5", "10.1.0.2"])
    assert done.exit_code == 0, done.stdout + done.stderr
    macs = {name: ip(host, ["-n", name, "link", "show", "eth0"]).rows[0]["address"] for name in ("r1", "r2")}  # type: ignore[union-attr]
    (row,) = look.bridges(host).rows
    seen = {one["port"]: one["mac"] for one in row["macs"] if not one["local"]}
    assert seen == {"vethr1": macs["r1"], "vethr2": macs["r2"]}
    assert macs["r1"] in str(bridge(host, ["fdb", "show", "br", "br0"]))


def test_a_tap_link_carries_what_a_program_writes(lab: Any) -> None:
    host = lab.netns.host
    try:
        ip(host, "tuntap add tap0 mode tap".split())
    except Unavailable as error:
        pytest.skip(str(error))
    assert str(ip(host, ["tuntap"])) == "tap0: tap persist"
    ip(host, "link set tap0 up".split())
    ip(host, "addr add 10.9.0.1/24 dev tap0".split())
    from nbcontainer.network.ip.context import Context, Options
    from nbcontainer.network.ip.tuntap import open_link

    with Context(host, Options()) as context:
        fd = open_link(context, "tap0", 0x0002 | 0x1000)
    # Who has 10.9.0.1? Tell 10.9.0.2: the kernel behind the tap answers.
    us = "020000000002"
    ask = bytes.fromhex(f"ffffffffffff {us} 0806 0001 0800 06 04 0001 {us} 0a090002 000000000000 0a090001")
    try:
        got = b""
        while got[12:14] != b"\x08\x06" or got[20:22] != b"\0\x02":
            os.write(fd, ask)  # again when nobody answers: the kernel sends nothing until it has noticed the carrier
            if select.select([fd], [], [], 0.2)[0]:
                got = os.read(fd, 2048)
    finally:
        os.close(fd)
    assert got[28:32] == bytes([10, 9, 0, 1])
    ip(host, "tuntap del tap0 mode tap".split())
    assert [row["ifname"] for row in ip(host, ["link"]).rows] == ["lo"]  # type: ignore[union-attr]
