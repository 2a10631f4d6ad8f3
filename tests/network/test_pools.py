"""Subnets, gateways and addresses: what may be given out, and what is refused in Docker's words."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError
from nbcontainer.network import pools
from nbcontainer.network.network import Settings
from nbcontainer.network.pools import Pool


def made(*subnets: str, gateway: Any = (), ip_range: Any = (), aux: Any = None, taken: Any = ()) -> list[Pool]:
    return pools.make(subnets, gateway, ip_range, aux or {}, [ip_network(text) for text in taken])


def test_the_first_address_is_the_gateways() -> None:
    (pool,) = made("10.1.0.0/24")
    assert pool.config() == {"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}
    assert [str(pool.take(name)) for name in "ab"] == ["10.1.0.2", "10.1.0.3"]
    pool.give_back(ip_address("10.1.0.2"))
    assert str(pool.take("c")) == "10.1.0.2"


def test_range_gateway_and_auxiliary_addresses() -> None:
    (pool,) = made("10.1.0.0/24", gateway=["10.1.0.254"], ip_range=["10.1.0.128/29"], aux={"router": "10.1.0.129"})
    # As in Docker, the range's own first and last addresses are addresses like others.
    assert [str(pool.take(str(n))) for n in range(7)] == [f"10.1.0.{n}" for n in (128, 130, 131, 132, 133, 134, 135)]
    assert pool.take("none is left") is None
    assert str(pool.take("asked", ip_address("10.1.0.9"))) == "10.1.0.9"
    with pytest.raises(Conflict, match=r"Address already in use: 10\.1\.0\.129 is an auxiliary address"):
        pool.take("x", ip_address("10.1.0.129"))
    assert Pool.from_config(pool.config()).config() == pool.config()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"subnets": ["10.1.0.0"]}, "invalid CIDR address: 10.1.0.0"),
        ({"subnets": ["10.1.0.0/40"]}, "invalid CIDR address"),
        ({"subnets": ["10.1.0.0/31"]}, "no room for a gateway and a container"),
        ({"subnets": ["10.1.0.0/24"], "gateway": ["10.2.0.1"]}, "no matching subnet for gateway 10.2.0.1"),
        ({"subnets": ["10.1.0.0/24"], "gateway": ["x"]}, "invalid IP address: x"),
        ({"subnets": ["10.1.0.0/24"], "gateway": ["10.1.0.1", "10.1.0.2"]}, "no more than one gateway"),
        ({"subnets": ["10.1.0.0/24"], "ip_range": ["10.2.0.0/25"]}, "no matching subnet for range 10.2.0.0/25"),
        ({"subnets": ["10.1.0.0/24"], "ip_range": ["10.1.0.0/16"]}, "no matching subnet for range"),
        ({"subnets": ["10.1.0.0/24"], "aux": {"a": "10.9.0.1"}}, "no matching subnet for aux-address 10.9.0.1"),
        ({"subnets": [], "gateway": ["10.1.0.1"]}, "no matching subnet for gateway"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        made(*arguments.pop("subnets"), **arguments)


@pytest.mark.parametrize("subnet", ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "0.0.0.0/0"])
def test_overlapping_subnets(subnet: str) -> None:
    with pytest.raises(Conflict, match="Pool overlaps with other one on this address space"):
        made(subnet, taken=["10.1.0.0/16"])


def test_the_default_pools_are_dockers_and_run_out() -> None:
    taken: list[Any] = []
    for _ in range(31):
        taken.append(pools.default(taken).subnet)
    assert [str(taken[n]) for n in (0, 1, 14, 15, 30)] == [
        *("172.17.0.0/16", "172.18.0.0/16", "172.31.0.0/16", "192.168.0.0/20", "192.168.240.0/20"),
    ]
    with pytest.raises(Conflict, match="all predefined address pools have been fully subnetted"):
        pools.default(taken)


def test_an_ipv6_subnet_follows_from_the_name() -> None:
    one, again = pools.default6("net1", []), pools.default6("net1", [])
    assert one.subnet == again.subnet
    assert one.subnet.subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    assert pools.default6("net1", [one.subnet]).subnet != one.subnet


@given(st.lists(st.text("0123456789abcdef:./", max_size=20), max_size=3), st.text(max_size=20), st.text(max_size=20))
def test_any_text_makes_pools_or_is_refused(subnets: list[str], gateway: str, part: str) -> None:
    with contextlib.suppress(NbcontainerError):
        pools.make(subnets, [gateway], [part], {"a": gateway}, [])


@pytest.mark.parametrize("name", ["", "-net", ".net", "a b", "a/b", "ü", "a\nb", "a;b", "../x"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid network name"):
        Settings.parse(name)


def test_options_that_cannot_be() -> None:
    for opt, why in (
        ({"com.docker.network.driver.mtu": "12"}, "it is a number from 68 to 65535"),
        ({"com.docker.network.driver.mtu": "many"}, "it is a number"),
        ({"com.docker.network.bridge.enable_icc": "perhaps"}, "it is true or false"),
        ({"com.docker.network.bridge.name": "a-name-too-long-for-a-link"}, "at most 15 letters"),
    ):
        with pytest.raises(InvalidArgument, match=why):
            Settings.parse("net1", opt=opt)
    with pytest.raises(InvalidArgument, match="there is no option flavour"):
        Settings.parse("net1", flavour="x")
