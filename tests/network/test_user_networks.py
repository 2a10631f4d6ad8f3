"""Networks of the user's own: who reaches whom, what comes and goes, what is kept."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, NotFound, StartFailed
from nbcontainer.network.wire import Rtnetlink

ICC = "com.docker.network.bridge.enable_icc"
MTU = "com.docker.network.driver.mtu"


def links(lab: Any) -> dict[str, Any]:
    with lab.netlink() as sock:
        return {link["name"]: link for link in Rtnetlink(sock).links()}


def sleeper(lab: Any, name: str, **options: Any) -> Any:
    return lab.containers.run("busybox", ["sleep", "600"], detach=True, name=name, **options)


def said(container: Any, *command: str) -> str:
    result = container.exec(list(command))
    return str((result.stdout + result.stderr).decode())


def reaches(container: Any, address: str) -> bool:
    return bool(container.exec(["ping", "-c", "1", "-w", "3", address]).exit_code == 0)


def test_a_network_has_a_bridge_and_its_own_subnet(lab: Any) -> None:
    first, second = lab.networks.create("net1"), lab.networks.create("net2", subnet="10.5.0.0/24", gateway="10.5.0.254")
    assert (str(first.subnet), str(second.gateway)) == ("172.18.0.0/16", "10.5.0.254")
    assert links(lab)[f"br-{first.short_id}"]["mac"] == "02:42:ac:12:00:01"
    assert lab.networks.get("net1") is lab.networks.get(first.id) is lab.networks.get(first.short_id)
    lab.networks.remove("net1")
    assert f"br-{first.short_id}" not in links(lab)
    with pytest.raises(NotFound, match="network net1 not found"):
        lab.networks.get("net1")


def test_what_is_taken(lab: Any) -> None:
    lab.networks.create("net1", subnet="10.5.0.0/24")
    with pytest.raises(Conflict, match="network with name net1 already exists"):
        lab.networks.create("net1")
    with pytest.raises(Conflict, match="Pool overlaps"):
        lab.networks.create("net2", subnet="10.5.0.128/25")
    with pytest.raises(Conflict, match="Pool overlaps"):
        lab.networks.create("net2", subnet="172.17.0.0/24")  # docker0's
    with pytest.raises(Conflict, match="not permitted on predefined bridge network"):
        lab.networks.create("bridge")
    with pytest.raises(Conflict, match="only one instance of"):
        lab.networks.create("net2", driver="host")
    with pytest.raises(NotFound, match="could not find plugin warp"):
        lab.networks.create("net2", driver="warp")
    with pytest.raises(Conflict, match="pre-defined network and cannot be removed"):
        lab.networks.remove("bridge")
    with pytest.raises(InvalidArgument, match="IPv6 has to be enabled"):
        lab.networks.create("net2", subnet="fd00:1::/64")


def test_address_pools_run_out(lab: Any) -> None:
    made = [lab.networks.create(f"net{number}") for number in range(30)]  # docker0 has the first
    with pytest.raises(Conflict, match="all predefined address pools have been fully subnetted"):
        lab.networks.create("one-more")
    lab.networks.remove("net7")
    assert lab.networks.create("one-more").subnet == made[7].subnet


def test_a_failed_creation_leaves_nothing(lab: Any) -> None:
    before = set(links(lab))
    with lab.netlink() as sock:
        Rtnetlink(sock).link_add("bridge", "mine")
    with pytest.raises(Conflict, match="cannot make mine: a link of that name was made by hand"):
        lab.networks.create("net1", opt={"com.docker.network.bridge.name": "mine"})
    assert set(links(lab)) == {*before, "mine"}
    assert lab.networks.create("net1").subnet is not None


def test_networks_are_kept_apart(lab: Any, busybox: Any) -> None:
    for name in ("net1", "net2"):
        lab.networks.create(name)
    one, other = sleeper(lab, "one", network="net1"), sleeper(lab, "other", network="net1")
    far = sleeper(lab, "far", network="net2")
    assert reaches(one, other.endpoint.ip)
    assert reaches(one, "172.18.0.1")
    assert not reaches(one, far.endpoint.ip)
    assert not reaches(sleeper(lab, "docker"), far.endpoint.ip)
    far.connect("net1")
    assert reaches(one, far.endpoints["net1"].ip)


def test_an_internal_network_leads_nowhere(lab: Any, busybox: Any) -> None:
    lab.networks.create("inner", internal=True)
    one, other = sleeper(lab, "one", network="inner"), sleeper(lab, "other", network="inner")
    assert reaches(one, other.endpoint.ip)
    assert "default" not in said(one, "ip", "route")
    out = sleeper(lab, "out")
    trying = lab.containers.run(
        "busybox",
        ["sh", "-c", f"ip route add default via 172.18.0.1; ping -c 1 -w 2 {out.endpoint.ip}; true"],
        network="inner",
        cap_add=["NET_ADMIN"],
    )
    assert "100% packet loss" in trying.logs()


def test_icc_off(lab: Any, busybox: Any) -> None:
    lab.networks.create("quiet", opt={ICC: "false"})
    one, other = sleeper(lab, "one", network="quiet"), sleeper(lab, "other", network="quiet")
    assert reaches(one, "172.18.0.1")
    assert not reaches(one, other.endpoint.ip)


def test_mtu_labels_and_names_of_bridges(lab: Any, busybox: Any) -> None:
    opt = {MTU: "1400", "com.docker.network.bridge.name": "lan0"}
    network = lab.networks.create("net1", opt=opt, label={"team": "a"})
    assert network.bridge == "lan0"
    assert "mtu 1400" in said(sleeper(lab, "one", network="net1"), "ip", "link", "show", "eth0")
    found = lab.networks.inspect("net1")
    assert (found["Options"], found["Labels"]) == (opt, {"team": "a"})
    assert found["Containers"][lab.containers.get("one").id]["IPv4Address"] == "172.18.0.2/16"


def test_ipv6(lab: Any, busybox: Any) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this kernel has no IPv6")
    lab.networks.create("six", ipv6=True, subnet=["10.6.0.0/24", "fd00:6::/64"])
    one = sleeper(lab, "one", network="six")
    two = sleeper(lab, "two", network="six", ip6="fd00:6::22")
    assert (one.endpoint.ip6, two.endpoint.ip6) == ("fd00:6::2", "fd00:6::22")
    assert one.exec(["ping", "-6", "-c", "1", "-w", "5", "fd00:6::22"]).exit_code == 0
    assert "default via fd00:6::1" in said(one, "ip", "-6", "route")
    with pytest.raises(Conflict, match="Address already in use: fd00:6::22"):
        sleeper(lab, "three", network="six", ip6="fd00:6::22")
    # The IPv4 address that came with it has been given back.
    assert sleeper(lab, "four", network="six").endpoint.ip == "10.6.0.4"


def test_addresses_that_are_asked_for(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1", subnet="10.5.0.0/29")
    assert sleeper(lab, "one", network="net1", ip="10.5.0.6").endpoint.ip == "10.5.0.6"
    with pytest.raises(Conflict, match=r"Address already in use: 10\.5\.0\.6 belongs to container one"):
        sleeper(lab, "two", network="net1", ip="10.5.0.6")
    with pytest.raises(InvalidArgument, match="does not belong to any of this network's subnets"):
        sleeper(lab, "three", network="net1", ip="10.9.0.6")
    with pytest.raises(InvalidArgument, match="has no IPv6"):
        sleeper(lab, "four", network="net1", ip6="fd00::9")


def test_a_container_on_several_networks(lab: Any, busybox: Any) -> None:
    for name in ("net1", "net2"):
        lab.networks.create(name)
    both = sleeper(lab, "both", network=["net1", "name=net2,alias=second,ip=172.19.0.9"])
    assert [(e.link, e.ip) for e in both.endpoints.values()] == [("eth0", "172.18.0.2"), ("eth1", "172.19.0.9")]
    assert "default via 172.18.0.1 dev eth0" in said(both, "ip", "route")
    assert [line.split()[0] for line in said(both, "cat", "/etc/hosts").splitlines()[-2:]] == [
        *("172.18.0.2", "172.19.0.9"),
    ]
    both.disconnect("net1")
    # The next network leads out, and the name in /etc/hosts has followed.
    assert "default via 172.19.0.1 dev eth1" in said(both, "ip", "route")
    assert "172.18.0.2" not in said(both, "cat", "/etc/hosts")
    both.connect("net1", ip="172.18.0.7")
    assert both.endpoints["net1"].link == "eth0"
    both.stop(0)
    both.start()
    assert [e.ip for e in both.endpoints.values()] == ["172.19.0.9", "172.18.0.7"]


def test_connect_and_disconnect_what_cannot_be(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    one = sleeper(lab, "one", network="net1")
    with pytest.raises(Conflict, match="endpoint with name one already exists in network net1"):
        one.connect("net1")
    with pytest.raises(Conflict, match="is not connected to network bridge"):
        one.disconnect("bridge")
    with pytest.raises(Conflict, match="cannot be disconnected from host network or connected to host network"):
        one.connect("host")
    with pytest.raises(NotFound, match="network nosuch not found"):
        one.connect("nosuch")
    with pytest.raises(Conflict, match="sharing network namespace with another container or host"):
        sleeper(lab, "open", network="host").connect("net1")
    with pytest.raises(Conflict, match="has active endpoints: one"):
        lab.networks.remove("net1")
    with pytest.raises(NotFound, match="network nosuch not found"):
        lab.containers.create("busybox", ["true"], network="nosuch")
    with pytest.raises(InvalidArgument, match="alias is supported only for containers in user defined networks"):
        lab.containers.create("busybox", ["true"], network_alias=["x"])
    with pytest.raises(InvalidArgument, match="cannot attach both user-defined and non-user-defined"):
        lab.containers.create("busybox", ["true"], network=["host", "net1"])


def test_five_hundred_connects_leave_nothing(lab: Any, busybox: Any) -> None:
    network = lab.networks.create("net1")
    one = sleeper(lab, "one")
    one.connect("net1")
    one.disconnect("net1")
    gc.collect()  # labs of other tests
    descriptors = len(os.listdir("/proc/self/fd"))
    before = set(links(lab)), said(one, "ip", "-o", "link").count("\n")
    for _ in range(500):
        one.connect("net1")
        one.disconnect("net1")
    lab.loop.do(int)
    assert (set(links(lab)), said(one, "ip", "-o", "link").count("\n")) == before
    assert len(os.listdir("/proc/self/fd")) < descriptors + 10  # the next container's set-up process has some
    assert network.attached == {}
    assert network.pools[0].used == {}
    lab.networks.remove("net1")


def test_links_deleted_by_hand(lab: Any, busybox: Any) -> None:
    network = lab.networks.create("net1")
    one = sleeper(lab, "one", network="net1")
    with lab.netlink() as sock:
        Rtnetlink(sock).link_delete(one.endpoint.veth)
    one.disconnect("net1")
    one.connect("net1")
    assert reaches(one, "172.18.0.1")
    with lab.netlink() as sock:
        Rtnetlink(sock).link_delete(network.bridge)
    with pytest.raises(StartFailed, match=r"deleted by hand; `%network rm` and `create` make a new one"):
        sleeper(lab, "two", network="net1")
    other = sleeper(lab, "three")
    with pytest.raises(Conflict, match="deleted by hand"):
        other.connect("net1")
    assert list(other.endpoints) == ["bridge"]
    one.remove(force=True)
    lab.networks.remove("net1")
    lab.networks.create("net1")
    assert sleeper(lab, "four", network="net1").endpoint.ip == "172.18.0.2"


def test_prune_and_events(lab: Any, busybox: Any) -> None:
    for name in ("used", "unused", "later"):
        lab.networks.create(name)
    sleeper(lab, "one", network="used").stop(0)
    lab.containers.create("busybox", ["true"], network="later")
    assert [network.name for network in lab.networks.prune()] == ["unused"]
    happened = [(event.action, event.attributes["name"]) for event in lab.networks.events]
    assert happened[3:] == [("connect", "used"), ("disconnect", "used"), ("destroy", "unused")]


def test_a_lab_with_a_name_has_its_networks_again(home: Path, busybox: Any) -> None:
    from nbcontainer.runtime import Lab

    with Lab("kept") as lab:
        made = lab.networks.create("net1", subnet="10.7.0.0/24", label=["a=b"], internal=True)
        container = sleeper(lab, "one", network=["bridge", "net1"])
        container.disconnect("bridge")
        record = lab.networks.inspect("net1")
    with Lab("kept") as lab:
        assert made.bridge in links(lab)
        assert lab.networks.inspect("net1") == {**record, "Containers": {}}
        again = lab.containers.get("one")
        again.start()
        assert [endpoint.ip for endpoint in again.endpoints.values()] == ["10.7.0.2"]
        assert lab.networks.create("net2").id != made.id


def test_the_joined_and_the_open_container(lab: Any, busybox: Any) -> None:
    web = sleeper(lab, "web")
    joined, opened = sleeper(lab, "joined", network="container:web"), sleeper(lab, "open", network="host")
    host = lab.call(_namespaces, "self")
    same = {kind for kind in host if web.namespaces[kind] == joined.namespaces[kind]}
    assert same == {"user", "uts", "net", "ipc"}
    assert {kind for kind in host if host[kind] == opened.namespaces[kind]} == {"user", "uts", "net"}
    assert said(joined, "hostname") == said(web, "hostname")
    apart = sleeper(lab, "apart", network="container:web", uts="private", ipc="private")
    assert {kind for kind in host if web.namespaces[kind] == apart.namespaces[kind]} == {"user", "net"}


def _namespaces(pid: str) -> dict[str, int]:
    from nbcontainer.container.look import namespaces_inside

    return namespaces_inside(pid)


def test_rules_are_only_the_labs(lab: Any) -> None:
    lab.networks.create("net1")
    shown = on_host.run(lab, ["sh", "-c", "nft list tables"]).stdout.decode()
    if "table" not in shown:
        pytest.skip("no nft here to look with")
    assert "table inet nbcontainer" in shown
