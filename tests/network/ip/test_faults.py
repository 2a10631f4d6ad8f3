"""What cannot be is one clear line in iproute2's words, and changes nothing."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError, NotFound, Unavailable, UsageError
from nbcontainer.network.ip import words
from nbcontainer.network.ip.command import OBJECTS, bridge, ip

LINES = (
    ("ip link show nosuch", NotFound, 'Device "nosuch" does not exist. (on the lab\'s host there are lo, b, a)'),
    ("ip link set nosuch up", NotFound, 'Cannot find device "nosuch"'),
    ("ip link add a type veth", Conflict, "RTNETLINK answers: File exists: link a"),
    ("ip link add x", UsageError, '"type" argument is required'),
    ("ip link add x type nosuch", Unavailable, "Unknown device type: this kernel has no nosuch links"),
    ("ip link add x type macvlan", UsageError, "a macvlan lies on another link"),
    ("ip link add link nosuch name x type macvlan", NotFound, 'Cannot find device "nosuch"'),
    ("ip link add xxxxxxxxxxxxxxxx type veth", InvalidArgument, "not a valid ifname"),
    ("ip link add 'a b' type veth", InvalidArgument, "not a valid ifname"),
    ("ip link add a/b type bridge", InvalidArgument, "not a valid ifname"),
    ("ip link add x type veth peer name 'p q'", InvalidArgument, "not a valid ifname"),
    ("ip link add x type vxlan id 5 frob 7", UsageError, 'vxlan: unknown option "frob"'),
    ("ip link add x type vxlan id 99999999", InvalidArgument, '"id" value must be 0 to 16777215'),
    ("ip link add x type bridge stp_state", UsageError, "Command line is not complete"),
    ("ip link set a netns nosuch", NotFound, 'argument "nosuch" is wrong: Invalid "netns" value (there are r1)'),
    ("ip link set a address 02:zz", InvalidArgument, "is six bytes"),
    ("ip link set a up frob", UsageError, '"frob" is a garbage'),
    ("ip link set a mtu -5", InvalidArgument, '"mtu" value must be'),
    ("ip link set lo master a", NbcontainerError, ": link lo"),
    ("ip -n nosuch link", NotFound, 'Cannot open network namespace "nosuch"'),
    ("ip addr add 10.1.0.300/24 dev a", InvalidArgument, 'any valid prefix is expected rather than "10.1.0.300/24".'),
    ("ip addr add 10.1.0.1/33 dev a", InvalidArgument, "any valid prefix is expected"),
    ("ip addr add 10.1.0.1/24", UsageError, '"dev" argument is required'),
    ("ip addr del 10.1.0.1/24 dev a", NotFound, ": address 10.1.0.1/24 dev a"),
    ("ip addr flush", UsageError, "Flush requires arguments."),
    ("ip route add default via 9.9.9.9", NbcontainerError, ": route default via 9.9.9.9"),
    ("ip route del 1.2.3.0/24", NotFound, ": route 1.2.3.0/24"),
    ("ip route add", UsageError, "a destination is required"),
    ("ip route flush", UsageError, "requires arguments"),
    ("ip rule add from 10.0.0.0/8", UsageError, "a table is required"),
    ("ip neigh add 10.1.0.9 lladdr 02:00:00:00:00:09", UsageError, "Device and destination are required"),
    ("ip tuntap add t0", UsageError, "You failed to specify a tunnel mode"),
    ("ip frob", UsageError, 'Object "frob" is unknown, try "ip help"'),
    ("ip link frob", UsageError, 'Command "frob" is unknown, try "ip link help"'),
    ("ip -frob link", UsageError, 'Option "-frob" is unknown'),
    ("bridge fdb add 02:00:00:00:00:01", UsageError, "Device and address are required"),
    ("bridge vlan add dev a vid 5000", InvalidArgument, "Invalid VLAN ID"),
    ("bridge frob", UsageError, 'Command "frob" is unknown'),
)


def act(lab: Any, line: str) -> Any:
    program, *rest = shlex.split(line)
    return {"ip": ip, "bridge": bridge}[program](lab.netns.host, rest)


def test_each_says_what_is_wrong_and_changes_nothing(lab: Any) -> None:
    lab.netns.add("r1")
    act(lab, "ip link add a type veth peer name b")
    before = str(act(lab, "ip addr")), str(act(lab, "ip route show table all"))
    for line, kind, text in LINES:
        with pytest.raises(kind) as caught:
            act(lab, line)
        said = str(caught.value)
        assert text in said, line
        assert "\n" not in said, line
    assert (str(act(lab, "ip addr")), str(act(lab, "ip route show table all"))) == before


def test_what_this_kernel_has_not_is_named(lab: Any) -> None:
    """Whichever of these types the kernel lacks, it says so; the others are made."""
    act(lab, "ip link add base type veth")
    for number, kind in enumerate(("dummy", "ifb", "macvlan", "ipvlan", "vlan", "vxlan", "vrf", "geneve", "bridge")):
        on = "link base " if kind in ("macvlan", "ipvlan", "vlan") else ""
        more = {"vlan": " id 5", "vxlan": " id 5 dstport 4789", "vrf": " table 9", "geneve": " id 5 remote 10.0.0.1"}
        line = f"ip link add {on}name x{number} type {kind}{more.get(kind, '')}"
        if kind == "ipvlan":
            on_host.run(lab, ["ip", "link", "del", "x2"])  # a link carries macvlans or ipvlans
        try:
            act(lab, line)
        except Unavailable:
            with pytest.raises(Unavailable, match=rf"this kernel has no {kind} links \(CONFIG_"):
                act(lab, line)
        else:
            assert act(lab, f"ip link show type {kind}").rows[0]["ifname"] == f"x{number}"


def test_vlan_filtering_works_or_is_said_to_be_missing(lab: Any) -> None:
    act(lab, "ip link add br0 type bridge")
    act(lab, "ip link add a type veth peer name b")
    act(lab, "ip link set a master br0")
    try:
        act(lab, "ip link set br0 type bridge vlan_filtering 1")
    except Unavailable:
        with pytest.raises(Unavailable, match="CONFIG_BRIDGE_VLAN_FILTERING"):
            act(lab, "bridge vlan add dev a vid 7 pvid untagged")
        return
    act(lab, "bridge vlan add dev a vid 7 pvid untagged")
    act(lab, "bridge vlan add dev a vid 8-9")
    assert {"vlan": 7, "flags": ["PVID", "Egress Untagged"]} in act(lab, "bridge vlan show dev a").rows[0]["vlans"]
    act(lab, "bridge vlan del dev a vid 8")
    assert [one["vlan"] for one in act(lab, "bridge vlan show dev a").rows[0]["vlans"]] == [1, 7, 9]


def test_a_link_deleted_under_us(lab: Any) -> None:
    act(lab, "ip link add a type veth peer name b")
    on_host.run(lab, ["ip", "link", "del", "dev", "a"])
    for line in ("ip link set a up", "ip addr add 10.0.0.1/24 dev a", "ip link del b", "bridge fdb show dev a"):
        with pytest.raises(NotFound, match="Cannot find device"):
            act(lab, line)
    act(lab, "ip link add a type veth peer name b")
    assert len(act(lab, "ip link").rows) == 3


def test_a_netns_deleted_with_links_in_it(lab: Any) -> None:
    r1 = lab.netns.add("r1")
    act(lab, "ip link add a type veth peer name b netns r1")
    with r1.netlink():  # keeps it alive
        on_host.run(lab, ["ip", "netns", "del", "r1"])
        with pytest.raises(NotFound, match='Cannot open network namespace "r1"'):
            ip(r1, ["link"])
        (row,) = act(lab, "ip link show a").rows
        assert "link_netns" not in row
        assert row["link_netnsid"] == 0


def test_strange_names_of_links(lab: Any) -> None:
    for name in ("@x", "é", "-", "a'b", "名前", "$x;"):
        act(lab, f"ip link add name {shlex.quote(name)} type bridge")
        assert act(lab, f"ip link show dev {shlex.quote(name)}").rows[0]["ifname"] == name


def test_addresses_of_the_same_links_repeat(lab: Any) -> None:
    from nbcontainer.runtime import Lab

    def macs(one: Any) -> list[str]:
        one.netns.add("r1")
        for line in (
            "ip link add a type veth peer name b",
            "ip link set b netns r1",
            "ip link add b type veth",
            "ip link add br type bridge",
            "ip link add a2 type veth peer name a netns r1",
        ):
            act(one, line)
        return [row["address"] for place in ("ip link", "ip -n r1 link") for row in act(one, place).rows]

    first = macs(lab)
    assert len(set(first)) == len(first) - 1  # the two lo
    with Lab() as again:
        assert macs(again) == first


KNOWN = "add set del show dev lo up type veth peer name via table nud netns 10.0.0.1/8".split()


@settings(deadline=None)
@given(st.sampled_from([*OBJECTS, "bridge"]), st.lists(st.text(max_size=8) | st.sampled_from(KNOWN), max_size=5))
def test_any_words_give_a_result_or_one_line(kept_lab: Any, name: str, rest: list[str]) -> None:
    try:
        if name == "bridge":
            bridge(kept_lab.netns.host, rest)
        else:
            ip(kept_lab.netns.host, [name, *rest])
    except NbcontainerError:
        pass


@pytest.fixture(scope="module")
def kept_lab() -> Any:
    from nbcontainer.runtime import Lab

    with Lab() as lab:
        yield lab


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_links_name_is_refused_or_fits(name: str) -> None:
    try:
        words.link_name(name)
    except InvalidArgument:
        return
    assert 0 < len(name.encode()) <= 15
    assert not set(name) & set("/: \t\n")


@settings(deadline=None)
@given(st.ip_addresses(), st.integers(0, 128))
def test_prefixes(host: Any, length: int) -> None:
    if length > host.max_prefixlen:
        with pytest.raises(InvalidArgument):
            words.prefix(f"{host}/{length}")
    else:
        assert words.prefix(f"{host}/{length}") == (str(host), length)
