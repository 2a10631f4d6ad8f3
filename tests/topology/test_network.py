"""Topologies made in a lab, on the real kernel."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, NotFound, Unavailable
from nbcontainer.topology.graph import Topology
from nbcontainer.view.topology import network_html, network_text


def sh(lab: Any, script: str) -> str:
    result = on_host.run(lab, ["sh", "-c", script])
    assert result.exit_code == 0, result.stderr
    return str(result.stdout.decode())


def here(net: Any, node: str, script: str) -> str:
    result = net[node].exec(["sh", "-c", script])
    assert result.exit_code == 0, result.stderr
    return str(result.stdout.decode())


def test_everybody_in_a_tree_reaches_everybody(lab: Any) -> None:
    with Topology.tree(2, 2).up(lab) as net:
        reach = net.pingall()
        assert str(reach) == (
            "    h1  h2  h3  h4\n"
            "h1  -   ok  ok  ok\n"
            "h2  ok  -   ok  ok\n"
            "h3  ok  ok  -   ok\n"
            "h4  ok  ok  ok  -\n"
            "Results: 0% dropped (12/12 received)"
        )
        assert reach
        assert 0 < (reach.ms("h1", "h4") or 0) < 2000
        assert net.trace("h1", "h4").nodes == ["h1", "s2", "s1", "s3", "h4"]
        assert net.trace("h1", "h2").nodes == ["h1", "s2", "h2"]


def test_names_addresses_and_indexes_repeat(lab: Any) -> None:
    looks = "ip -details -brief link; ip -brief address"
    seen = []
    for _ in range(2):
        with Topology.line(2).up(lab) as net:
            seen.append(here(net, "h1", looks) + here(net, "s1", looks))
    assert seen[0] == seen[1]
    assert "eth0@if4" in seen[0]
    assert "10.0.0.1/8" in seen[0]
    assert "s1-eth2@s2-eth2" in seen[0]
    assert "02:44:00:01:00:02" in seen[0]


def test_it_is_visible_to_ip_and_nothing_of_it_is_on_the_labs_host(lab: Any) -> None:
    before = sh(lab, "ip -brief link")
    with Topology.star(2).up(lab):
        assert {line.split()[0] for line in sh(lab, "ip netns list").splitlines()} == {"h1", "h2", "star"}
        assert "master s1 state forwarding" in sh(lab, "ip netns exec star bridge link")
        assert sh(lab, "ip -brief link") == before
    assert sh(lab, "ip netns list") == ""


def test_routers_forward(lab: Any) -> None:
    with Topology.line(3, routers=True).up(lab) as net:
        assert net.pingall()
        path = net.trace("h1", "h3")
        assert path.reached
        assert str(path) == (
            "HOP   NODE   ADDRESS      THROUGH\n"
            "1     r1     10.0.1.254\n"
            "2     r2     10.0.4.253\n"
            "3     r3     10.0.5.253\n"
            "4     h3     10.0.3.1"
        )


def closed(net: Any) -> dict[str, str]:
    return {str(net.topology.links[at]): why for at, why in net.closed_links().items()}


def test_a_ring_forwards_and_heals(lab: Any) -> None:
    with Topology.ring(3).up(lab) as net:
        assert net.pingall()
        assert net.trace("h1", "h2").nodes == ["h1", "s1", "s2", "h2"]
        assert closed(net) == {"s2 -- s3": "blocked"}
        net.cut("s1", "s2")
        assert closed(net) == {"s1 -- s2": "down"}
        assert network_text(net).splitlines()[-1] == "s1 -- s2: down"
        assert '<line class="nbc-down"' in network_html(net)
        assert net.pingall(timeout=5)
        assert net.trace("h1", "h2").nodes == ["h1", "s1", "s3", "s2", "h2"]
        net.mend("s1", "s2")
        assert net.pingall(timeout=5)
        assert net.trace("h1", "h2").nodes == ["h1", "s1", "s2", "h2"]


def test_what_is_cut_off_is_seen(lab: Any) -> None:
    with Topology.star(3).up(lab) as net:
        net.cut("h2", "s1")
        reach = net.pingall(timeout=0.5)
        assert not reach
        assert str(reach) == (
            "    h1  h2  h3\nh1  -   X   ok\nh2  X   -   X\nh3  ok  X   -\nResults: 67% dropped (2/6 received)"
        )
        assert not net.trace("h1", "h2", most=2, timeout=0.3).reached
        with pytest.raises(Unavailable, match="no TCP connection from h1 to h2"):
            net.iperf("h1", "h2", seconds=0.1, timeout=0.5)


def test_a_rate_is_kept(lab: Any) -> None:
    net = Topology("rates")
    net.switch("s1")
    for name, rate in (("slow", "2mbit"), ("fast", None), ("other", None)):
        net.link(net.host(name), "s1", rate=rate)
    with net.up(lab) as up:
        assert 1.0 < up.iperf("slow", "fast", seconds=2).mbit < 2.2
        assert 1.0 < up.iperf("fast", "slow", seconds=2).mbit < 2.2
        assert up.iperf("fast", "other", seconds=0.3).mbit > 20
        assert "qdisc tbf 1: root" in here(up, "slow", "tc qdisc show dev eth0")


def test_a_kernel_without_netem_says_so_and_leaves_nothing(lab: Any) -> None:
    if netem_here(lab):
        pytest.skip("this kernel has netem")
    with pytest.raises(Unavailable, match="link h1 -- s1 wants 5ms, but this kernel has no netem"):
        Topology.star(2, delay="5ms").up(lab)
    assert sh(lab, "ip netns list") == ""
    assert lab.topologies.list() == []


def netem_here(lab: Any) -> bool:
    script = "ip link add probe type veth && tc qdisc add dev probe root netem delay 1ms; echo $?; ip link del probe"
    return sh(lab, f"({script}) 2>/dev/null").startswith("0")


def test_delay_and_loss_where_the_kernel_has_netem(lab: Any) -> None:
    if not netem_here(lab):
        pytest.skip("this kernel has no netem (the virtual host's has)")
    with Topology.star(2, delay="20ms").up(lab) as net:
        assert 80 <= (net.ping("h1", "h2", count=3).ms("h1", "h2") or 0) < 400
    with Topology.star(2, rate="10mbit", delay="5ms").up(lab) as net:
        assert 20 <= (net.ping("h1", "h2").ms("h1", "h2") or 0) < 400
        assert 2 < net.iperf("h1", "h2", seconds=1).mbit < 11
    with Topology.star(2, loss="100%").up(lab) as net:
        assert net.pingall(timeout=0.3).received == 0


def test_a_host_that_is_a_container(lab: Any, busybox: Any) -> None:
    net = Topology("mixed")
    net.switch("s1")
    net.link(net.host("web", image="busybox", command=["httpd", "-f", "-h", "/etc"]), "s1")
    net.link(net.host("h1"), "s1")
    with net.up(lab) as up:
        assert up.pingall()
        assert [c.name for c in lab.containers.list()] == ["web"]
        with up["h1"].connect(("10.0.0.1", 80), timeout=20) as sock:
            sock.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            assert b"200 OK" in sock.recv(100)
        assert "10.0.0.1/8" in up.containers["web"].exec(["ip", "addr"]).stdout.decode()
    assert lab.containers.list(all=True) == []


def test_python_sockets_live_in_its_hosts(lab: Any) -> None:
    with (
        Topology.star(2).up(lab) as net,
        net["h2"].listen(("10.0.0.2", 7)) as server,
        net["h1"].connect(("10.0.0.2", 7)) as client,
        server.accept()[0] as there,
    ):
        client.sendall(b"hello")
        assert there.recv(10) == b"hello"
        assert there.getpeername()[0] == "10.0.0.1"


def test_down_ends_what_runs_in_its_hosts(lab: Any) -> None:
    net = Topology.star(1).up(lab)
    here(net, "h1", "sleep 1000 >/dev/null 2>&1 & echo $! >/run/sleeper")
    pid = sh(lab, "cat /run/sleeper").strip()
    assert sh(lab, f"cat /proc/{pid}/comm") == "sleep\n"
    net.down()
    net.down()
    gone = f"until [ ! -e /proc/{pid} ] || grep -q 'State:.*Z' /proc/{pid}/status; do sleep 0.1; done"
    assert sh(lab, f'timeout 60 sh -c "{gone}"') == ""
    with pytest.raises(Conflict, match="topology star is down"):
        net.pingall()


def test_names_that_are_taken(lab: Any) -> None:
    lab.netns.add("h2")
    with pytest.raises(Conflict, match="there is a network namespace h2 already"):
        Topology.star(3).up(lab)
    assert lab.netns.names() == ["h2"]
    lab.netns.delete("h2")
    with Topology.star(2).up(lab):
        with pytest.raises(Conflict, match="topology star is up already"):
            Topology.star(2).up(lab)
        with pytest.raises(Conflict, match="there is a network namespace h1 already"):
            Topology.line(2).up(lab)
    same = Topology("h1")
    same.host("h1")
    with pytest.raises(InvalidArgument, match="a node and the topology are both called h1"):
        same.up(lab)


def test_a_namespace_that_was_deleted_by_hand(lab: Any) -> None:
    with Topology.star(2).up(lab) as net:
        lab.netns.delete("h2")
        with pytest.raises(NotFound, match="the network namespace of h2 is gone"):
            net.pingall()
        assert net.pingall(["h1"]).sent == 0
    assert lab.netns.names() == []


def test_pingall_of_more_hosts_than_the_arp_table_holds(lab: Any) -> None:
    with Topology.star(40).up(lab) as net:
        reach = net.pingall()
        assert reach.summary == "Results: 0% dropped (1560/1560 received)"
        assert str(reach).splitlines()[0] == "h1 -> " + " ".join(f"h{n}" for n in range(2, 41))


def test_fifty_times_leave_nothing(lab: Any) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        Topology.star(2).up(lab).down()
    assert lab.netns.names() == []
    assert sh(lab, "ip -brief link | wc -l").strip() == "1"
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


def test_a_script_reads_like_the_network_it_builds() -> None:
    """Without a lab of one's own: the process's is used."""
    from nbcontainer.runtime import current_lab

    try:
        with Topology.line(2) as net:
            assert net.pingall()
            assert net.address("h2") == "10.0.0.2"
    finally:
        current_lab().close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it may strike in a __del__
def test_ctrl_c_leaves_nothing(lab: Any) -> None:
    """Wherever it strikes: before the namespaces, between the links, or when all is up."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    try:
        for turn in range(6):
            signal.setitimer(signal.ITIMER_REAL, 0.005 + 0.04 * turn)
            with suppress(KeyboardInterrupt):
                Topology.star(200).up(lab).down()
            signal.setitimer(signal.ITIMER_REAL, 0)
            for up in lab.topologies.list():
                up.down()
            assert lab.netns.names() == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with Topology.star(2).up(lab) as net:
        assert net.pingall()


def test_a_link_that_was_deleted_by_hand(lab: Any) -> None:
    with Topology.star(2).up(lab) as net:
        here(net, "h1", "ip link del eth0")
        assert not net.pingall(timeout=0.3)
        with pytest.raises(NotFound, match="link s1-eth1 is gone: it was deleted by hand"):
            net.cut("h1", "s1")


def test_what_tcp_carries_between_every_two(lab: Any) -> None:
    with Topology.star(3).up(lab) as net:
        flows = net.flows(seconds=0.2)
        assert [(flow.sender, flow.receiver) for flow in flows] == [("h1", "h2"), ("h1", "h3"), ("h2", "h3")]
        assert all(flow.mbit > 1 for flow in flows)
        assert str(flows).startswith("h1 -> h2: ")
        assert net.iperf(seconds=0.2).receiver == "h3"
