"""rtnetlink, spoken with the kernel of a lab."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nbcontainer.network.wire import RTM_DELLINK, Rtnetlink, mac_bytes


@pytest.fixture
def rtnetlink(lab: Any) -> Iterator[Rtnetlink]:
    with lab.netlink() as sock:
        yield Rtnetlink(sock)


def by_name(rtnetlink: Rtnetlink) -> dict[str, dict[str, Any]]:
    return {link["name"]: link for link in rtnetlink.links()}


@contextmanager
def refused(code: int, what: str) -> Iterator[None]:
    with pytest.raises(OSError, match=what) as raised:
        yield
    assert (raised.value.errno, raised.value.filename) == (code, what)


def test_links_are_made_seen_and_deleted(rtnetlink: Rtnetlink) -> None:
    before = by_name(rtnetlink)
    assert before["lo"]["index"] == 1
    rtnetlink.link_add("bridge", "fifteen-letters", index=77, mac="02:00:00:00:00:07")
    found = by_name(rtnetlink)["fifteen-letters"]
    assert (found["index"], found["mac"], found["flags"] & 1, found["master"]) == (77, "02:00:00:00:00:07", 1, 0)
    rtnetlink.link_add("bridge", "down", up=False)
    assert by_name(rtnetlink)["down"]["flags"] & 1 == 0
    for name in ("fifteen-letters", "down"):
        rtnetlink.link_delete(name)
    assert by_name(rtnetlink) == before


def test_every_link_of_many_is_seen(rtnetlink: Rtnetlink) -> None:
    """More than the kernel puts in one answer."""
    names = {f"many{number}" for number in range(60)}
    for name in names:
        rtnetlink.link_add("bridge", name, up=False)
    assert names < set(by_name(rtnetlink))


def test_a_refusal_says_what_was_asked(rtnetlink: Rtnetlink) -> None:
    rtnetlink.link_add("bridge", "mine")
    with refused(errno.EEXIST, "link mine"):
        rtnetlink.link_add("bridge", "mine")
    with refused(errno.ENODEV, "link nosuch"):
        rtnetlink.link_delete("nosuch")
    with refused(errno.EOPNOTSUPP, "link other"):
        rtnetlink.link_add("no-such-kind", "other")
    with refused(errno.ENODEV, "address 10.9.9.9"):
        rtnetlink.address_add(4000, "10.9.9.9", 24)
    rtnetlink.link_delete("mine")  # the socket still has its answers in order


def test_after_a_refusal_the_rest_of_a_batch_is_answered_too(rtnetlink: Rtnetlink) -> None:
    rtnetlink.link_add("bridge", "mine")
    flags, empty = 0, bytes(16)
    with pytest.raises(OSError, match="the first"):
        rtnetlink.batch([(RTM_DELLINK, flags, empty, "the first"), (RTM_DELLINK, flags, empty, "the second")])
    assert "mine" in by_name(rtnetlink)


def test_mac_addresses() -> None:
    assert mac_bytes("02:42:ac:11:00:02") == bytes((0x02, 0x42, 0xAC, 0x11, 0x00, 0x02))


def test_a_stale_link_of_the_same_name_is_replaced(lab: Any, busybox: Any, rtnetlink: Rtnetlink) -> None:
    """What a container that is gone left behind must not keep the next one of its name from starting."""
    lab.networks.ensure_bridge()
    rtnetlink.link_add("bridge", "vethweb1", index=500, mac="02:43:ac:11:00:63")
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True, name="web1")
    found = by_name(rtnetlink)
    assert found["vethweb1"]["index"] != 500
    assert found["vethweb1"]["master"] == found["docker0"]["index"]
    assert c.exec(["ping", "-c", "1", "-w", "5", "172.17.0.1"]).exit_code == 0


def test_each_container_has_a_link_of_its_own(lab: Any, busybox: Any, rtnetlink: Rtnetlink) -> None:
    names = ["brisk_hopper", "brisk-hopper", "a" * 40, "a" * 41, "web"]
    for name in names:
        lab.containers.run("busybox", ["sleep", "99"], detach=True, name=name)
    docker0 = by_name(rtnetlink)["docker0"]["index"]
    assert len([link for link in rtnetlink.links() if link["master"] == docker0]) == len(names)
