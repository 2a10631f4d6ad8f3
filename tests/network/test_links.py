"""Links read from the bytes."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.container import on_host
from nbcontainer.network import links


def test_as_ip_shows_them(lab: Any) -> None:
    script = "ip link add v1 type veth peer name v2 && ip link set v1 up && ip address add 10.1.0.1/24 dev v1"
    assert on_host.run(lab, ["sh", "-c", script]).exit_code == 0
    with lab.netns.host.netlink() as netlink:
        found = links.read(netlink)
    told = json.loads(on_host.run(lab, ["ip", "-d", "-j", "address"]).stdout)
    assert [link.name for link in found.values()] == [link["ifname"] for link in told]
    for link, said in zip(found.values(), told, strict=True):
        assert (link.index, link.mac, link.mtu) == (said["ifindex"], said["address"], said["mtu"])
        assert link.kind == said.get("linkinfo", {}).get("info_kind", "")
    named = {link.name: link for link in found.values()}
    assert named["v1"].addresses == ["10.1.0.1/24"]
    assert (named["v1"].peer, named["v1"].peer_netns) == (named["v2"].index, None)
    assert not named["v1"].up  # its peer is down: no carrier


@given(st.binary(max_size=300))
def test_any_bytes_are_a_link_or_none(data: bytes) -> None:
    try:
        links.parse_link(struct.pack("BBHiII", 0, 0, 0, 7, 1, 0) + data)
        links.parse_address(struct.pack("BBBBi", socket.AF_INET, 24, 0, 0, 7) + data)
    except struct.error:
        pass  # an attribute of the wrong length: the kernel makes none
