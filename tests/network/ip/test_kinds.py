"""Every word of every type becomes the attribute it is meant to be, whether or not this kernel has such links."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from nbcontainer.network.ip import kinds
from nbcontainer.network.ip.words import Words

VALUES = {
    "dev": "lo", "group": "10.0.0.1", "remote": "10.0.0.1", "local": "10.0.0.1", "protocol": "802.1ad",
    "vlan_protocol": "802.1Q", "group_address": "01:80:c2:00:00:00", "srcport": "1 2", "port": "1 2",
}  # fmt: skip
MODES = {"macvlan": "private", "macvtap": "vepa", "ipvlan": "l3s", "bond": "802.3ad"}


class Context:
    """Enough of one: every link has index 7."""

    def index(self, name: str) -> int:
        return 7


@pytest.mark.parametrize(("kind", "word"), [(kind, word) for kind, words in kinds.KINDS.items() for word in words])
def test_a_word_goes_there_and_back(kind: str, word: str) -> None:
    text = MODES.get(kind, "1") if word == "mode" else VALUES.get(word, "1")
    made = kinds.KINDS[kind][word](Context(), Words(text.split(), kind), word)  # type: ignore[arg-type]
    slave = "SLAVE_" if kind.endswith("_slave") else ""
    message = ifinfmsg()
    info = [[f"IFLA_INFO_{slave}KIND", kind.removesuffix("_slave")], [f"IFLA_INFO_{slave}DATA", {"attrs": [made]}]]
    message["attrs"] = [["IFLA_LINKINFO", {"attrs": info}]]
    message.encode()
    back: Any = ifinfmsg(message.data)
    back.decode()
    data = back.get_attr("IFLA_LINKINFO").get_attr(f"IFLA_INFO_{slave}DATA")
    name, value = data["attrs"][0]
    assert name == made[0]
    if isinstance(made[1], int | str) and name not in ("IFLA_BR_FDB_FLUSH", "IFLA_BRPORT_FLUSH", "IFLA_VXLAN_GBP"):
        assert value == made[1]
