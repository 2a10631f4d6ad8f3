"""`bridge`: ports, MAC tables and VLANs of bridges (bridge(8))."""

from __future__ import annotations

import socket
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from nbcontainer.errors import UsageError
from nbcontainer.network.ip import kinds, link_show
from nbcontainer.network.ip.addr import NLM_F_REPLACE
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import RTM_GETLINK, Context
from nbcontainer.network.ip.link import RTM_DELLINK, RTM_NEWLINK, RTM_SETLINK
from nbcontainer.network.ip.neigh import RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH
from nbcontainer.network.ip.words import Words, family_of
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

AF_BRIDGE = 7
NTF_SELF, NTF_MASTER, NTF_EXT_LEARNED, NTF_OFFLOADED, NTF_STICKY, NTF_ROUTER = 0x02, 0x04, 0x10, 0x20, 0x40, 0x80
NUD_REACHABLE, NUD_STALE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x04, 0x40, 0x80
RTEXT_FILTER_BRVLAN = 2
VLAN_FILTERING = "CONFIG_BRIDGE_VLAN_FILTERING"
VLAN_MASTER, VLAN_PVID, VLAN_UNTAGGED, VLAN_BEGIN, VLAN_END = 1, 2, 4, 8, 16


def bridge(context: Context, words: Words) -> Answer | None:
    """`bridge {link|fdb|vlan} [COMMAND]`."""
    thing = words.command(("link", "fdb", "vlan"), "link", "bridge")
    return {"link": link, "fdb": fdb, "vlan": vlan}[thing](context, words)


# -- ports


def link(context: Context, words: Words) -> Answer | None:
    """`bridge link {show|set} …`."""
    command = words.command(("show", "list", "lst", "set"), "show", "bridge link")
    if command == "set":
        _set_port(context, words)
        return None
    device = _device(context, words)
    rows, lines = [], []
    link_show.settle(context)
    message = ifinfmsg()
    message["family"] = AF_BRIDGE
    for found in context.netlink.dump(RTM_GETLINK, message):
        port = found.get_attr("IFLA_PROTINFO")
        if port is None or (device and found["index"] != device):
            continue
        plain = context.links[found["index"]]
        made = link_show.row(context, plain)
        behind, _ = link_show.full_name(context, plain)
        state = port.get_attr("IFLA_BRPORT_STATE")
        made = {key: made[key] for key in ("ifindex", "ifname", "flags", "mtu", "master", "operstate") if key in made}
        made["state"] = next((name for name, number in kinds.PORT_STATES.items() if number == state), str(state))
        made["priority"], made["cost"] = port.get_attr("IFLA_BRPORT_PRIORITY"), port.get_attr("IFLA_BRPORT_COST")
        rows.append(made)
        lines.append(
            f"{made['ifindex']}: {made['ifname']}{behind}: <{','.join(made['flags'])}> mtu {made['mtu']} "
            f"master {made.get('master', '')} state {made['state']} priority {made['priority']} cost {made['cost']} "
        )
    return answer("port", rows, lines)


def _device(context: Context, words: Words) -> int:
    device = 0
    while words:
        word = words.next()
        if word != "dev":
            words.garbage(word)
        device = context.index(words.next(word))
    return device


def _set_port(context: Context, words: Words) -> None:
    device = ""
    attributes: list[Any] = []
    while words:
        word = words.next()
        if word == "dev":
            device = words.next(word)
        elif word in kinds.PORT:
            attributes.append(kinds.PORT[word](context, words, word))
        elif word != "master":
            words.garbage(word)
    if not device:
        raise UsageError("Device is a required argument.")
    message = ifinfmsg()
    message["index"] = context.index(device)
    info = [["IFLA_INFO_SLAVE_KIND", "bridge"], ["IFLA_INFO_SLAVE_DATA", {"attrs": attributes}]]
    message["attrs"] = [["IFLA_LINKINFO", {"attrs": info}]]
    context.request(RTM_NEWLINK, message, 0, f"port {device}")


# -- MAC tables


def fdb(context: Context, words: Words) -> Answer | None:
    """`bridge fdb {show|add|append|replace|delete} …`."""
    command = words.command(("show", "list", "lst", "add", "append", "replace", "delete"), "show", "bridge fdb")
    if command in ("show", "list", "lst"):
        return _show_fdb(context, words)
    _change_fdb(context, words, command)
    return None


def _change_fdb(context: Context, words: Words, command: str) -> None:
    mac = device = ""
    message = ndmsg()
    flags = state = 0
    attributes: list[Any] = []
    while words:
        word = words.next()
        if word == "dev":
            device = words.next(word)
        elif word == "dst":
            attributes.append(["NDA_DST", words.address(word)])
        elif word in ("self", "master", "router", "sticky", "extern_learn"):
            flags |= {"self": NTF_SELF, "master": NTF_MASTER, "router": NTF_ROUTER, "sticky": NTF_STICKY}.get(
                word, NTF_EXT_LEARNED
            )
        elif word in ("local", "permanent"):
            state |= NUD_PERMANENT
        elif word in ("temp", "static"):
            state |= NUD_REACHABLE
        elif word == "dynamic":
            state |= NUD_STALE
        elif word == "vlan":
            attributes.append(["NDA_VLAN", words.number(word, 4095)])
        elif word == "port":
            attributes.append(["NDA_PORT", words.number(word, 0xFFFF)])
        elif word in ("vni", "src_vni"):
            attributes.append(["NDA_VNI" if word == "vni" else "NDA_SRC_VNI", words.number(word, 0xFFFFFF)])
        elif word == "via":
            attributes.append(["NDA_IFINDEX", context.index(words.next(word))])
        else:
            if mac:
                words.garbage(word)
            mac = Words([word], words.path).mac("lladdr")
    if not device or not mac:
        raise UsageError("Device and address are required arguments.")
    if any(name == "NDA_DST" and family_of(value) == 10 for name, value in attributes):
        message["family"] = socket.AF_INET6
    # Without a word about it, an entry is the device's own and stays; so bridge(8) has it.
    flags = flags or NTF_SELF
    state = state or NUD_PERMANENT
    if state & (NUD_REACHABLE | NUD_PERMANENT) == NUD_REACHABLE:
        state |= NUD_NOARP
    message["family"], message["flags"], message["state"] = AF_BRIDGE, flags, state
    message["ifindex"] = context.index(device)
    message["attrs"] = [["NDA_LLADDR", mac], *attributes]
    if command == "delete":
        context.request(RTM_DELNEIGH, message, 0, f"fdb {mac} dev {device}")
        return
    how = {"add": NLM_F_CREATE | NLM_F_EXCL, "append": NLM_F_CREATE | 0x800, "replace": NLM_F_CREATE | NLM_F_REPLACE}
    context.request(RTM_NEWNEIGH, message, how[command], f"fdb {mac} dev {device}")


def _show_fdb(context: Context, words: Words) -> Answer:
    device, master, vlan_id, state = 0, 0, 0, ""
    while words:
        word = words.next()
        if word in ("dev", "brport"):
            device = context.index(words.next(word))
        elif word in ("br", "bridge"):
            master = context.index(words.next(word))
        elif word == "vlan":
            vlan_id = words.number(word, 4095)
        elif word == "state":
            state = words.next(word)
        elif word == "dynamic":
            state = "dynamic"
        else:
            words.garbage(word)
    rows = []
    for entry in entries(context):
        if device and entry["ifindex"] != device:
            continue
        link = context.links.get(entry["ifindex"])
        if master and master not in (entry["ifindex"], link.get_attr("IFLA_MASTER") if link else 0):
            continue
        if vlan_id and entry.get_attr("NDA_VLAN") != vlan_id:
            continue
        made = fdb_row(context, entry)
        if state and state not in (made["state"], made["state"] or "dynamic"):
            continue
        rows.append(made)
    return answer("fdb", rows, [fdb_text(made, bool(device)) for made in rows])


def entries(context: Context) -> list[Any]:
    """Every entry of every MAC table, those of a link together."""
    message = ndmsg()
    message["family"] = AF_BRIDGE
    found = context.netlink.dump(RTM_GETNEIGH, message)
    return sorted(found, key=lambda entry: (entry["ifindex"], entry["flags"], str(entry.get_attr("NDA_LLADDR"))))


def fdb_row(context: Context, entry: Any) -> dict[str, Any]:
    """An entry as `bridge -json fdb show` has it."""
    made: dict[str, Any] = {"mac": entry.get_attr("NDA_LLADDR"), "ifname": context.name_of(entry["ifindex"])}
    if entry.get_attr("NDA_DST"):
        made["dst"] = entry.get_attr("NDA_DST")
    for key, attribute in (("vlan", "NDA_VLAN"), ("port", "NDA_PORT"), ("vni", "NDA_VNI"), ("src_vni", "NDA_SRC_VNI")):
        if entry.get_attr(attribute):
            made[key] = entry.get_attr(attribute)
    if entry.get_attr("NDA_IFINDEX"):
        made["viaIf"] = context.name_of(entry.get_attr("NDA_IFINDEX"))
    bits = (
        (NTF_SELF, "self"), (NTF_ROUTER, "router"), (NTF_EXT_LEARNED, "extern_learn"), (NTF_OFFLOADED, "offload"),
        (NTF_STICKY, "sticky"),
    )  # fmt: skip
    made["flags"] = [name for bit, name in bits if entry["flags"] & bit]
    if entry.get_attr("NDA_MASTER"):
        made["master"] = context.name_of(entry.get_attr("NDA_MASTER"))
    state = entry["state"]
    made["state"] = (
        "permanent"
        if state & NUD_PERMANENT
        else "static"
        if state & NUD_NOARP
        else "stale"
        if state & NUD_STALE
        else ""
    )
    return made


def fdb_text(made: dict[str, Any], of_device: bool) -> str:
    """The line of an entry."""
    words = [made["mac"]]
    if not of_device:
        words += ["dev", made["ifname"]]
    for key, word in (("dst", "dst"), ("vlan", "vlan"), ("port", "port"), ("vni", "vni"), ("src_vni", "src_vni")):
        if key in made:
            words += [word, str(made[key])]
    if "viaIf" in made:
        words += ["via", made["viaIf"]]
    words += [name for name in made["flags"] if name == "self"]
    if "master" in made:
        words += ["master", made["master"]]
    words += [name for name in made["flags"] if name != "self"]
    words.append(made["state"])
    return " ".join(words)


# -- VLANs


def vlan(context: Context, words: Words) -> Answer | None:
    """`bridge vlan {show|add|delete} …`."""
    command = words.command(("show", "list", "lst", "add", "delete"), "show", "bridge vlan")
    if command in ("show", "list", "lst"):
        return _show_vlan(context, _device(context, words))
    name, ids, flags, place = "", (0, 0), 0, 0
    while words:
        word = words.next()
        if word == "dev":
            name = words.next(word)
        elif word == "vid":
            ids = _vlan_ids(words, words.next(word))
        elif word in ("pvid", "untagged"):
            flags |= VLAN_PVID if word == "pvid" else VLAN_UNTAGGED
        elif word in ("self", "master"):
            place |= 2 if word == "self" else 1
        else:
            words.garbage(word)
    if not name or not ids[0]:
        raise UsageError("Device and VLAN ID are required arguments.")
    begin, last = ids
    spans = [(begin, flags)] if begin == last else [(begin, flags | VLAN_BEGIN), (last, flags | VLAN_END)]
    spec: list[Any] = [["IFLA_BRIDGE_FLAGS", place]] if place else []
    spec += [["IFLA_BRIDGE_VLAN_INFO", {"flags": bits, "vid": vid}] for vid, bits in spans]
    message = ifinfmsg()
    message["family"], message["index"] = AF_BRIDGE, context.index(name)
    message["attrs"] = [["IFLA_AF_SPEC", {"attrs": spec}]]
    context.request(
        RTM_SETLINK if command == "add" else RTM_DELLINK, message, 0, f"vlan {begin} dev {name}", VLAN_FILTERING
    )
    return None


def _vlan_ids(words: Words, text: str) -> tuple[int, int]:
    """`5` or `5-9`."""
    first, _, last = text.partition("-")
    if not first.isdigit() or not (last or first).isdigit() or not 0 < int(first) <= int(last or first) < 4095:
        words.wrong(text, "Invalid VLAN ID, which is 1 to 4094")
    return int(first), int(last or first)


def _show_vlan(context: Context, device: int) -> Answer:
    message = ifinfmsg()
    message["family"] = AF_BRIDGE
    message["attrs"] = [["IFLA_EXT_MASK", RTEXT_FILTER_BRVLAN]]
    rows, lines = [], [f"{'port':<17} vlan-id  "]
    for found in context.netlink.dump(RTM_GETLINK, message):
        spec = found.get_attr("IFLA_AF_SPEC")
        if spec is None or (device and found["index"] != device):
            continue
        vlans = [
            {
                "vlan": one["vid"],
                "flags": [
                    name
                    for bit, name in ((VLAN_PVID, "PVID"), (VLAN_UNTAGGED, "Egress Untagged"))
                    if one["flags"] & bit
                ],
            }
            for one in spec.get_attrs("IFLA_BRIDGE_VLAN_INFO")
        ]
        if not vlans:
            continue
        port = context.name_of(found["index"])
        rows.append({"ifname": port, "vlans": vlans})
        for at, entry in enumerate(vlans):
            head = f"{port if not at else '':<17} "
            lines.append(f"{head}{entry['vlan']}" + "".join(f" {flag}" for flag in entry["flags"]))
    return answer("vlan", rows, lines)
