"""What is going on in a network namespace: sockets, tracked connections, bridges with their ports and MAC tables."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from typing import Any

from nbcontainer.errors import Unavailable
from nbcontainer.network.ip import bridge, link_show
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context, Options
from nbcontainer.network.netlink import Netlink, Refused
from nbcontainer.network.netns import Netns

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NETLINK_NETFILTER = 12
#: NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET (linux/netfilter/nfnetlink_conntrack.h).
CONNTRACK_GET = 1 << 8 | 1
#: The names of TCP's states in ss(8), by number (linux/tcp_states.h).
STATES = (
    "UNKNOWN", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT",
    "LAST-ACK", "LISTEN", "CLOSING",
)  # fmt: skip
#: Those of a tracked TCP connection (linux/netfilter/nf_conntrack_tcp.h).
TRACKED = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
IPS_SEEN_REPLY, IPS_ASSURED = 0x2, 0x4


def sockets(netns: Netns) -> Answer:
    """TCP and UDP sockets as `ss -tuan` lists them (sock_diag(7)): rows of netid, state, local, peer, queues.

    The kernel's order is that of its hash tables; ours is by protocol, state and address.
    """
    from pyroute2.netlink.diag import inet_diag_msg

    rows: list[dict[str, Any]] = []
    with netns.opened() as fd, Netlink(netns.namespaces.opener.netlink(NETLINK_SOCK_DIAG, fd)) as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for protocol, netid in ((socket.IPPROTO_TCP, "tcp"), (socket.IPPROTO_UDP, "udp")):
                request = struct.pack("BBBBI48s", family, protocol, 0, 0, 0xFFF, b"")
                try:
                    found = netlink.dump(SOCK_DIAG_BY_FAMILY, request)
                except Refused as error:
                    if error.errno == errno.ENOENT:  # the kernel has no udp_diag, or no IPv6
                        continue
                    raise
                for data in found:
                    one = inet_diag_msg(data)
                    one.decode()
                    rows.append(_socket_row(netid, one))
    rows.sort(key=lambda row: (row["netid"], row["state"], row["local"], row["local_port"], row["peer_port"]))
    lines = ["Netid State      Recv-Q Send-Q Local Address:Port        Peer Address:Port"]
    for row in rows:
        near, far = f"{row['local']}:{row['local_port']}", f"{row['peer']}:{row['peer_port'] or '*'}"
        lines.append(f"{row['netid']:<5} {row['state']:<10} {row['recv_q']:<6} {row['send_q']:<6} {near:<25} {far}")
    return answer("socket", rows, lines)


def _socket_row(netid: str, one: Any) -> dict[str, Any]:
    def shown(text: str) -> str:
        return f"[{text}]" if ":" in text else text

    return {
        "netid": netid,
        "state": STATES[one["idiag_state"]],
        "recv_q": one["idiag_rqueue"],
        "send_q": one["idiag_wqueue"],
        "local": shown(one["idiag_src"]),
        "local_port": one["idiag_sport"],
        "peer": shown(one["idiag_dst"]),
        "peer_port": one["idiag_dport"],
    }


def conntrack(netns: Netns) -> Answer:
    """The connections that the packet filter follows, without how long it still will.

    Empty until a rule of the namespace asks for connection tracking. Raises `Unavailable` on a kernel without it.
    """
    from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg

    rows: list[dict[str, Any]] = []
    with netns.opened() as fd, Netlink(netns.namespaces.opener.netlink(NETLINK_NETFILTER, fd)) as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            message = nfct_msg()
            message["nfgen_family"] = family
            try:
                found = netlink.dump(CONNTRACK_GET, message)
            except Refused as error:
                if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise Unavailable(
                        "this kernel does not list connections (CONFIG_NF_CT_NETLINK; modprobe nf_conntrack_netlink)"
                    ) from None
                raise
            rows += [_track_row(one) for one in found]
    rows.sort(key=lambda row: [str(value) for value in row.values()])
    lines = []
    for row in rows:
        both = " ".join(
            f"src={row[way]['src']} dst={row[way]['dst']}{row[way]['ports']}" + mark
            for way, mark in (("original", "" if row["replied"] else " [UNREPLIED]"), ("reply", ""))
        )
        state = f"{row['state']} " if row["state"] else ""
        lines.append(f"{row['protocol']:<8} {state}{both}{' [ASSURED]' if row['assured'] else ''}")
    return answer("conntrack", rows, lines)


def _track_row(one: Any) -> dict[str, Any]:
    info = one.get_attr("CTA_PROTOINFO")
    tcp = info.get_attr("CTA_PROTOINFO_TCP") if info is not None else None
    status = one.get_attr("CTA_STATUS") or 0
    return {
        "protocol": _protocol(one),
        "state": TRACKED[tcp.get_attr("CTA_PROTOINFO_TCP_STATE")] if tcp is not None else "",
        "original": _tuple(one.get_attr("CTA_TUPLE_ORIG")),
        "reply": _tuple(one.get_attr("CTA_TUPLE_REPLY")),
        "replied": bool(status & IPS_SEEN_REPLY),
        "assured": bool(status & IPS_ASSURED),
    }


def _protocol(one: Any) -> str:
    number = one.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_NUM")
    return PROTOCOLS.get(number, str(number))


def _tuple(way: Any) -> dict[str, str]:
    ip, proto = way.get_attr("CTA_TUPLE_IP"), way.get_attr("CTA_TUPLE_PROTO")
    near, far = proto.get_attr("CTA_PROTO_SRC_PORT"), proto.get_attr("CTA_PROTO_DST_PORT")
    ports = f" sport={near} dport={far}" if near is not None else ""
    if proto.get_attr("CTA_PROTO_ICMP_TYPE") is not None:
        ports = f" type={proto.get_attr('CTA_PROTO_ICMP_TYPE')} code={proto.get_attr('CTA_PROTO_ICMP_CODE')}"
    return {
        "src": ip.get_attr("CTA_IP_V4_SRC") or ip.get_attr("CTA_IP_V6_SRC"),
        "dst": ip.get_attr("CTA_IP_V4_DST") or ip.get_attr("CTA_IP_V6_DST"),
        "ports": ports,
    }


# -- bridges


def bridges(netns: Netns) -> Answer:
    """Bridges as `brctl show` lists them: rows of name, id, stp, ports, and macs, the MAC table.

    A row of `macs` has mac, port, and local for the addresses of the bridge's own ports (`brctl showmacs`).
    """
    with Context(netns, Options()) as context:
        tables: dict[str, list[dict[str, Any]]] = {}
        for entry in bridge.entries(context):
            made = bridge.fdb_row(context, entry)
            if "master" in made:
                local = made["state"] == "permanent"
                row = {"mac": made["mac"], "port": made["ifname"], "local": local}
                if row not in tables.setdefault(made["master"], []):  # once for each VLAN
                    tables[made["master"]].append(row)
        rows = [
            _bridge_row(context, link, tables.get(link.get_attr("IFLA_IFNAME"), []))
            for _, link in sorted(context.links.items())
            if link_show.kind_of(link) == "bridge"
        ]
    return answer("bridge", rows, list(brctl_lines(rows)))


def _bridge_row(context: Context, link: Any, macs: list[dict[str, Any]]) -> dict[str, Any]:
    data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    own = data.get_attr("IFLA_BR_BRIDGE_ID")
    priority = int.from_bytes(int(own["prio"]).to_bytes(2, "little"), "big")
    return {
        "name": link.get_attr("IFLA_IFNAME"),
        "id": f"{priority:04x}.{own['addr'].replace(':', '')}",
        "stp": bool(data.get_attr("IFLA_BR_STP_STATE")),
        "ports": [
            port.get_attr("IFLA_IFNAME")
            for _, port in sorted(context.links.items())
            if port.get_attr("IFLA_MASTER") == link["index"]
        ],
        "macs": sorted(macs, key=lambda row: (row["port"], row["mac"])),
    }


def brctl_lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """`brctl show`, tabs and all."""
    yield "bridge name\tbridge id\t\tSTP enabled\tinterfaces"
    for row in rows:
        first, *rest = row["ports"] or [""]
        yield f"{row['name']}\t\t{row['id']}\t{'yes' if row['stp'] else 'no'}\t\t{first}".rstrip()
        yield from (f"\t\t\t\t\t\t\t{port}" for port in rest)
