"""`ip link`: make, change and remove links (ip-link(8))."""

from __future__ import annotations

import errno
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg, ifinfveth

from nbcontainer.errors import Unavailable, UsageError
from nbcontainer.network.ip import kinds, link_show
from nbcontainer.network.ip.answer import Answer
from nbcontainer.network.ip.context import WITH_MAC, Context, refusal
from nbcontainer.network.ip.words import Words
from nbcontainer.network.netlink import Refused
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

RTM_NEWLINK, RTM_DELLINK, RTM_SETLINK = 16, 17, 19
IFF_UP, IFF_NOARP, IFF_PROMISC, IFF_ALLMULTI, IFF_MULTICAST, IFF_DYNAMIC = 0x1, 0x80, 0x100, 0x200, 0x1000, 0x8000

COMMANDS = ("add", "set", "delete", "show", "list", "lst", "change", "replace")
ADDRGEN = {"eui64": 0, "none": 1, "stable_secret": 2, "random": 3}
_SWITCHED = {
    "multicast": IFF_MULTICAST,
    "allmulticast": IFF_ALLMULTI,
    "promisc": IFF_PROMISC,
    "dynamic": IFF_DYNAMIC,
}


def link(context: Context, words: Words) -> Answer | None:
    """`ip link [COMMAND]`."""
    command = words.command(COMMANDS, "show", "ip link")
    if command in ("show", "list", "lst"):
        return link_show.show(context, words)
    if command == "add":
        add(context, words, NLM_F_CREATE | NLM_F_EXCL)
    elif command == "replace":
        add(context, words, NLM_F_CREATE)
    elif command == "delete":
        delete(context, words)
    else:
        change(context, words)
    return None


class Wanted:
    """What the words about a link say: its name, its type, and the rest as netlink wants it."""

    def __init__(self) -> None:
        self.name = ""
        self.kind = ""
        self.attributes: list[Any] = []
        self.data: list[Any] = []
        self.index = 0
        self.flags = 0
        self.change = 0
        self.netns = ""

    def flag(self, flag: int, on: bool) -> None:
        """Set or clear a flag."""
        self.change |= flag
        self.flags = self.flags | flag if on else self.flags & ~flag

    def has(self, attribute: str) -> bool:
        """Whether the words gave this attribute."""
        return any(name == attribute for name, _ in self.attributes)

    def into(self, message: Any) -> Any:
        """The message that asks for it."""
        message["flags"], message["change"] = self.flags, self.change
        message["index"] = self.index
        message["attrs"] = list(self.attributes)
        return message


def read(context: Context, words: Words, *, new: bool, peer: bool = False) -> Wanted:
    """The words from a link's name to the end of its type's."""
    wanted = Wanted()
    while words:
        word = words.next()
        if word == "type":
            wanted.kind = words.next("type")
            _read_kind(context, words, wanted)
            break
        if not _read_one(context, words, wanted, word, new):
            if wanted.name or peer:
                words.garbage(word)
            wanted.name = word
    return wanted


def _read_one(context: Context, words: Words, wanted: Wanted, word: str, new: bool) -> bool:
    """Take one keyword and its value; False when it is none."""
    add = wanted.attributes.append
    if word in ("name", "dev"):
        name = words.next(word)
        if word == "name" and not new:
            add(["IFLA_IFNAME", _checked(words, name, word)])
        else:
            wanted.name = name
    elif word == "link":
        add(["IFLA_LINK", context.index(words.next(word), 'Cannot find device "{name}"')])
    elif word in ("address", "lladdr"):
        add(["IFLA_ADDRESS", words.mac(word)])
    elif word in ("broadcast", "brd"):
        add(["IFLA_BROADCAST", words.mac(word)])
    elif word in ("txqueuelen", "qlen", "txqlen"):
        add(["IFLA_TXQLEN", words.number(word)])
    elif word == "mtu":
        add(["IFLA_MTU", words.number(word)])
    elif word == "index":
        wanted.index = words.number(word, 0x7FFFFFFF, lowest=1)
    elif word in ("numtxqueues", "numrxqueues"):
        add([f"IFLA_NUM_{word[3:5].upper()}_QUEUES", words.number(word)])
    elif word == "netns":
        wanted.netns = words.next(word)
        add(["IFLA_NET_NS_FD", context.netns_fd(wanted.netns, words)])
    elif word == "master":
        add(["IFLA_MASTER", context.index(words.next(word), 'Device does not exist: "{name}"')])
    elif word == "nomaster":
        add(["IFLA_MASTER", 0])
    elif word in ("up", "down"):
        wanted.flag(IFF_UP, word == "up")
    elif word == "arp":
        wanted.flag(IFF_NOARP, not words.switch(word))
    elif word in _SWITCHED:
        wanted.flag(_SWITCHED[word], bool(words.switch(word)))
    elif word == "alias":
        add(["IFLA_IFALIAS", words.next(word)])
    elif word == "group":
        text = words.next(word)
        add(["IFLA_GROUP", 0 if text == "default" else int(text) if text.isdigit() else words.wrong(text, "group")])
    elif word == "protodown":
        add(["IFLA_PROTO_DOWN", words.switch(word)])
    elif word == "carrier":
        add(["IFLA_CARRIER", words.switch(word)])
    elif word == "addrgenmode":
        mode = ADDRGEN[words.choice(word, ADDRGEN)]
        add(["IFLA_AF_SPEC", {"attrs": [["AF_INET6", {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", mode]]}]]}])
    else:
        return False
    return True


def _checked(words: Words, name: str, word: str) -> str:
    return Words([name], words.path).link_name(word)


def _read_kind(context: Context, words: Words, wanted: Wanted) -> None:
    if wanted.kind != "veth":
        wanted.data = kinds.read(context, words, wanted.kind)
        return
    if not words:
        return
    if words.next() != "peer":
        raise UsageError('veth: what follows is "peer name NAME"')
    other = read(context, words, new=True)
    if other.name:
        other.attributes.append(["IFLA_IFNAME", _checked(words, other.name, "name")])
    _give_mac(context, other, "veth")
    wanted.data = [["VETH_INFO_PEER", other.into(ifinfveth())]]


def _give_mac(context: Context, wanted: Wanted, kind: str) -> None:
    if kind in WITH_MAC and not wanted.has("IFLA_ADDRESS"):
        mac = context.new_mac(wanted.name or f"{kind}-peer", wanted.netns or context.place)
        wanted.attributes.append(["IFLA_ADDRESS", mac])


def add(context: Context, words: Words, flags: int) -> None:
    """`ip link add [link DEV] [name] NAME [ATTRIBUTES] type TYPE [ARGS]`."""
    wanted = read(context, words, new=True)
    if not wanted.kind:
        raise UsageError(f'Not enough information: "type" argument is required: {words.path}')
    if wanted.name:
        wanted.attributes.append(["IFLA_IFNAME", _checked(words, wanted.name, "name")])
    if wanted.kind in kinds.ON_A_LINK and not wanted.has("IFLA_LINK"):
        raise UsageError(f"a {wanted.kind} lies on another link: {words.path} link DEV name NAME type {wanted.kind}")
    _give_mac(context, wanted, wanted.kind)
    if wanted.kind == "veth" and not wanted.data:
        other = Wanted()
        _give_mac(context, other, "veth")
        wanted.data = [["VETH_INFO_PEER", other.into(ifinfveth())]]
    info: list[Any] = [["IFLA_INFO_KIND", wanted.kind]]
    if wanted.data:
        info.append(["IFLA_INFO_DATA", {"attrs": wanted.data}])
    message = wanted.into(ifinfmsg())
    message["attrs"].append(["IFLA_LINKINFO", {"attrs": info}])
    try:
        context.netlink.request(RTM_NEWLINK, message, flags, f"link {wanted.name}")
    except Refused as error:
        if error.errno == errno.EOPNOTSUPP and "nknown device type" in error.said:
            raise Unavailable(
                f"Unknown device type: this kernel has no {wanted.kind} links ({kinds.config_of(wanted.kind)}), "
                f"or has not loaded its module (modprobe {wanted.kind}, by the machine's root)"
            ) from None
        raise refusal(error, f"link {wanted.name or wanted.kind}") from None
    finally:
        context.forget_links()


def change(context: Context, words: Words) -> None:
    """`ip link set [dev] DEV …`, or `ip link set group NUMBER …` for several at once."""
    wanted = read(context, words, new=False)
    if not wanted.name:
        raise UsageError(f'Not enough information: "dev" argument is required: {words.path}')
    index = context.index(wanted.name)
    message = wanted.into(ifinfmsg())
    message["index"] = index
    if wanted.kind:
        slave = wanted.kind.endswith("_slave")
        kind, data = ("IFLA_INFO_SLAVE_KIND", "IFLA_INFO_SLAVE_DATA") if slave else ("IFLA_INFO_KIND", "IFLA_INFO_DATA")
        info = [[kind, wanted.kind.removesuffix("_slave")], [data, {"attrs": wanted.data}]]
        message["attrs"].append(["IFLA_LINKINFO", {"attrs": info}])
    needs = "CONFIG_BRIDGE_VLAN_FILTERING" if any("VLAN" in name for name, _ in wanted.data) else ""
    context.request(RTM_NEWLINK, message, 0, f"link {wanted.name}", needs)
    context.forget_links()


def delete(context: Context, words: Words) -> None:
    """`ip link delete [dev] DEV [type TYPE]`; the other end of a pair goes with it."""
    wanted = read(context, words, new=False)
    if not wanted.name:
        raise UsageError(f'Not enough information: "dev" argument is required: {words.path}')
    message = ifinfmsg()
    message["index"] = context.index(wanted.name)
    context.request(RTM_DELLINK, message, 0, f"link {wanted.name}")
    context.forget_links()
