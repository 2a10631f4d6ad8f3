"""docker0 and its endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import Conflict, InvalidArgument, NotFound, StartFailed
from nbcontainer.network import resolve
from nbcontainer.network.endpoint import veth_name
from nbcontainer.network.wire import Rtnetlink


def _links(lab: Any) -> dict[str, Any]:
    with lab.netlink() as sock:
        return {link["name"]: link for link in Rtnetlink(sock).links()}


def test_the_lowest_free_address_first(lab: Any) -> None:
    networks = lab.networks
    first, second = networks.allocate("1", "one1"), networks.allocate("2", "two2")
    assert (first.ip, second.ip) == ("172.17.0.2", "172.17.0.3")
    assert first.mac == "02:42:ac:11:00:02"
    networks.release(first)
    assert networks.allocate("3", "three3").ip == "172.17.0.2"
    assert networks.allocate("4", "four4", ip="172.17.9.9", mac="02:00:00:00:00:01").mac == "02:00:00:00:00:01"


def test_addresses_that_cannot_be(lab: Any) -> None:
    lab.networks.allocate("1", "one1")
    with pytest.raises(Conflict, match=r"172\.17\.0\.2 belongs to container one1"):
        lab.networks.allocate("2", "two2", ip="172.17.0.2")
    for address in ("10.0.0.1", "172.17.0.1", "172.17.255.255", "172.17.0.0"):
        with pytest.raises(InvalidArgument, match="does not belong to any of this network's subnets"):
            lab.networks.allocate("2", "two2", ip=address)


def test_a_pool_runs_out(lab: Any) -> None:
    lab.networks.create("small", subnet="10.9.0.0/29")
    for number in range(5):
        lab.networks.allocate(str(number), f"name{number}", "small")
    with pytest.raises(Conflict, match="no available IPv4 addresses on this network's address pools: small"):
        lab.networks.allocate("6", "name6", "small")


def test_veth_names_are_short_and_differ() -> None:
    names = ["a" * 40, "a" * 41, "brisk_hopper", "brisk-hopper", "web", "we_b"]
    made = [veth_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(len(name) <= 15 for name in made)
    assert veth_name("web") == "vethweb"


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,80}", fullmatch=True))
def test_any_containers_name_makes_a_links_name(name: str) -> None:
    made = veth_name(name)
    assert made.startswith("veth")
    assert len(made) <= 15
    assert made.isalnum()


def test_two_names_that_shorten_to_the_same_do_not_share_a_link(lab: Any, busybox: Any) -> None:
    one, two = (
        lab.containers.run("busybox", ["sleep", "99"], detach=True, name=f"project-service-{number}")
        for number in (756, 1470)
    )
    assert one.endpoint.veth != two.endpoint.veth
    assert b"172.17.0.2/16" in one.exec(["ip", "-4", "addr", "show", "eth0"]).stdout


def test_links_come_and_go(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web1")
    links = _links(lab)
    assert links["vethweb1"]["master"] == links["docker0"]["index"] == 10
    assert links["docker0"]["mac"] == "02:42:ac:11:00:01"
    c.remove(force=True)
    # The same name at once: the old link may still be there.
    for _ in range(5):
        again = lab.containers.run("busybox", ["true"], rm=True, name="web1")
        assert again.exit_code == 0


def _by_hand(lab: Any, name: str, index: int = 0) -> None:
    with lab.netlink() as sock:
        Rtnetlink(sock).link_add("bridge", name, index=index)


def test_a_link_made_by_hand_is_left_alone(lab: Any, busybox: Any) -> None:
    lab.networks.ensure_bridge()
    _by_hand(lab, "veth0", index=11)
    assert "172.17.0.2" in lab.containers.run("busybox", ["ip", "-4", "addr"]).logs()
    assert _links(lab)["veth0"]["index"] == 11


def test_a_link_made_by_hand_with_a_name_of_ours(lab: Any, busybox: Any) -> None:
    _by_hand(lab, "vethweb")
    with pytest.raises(StartFailed, match="link vethweb \\(one made by hand\\): File exists"):
        lab.containers.run("busybox", ["true"], name="web", rm=True)
    assert "vethweb" in _links(lab)


def test_a_bridge_where_a_link_made_by_hand_has_its_index(lab: Any, busybox: Any) -> None:
    _by_hand(lab, "mine", index=10)
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web")
    links = _links(lab)
    assert links["docker0"]["index"] != 10
    assert links["vethweb"]["master"] == links["docker0"]["index"]
    assert c.exec(["ping", "-c", "1", "-W", "2", "172.17.0.1"]).exit_code == 0


def test_a_bridge_whose_name_is_taken(lab: Any, busybox: Any) -> None:
    _by_hand(lab, "docker0")
    with pytest.raises(Conflict, match="cannot make docker0: a link of that name was made by hand"):
        lab.containers.run("busybox", ["true"], rm=True)


def test_a_bridge_deleted_by_hand(lab: Any, busybox: Any) -> None:
    lab.networks.ensure_bridge()
    with lab.netlink() as sock:
        Rtnetlink(sock).link_delete("docker0")
    with pytest.raises(StartFailed, match="docker0 \\(it was deleted by hand; `%lab reset` makes a new one\\)"):
        lab.containers.run("busybox", ["true"], rm=True)
    assert list(_links(lab)) == ["lo"]


def test_a_renamed_container_keeps_its_link(lab: Any, busybox: Any) -> None:
    first = lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web")
    first.rename("old")
    lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web")
    assert b"eth0" in first.exec(["ip", "-o", "link"]).stdout
    assert len([name for name in _links(lab) if name.startswith("vethweb")]) == 2


def test_finding_networks(lab: Any) -> None:
    assert [network.name for network in lab.networks.list()] == ["bridge", "host", "none"]
    with pytest.raises(NotFound, match="network nosuch not found"):
        lab.networks.get("nosuch")
    assert lab.networks.inspect("bridge")["IPAM"]["Config"] == [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]


def test_texts() -> None:
    hosts = resolve.hosts("web", "example.org", ["172.17.0.2"], ["db:10.0.0.9", "out:host-gateway"])
    assert hosts.startswith("127.0.0.1\tlocalhost\n")
    assert hosts.endswith("10.0.0.9\tdb\n172.17.0.1\tout\n172.17.0.2\tweb.example.org web\n")
    assert resolve.resolv_conf(["9.9.9.9"]) == "nameserver 9.9.9.9\n"
