"""Our `ip` and `bridge` beside the machine's own, in the same lab: the same words, the same text."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import Any

import pytest

from nbcontainer.container import on_host
from nbcontainer.network.ip.command import bridge, ip, run

pytestmark = pytest.mark.skipif(shutil.which("ip") is None, reason="not installed: iproute2")


class Both:
    """Types a line into ours, and the same into theirs."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.host = lab.netns.host

    def do(self, *lines: str) -> None:
        for line in lines:
            program, *words = shlex.split(line)
            assert {"ip": ip, "bridge": bridge}[program](self.host, words) is None

    def ours(self, line: str) -> str:
        program, *words = shlex.split(line)
        return str({"ip": ip, "bridge": bridge}[program](self.host, words))

    def theirs(self, line: str) -> str:
        done = on_host.run(self.lab, shlex.split(line))
        assert done.exit_code == 0, done.stderr
        return str(done.stdout.decode()).removesuffix("\n")

    def same(self, *lines: str) -> None:
        for line in lines:
            ours = self.ours(line)  # first: it waits until the kernel has made up its mind about carriers
            # Newer ones also say who an address is from.
            theirs = self.theirs(line).replace(" proto kernel_ll", "").replace(" proto kernel_lo", "")
            assert ours == theirs, line

    def same_lines(self, *lines: str) -> None:
        """The kernel's own order is by a hash that changes."""
        for line in lines:
            assert sorted(self.ours(line).split("\n")) == sorted(self.theirs(line).split("\n")), line


@pytest.fixture
def both(lab: Any) -> Both:
    lab.netns.add_all(["r1", "r2"])
    return Both(lab)


@pytest.fixture
def pair(both: Both) -> Both:
    """veth1.1 on the host and eth0 in r1, both up, with addresses."""
    both.do(
        "ip link add name veth1.1 type veth peer name veth1.2",
        "ip link set dev veth1.2 netns r1",
        "ip -n r1 link set dev veth1.2 name eth0",
        "ip addr add 10.1.0.1/24 brd + dev veth1.1",
        "ip link set veth1.1 up",
        "ip -n r1 addr add 10.1.0.2/24 dev eth0",
        "ip -n r1 link set eth0 up",
    )
    return both


def test_links(both: Both) -> None:
    both.do("ip link add name veth1.1 type veth peer name veth1.2")
    both.same("ip link", "ip link show veth1.1", "ip link show dev lo", "ip -br link", "ip -o link show lo")
    both.do("ip link set veth1.2 up")
    both.same("ip link")
    both.do("ip link set veth1.2 netns r1")
    both.same("ip link", "ip -n r1 link", "ip -n r1 link show up")
    both.do("ip -n r1 link set veth1.2 name eth0", "ip link set veth1.1 alias hello", "ip link set veth1.1 mtu 1400")
    both.do("ip link set veth1.1 txqueuelen 77", "ip link set veth1.1 address 02:00:00:00:00:99", "ip l s veth1.1 up")
    both.same("ip link", "ip -n r1 l", "ip link show type veth")
    both.do("ip link del veth1.1")
    both.same("ip link", "ip -n r1 link")


def test_addresses(pair: Both) -> None:
    pair.same("ip addr", "ip -n r1 addr", "ip -br addr", "ip -4 addr", "ip -6 addr", "ip a show veth1.1")
    pair.same("ip addr show to 10.1.0.0/16", "ip addr show scope link", "ip -o addr show lo", "ip addr show up")
    pair.do("ip addr add 10.1.0.55/24 dev veth1.1", "ip addr add 10.5.0.1 peer 10.5.0.2/32 dev veth1.1")
    pair.do("ip addr add 10.6.0.1/24 dev veth1.1 label veth1.1:6 scope link", "ip -6 addr add fd00::1/64 dev veth1.1")
    pair.same("ip addr", "ip addr show label veth1.1:6", "ip addr show secondary")
    pair.do("ip addr del 10.1.0.55/24 dev veth1.1", "ip addr flush dev veth1.1 scope link")
    pair.same("ip addr")
    pair.do("ip addr flush dev veth1.1")
    pair.same("ip addr")


def test_routes_and_rules(pair: Both) -> None:
    pair.same(
        "ip route", "ip -6 route", "ip rule", "ip -6 rule", "ip route show table local", "ip route show table all"
    )
    pair.do(
        "ip route add default via 10.1.0.2",
        "ip route add 10.9.0.0/16 via 10.1.0.2 metric 5 mtu 1400",
        "ip route add blackhole 10.8.0.0/16",
        "ip route add 10.7.0.0/16 nexthop via 10.1.0.2 weight 2 nexthop via 10.1.0.3",
        "ip route add 10.6.0.0/16 dev veth1.1 proto static src 10.1.0.1",
        "ip -6 route add fd01::/64 dev veth1.1",
        "ip route add 10.5.0.0/16 dev veth1.1 table 100",
        "ip rule add from 10.1.0.0/24 table 100 priority 50",
        "ip rule add fwmark 7 iif lo lookup main pref 60",
        "ip rule add to 10.5.0.1 prohibit pref 70",
    )
    pair.same("ip route", "ip -6 route", "ip rule", "ip route show table 100", "ip route show default")
    pair.same(
        "ip route get 10.9.1.1", "ip route get 10.1.0.2", "ip route show dev veth1.1", "ip route show proto static"
    )
    pair.do("ip route replace default via 10.1.0.3", "ip route del 10.7.0.0/16", "ip rule del pref 60")
    pair.same("ip route", "ip rule")
    pair.do("ip route flush table 100", "ip rule flush", "ip link set veth1.1 down")
    pair.same("ip route", "ip rule", "ip route show table 100")


def test_neighbours(pair: Both) -> None:
    pair.do("ip neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev veth1.1")
    pair.do("ip neigh add 10.1.0.78 lladdr 02:00:00:00:00:78 dev veth1.1 nud stale")
    pair.same_lines("ip neigh", "ip neigh show dev veth1.1", "ip neigh show nud permanent", "ip n show to 10.1.0.78")
    pair.do("ip neigh del 10.1.0.77 dev veth1.1")
    pair.same("ip neigh")
    pair.do("ip neigh flush dev veth1.1")
    pair.same("ip neigh")


def test_bridges_and_their_ports(pair: Both) -> None:
    pair.do("ip link add br0 type bridge stp_state 1 forward_delay 400", "ip link set br0 up")
    pair.do("ip link set veth1.1 master br0", "ip link set veth1.1 type bridge_slave cost 9")
    pair.same("ip link show type bridge", "ip link show master br0", "bridge link", "bridge link show dev veth1.1")
    pair.same_lines("bridge fdb", "bridge fdb show dev veth1.1", "bridge fdb show br br0", "bridge vlan")
    pair.do("bridge fdb add 02:00:00:00:00:05 dev veth1.1 master static", "bridge link set dev veth1.1 learning off")
    pair.same_lines("bridge fdb show br br0")
    details = pair.ours("ip -d link show br0"), pair.theirs("ip -d link show br0")
    for word in ("stp_state 1", "forward_delay 400", "bridge_id 8000.2:44:"):
        assert all(word in text for text in details), details
    assert "learning off" in pair.ours("ip -d link show veth1.1")
    pair.do("ip link set veth1.1 nomaster", "ip link set br0 type bridge priority 4096")
    pair.same("bridge link", "ip link")
    assert "priority 4096 " in pair.ours("ip -d link show br0")


def test_vxlan_macvlan_and_ifb(both: Both) -> None:
    both.do("ip link add vx type vxlan id 42 dstport 4789 local 127.0.0.1 dev lo nolearning")
    both.do("ip link add mv link vx type macvlan mode bridge", "ip link add if9 type ifb")
    both.same("ip link", "ip link show type vxlan", "ip link show type macvlan")
    both.do(
        "bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.9",
        "bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.8",
    )
    both.do("bridge fdb add 02:00:00:00:00:01 dev vx dst 10.0.0.8")
    both.same_lines("bridge fdb show dev vx")
    both.do("bridge fdb del 02:00:00:00:00:01 dev vx")
    both.same_lines("bridge fdb show dev vx")
    assert "id 42 local 127.0.0.1 dev lo dstport 4789 nolearning" in both.ours("ip -d link show vx")
    assert "mode bridge" in both.ours("ip -d link show mv")


def test_counters(pair: Both) -> None:
    # Nothing is sent while both look: lo carries nothing, eth0 is down.
    pair.do("ip link add a type veth peer name b")
    pair.same("ip -s link show lo", "ip -s link show a")


def test_rows_are_those_of_its_json(pair: Both) -> None:
    def plain(rows: Any) -> Any:
        return json.loads(json.dumps(rows))

    theirs = json.loads(pair.theirs("ip -j addr show veth1.1"))
    ours = plain(ip(pair.host, ["addr", "show", "veth1.1"]).rows)  # type: ignore[union-attr]
    for row in ours:
        assert row.pop("linkinfo") == {"info_kind": "veth"}
        assert row.pop("link_netns") == "r1"
    for row in theirs:
        for one in row["addr_info"]:
            one.pop("protocol", None)
    assert ours == theirs
    assert json.loads(pair.ours("ip -j route"))[0]["dst"] == json.loads(pair.theirs("ip -j route"))[0]["dst"]
    for line in ("ip -j neigh", "ip -j rule"):
        assert json.loads(pair.ours(line)) == json.loads(pair.theirs(line))


def test_netns(both: Both) -> None:
    def ours(text: str) -> str:
        return str(run(both.host, text.split()) or "")

    assert ours("ip netns") == "r1\nr2"
    both.do("ip link add a type veth peer name b netns r1")
    assert ours("ip netns list-id") == both.theirs("ip netns list-id")
    assert sorted(ours("ip netns list").split("\n")) == sorted(both.theirs("ip netns list").split("\n"))
    ours("ip netns add r3")
    ours("ip netns set r3 9")
    assert "r3 (id: 9)" in both.theirs("ip netns")
    ours("ip -all netns delete")
    assert both.theirs("ip netns") == ""
