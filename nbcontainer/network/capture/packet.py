"""A packet and what it says, decoded by dpkt.

What repeats from one run to the next comes first: a client's port, chosen by the kernel, is not part of `info`.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

#: pcap-linktype(7).
ETHERNET, RAW = 1, 101
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
EVERYONE = "ff:ff:ff:ff:ff:ff"
VXLAN_PORTS = (4789, 8472)
#: Where the kernel takes a client's ports from (ip(7), ip_local_port_range), unless told otherwise.
EPHEMERAL = range(32768, 61000)
TCP_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG"))
DNS_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 65: "HTTPS",
    255: "ANY",
}  # fmt: skip
DNS_CODES = {1: "format error", 2: "server failure", 3: "no such name", 4: "not implemented", 5: "refused"}
DHCP_TYPES = ("", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform")
ICMP_TYPES = {
    0: "echo reply", 3: "destination unreachable", 4: "source quench", 5: "redirect", 8: "echo request",
    11: "time exceeded", 12: "parameter problem",
}  # fmt: skip
UNREACHABLE = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "fragmentation needed", 9: "network prohibited", 10: "host prohibited", 13: "prohibited",
}  # fmt: skip
ICMP6_TYPES = {
    1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 128: "echo request", 129: "echo reply",
    130: "multicast query", 131: "multicast report", 132: "multicast done", 133: "router solicitation",
    134: "router advertisement", 135: "neighbor solicitation", 136: "neighbor advertisement", 143: "multicast report",
}  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """One packet. `time` is in seconds since 1970, `link` where it was seen, `outgoing` whether that link sent it.

    `data` is the packet from its link-layer header on; `length` what it was on the wire, where that is more.
    """

    number: int
    time: float
    link: str
    data: bytes = field(repr=False)
    outgoing: bool = False
    linktype: int = ETHERNET
    length: int = 0

    @cached_property
    def decoded(self) -> Decoded:
        """What it says. Never raises: what cannot be read is said to be malformed."""
        try:
            return decode(self.data, self.linktype)
        except Exception:  # dpkt raises whatever its reading of wild bytes comes to
            return Decoded("malformed", "", "", f"{len(self.data)} bytes")

    @property
    def protocol(self) -> str:
        """`ARP`, `ICMP`, `TCP`, `DNS`, `VXLAN`, …: the innermost that is known here."""
        return self.decoded.protocol

    @property
    def source(self) -> str:
        """The address it is from: IP's, or a MAC address where there is none."""
        return self.decoded.source

    @property
    def destination(self) -> str:
        """The address it is for."""
        return self.decoded.destination

    @property
    def info(self) -> str:
        """What it says, in a few words."""
        return self.decoded.info

    @property
    def inner(self) -> Decoded | None:
        """What a tunnel's packet carries."""
        return self.decoded.inner

    def __str__(self) -> str:
        return f"{self.source} > {self.destination} {self.protocol} {self.info}"


@dataclass(frozen=True)
class Decoded:
    """What `decode` found. `ports` are a transport's, source first; `layers` are dpkt's objects, outermost first."""

    protocol: str
    source: str
    destination: str
    info: str
    ports: tuple[int, int] | None = None
    #: For all, as a broadcast: nobody in particular is meant.
    broadcast: bool = False
    #: The address an ARP request or a neighbour solicitation asks for.
    asks_for: str = ""
    #: What hosts tell their network about themselves, whenever they please: routers sought, groups joined.
    housekeeping: bool = False
    #: TCP's flags by name.
    flags: tuple[str, ...] = ()
    inner: Decoded | None = None
    layers: tuple[Any, ...] = field(default=(), repr=False, compare=False)


def decode(data: bytes, linktype: int = ETHERNET) -> Decoded:
    """Read a packet. Raises whatever dpkt does for one that is cut off or wrong."""
    if linktype == RAW:
        return _ip(data)
    header = _header_length(data)
    destination, source, kind = _mac(data[:6]), _mac(data[6:12]), int.from_bytes(data[header - 2 : header], "big")
    everyone = bool(data[0] & 1)
    if kind == ETH_P_ARP:
        return replace(_arp(data[header:]), broadcast=everyone)
    if kind in (ETH_P_IP, ETH_P_IPV6):
        found = _ip(data[header:])
        return replace(found, broadcast=True) if everyone else found
    if data[14:17] == b"\x42\x42\x03":
        return Decoded("STP", source, destination, _stp(data[17:]), broadcast=True)
    return Decoded(f"{kind:#06x}", source, destination, f"{len(data)} bytes", broadcast=everyone)


def _header_length(data: bytes) -> int:
    """Of an Ethernet frame, its VLAN tags (802.1Q, 802.1ad) included. Raises `ValueError` when it is cut off."""
    offset = 12
    while data[offset : offset + 2] in (b"\x81\x00", b"\x88\xa8"):
        offset += 4
    if len(data) < offset + 2:
        raise ValueError("shorter than its header")
    return offset + 2


def _mac(raw: bytes) -> str:
    return bytes(raw).hex(":")


def _address(raw: bytes) -> str:
    return str(ipaddress.ip_address(bytes(raw)))


def _arp(data: bytes) -> Decoded:
    from dpkt import arp

    packet = arp.ARP(data)
    source, target = _address(packet.spa), _address(packet.tpa)
    layers = (packet,)
    if packet.op == arp.ARP_OP_REQUEST:
        if source == target:
            return Decoded("ARP", source, EVERYONE, f"I am {source}", broadcast=True, layers=layers)
        if source == "0.0.0.0":
            info = f"is anyone {target}?"
            return Decoded("ARP", _mac(packet.sha), EVERYONE, info, broadcast=True, asks_for=target, layers=layers)
        info = f"who has {target}? tell {source}"
        return Decoded("ARP", source, EVERYONE, info, broadcast=True, asks_for=target, layers=layers)
    return Decoded("ARP", source, target, f"{source} is at {_mac(packet.sha)}", layers=layers)


def _stp(data: bytes) -> str:
    if len(data) >= 35 and data[3] in (0, 2):
        root = data[5:13]
        return f"root {int.from_bytes(root[:2], 'big'):04x}.{root[2:].hex()} cost {int.from_bytes(data[13:17], 'big')}"
    return "topology change"


def _ip(data: bytes) -> Decoded:
    from dpkt import ip, ip6

    packet = ip6.IP6(data) if data[0] >> 4 == 6 else ip.IP(data)
    source, destination = _address(packet.src), _address(packet.dst)
    broadcast = ipaddress.ip_address(destination).is_multicast or destination == "255.255.255.255"
    base = Decoded("IP", source, destination, "", broadcast=broadcast, layers=(packet,))
    fragment = getattr(packet, "offset", 0) if data[0] >> 4 == 4 else 0
    if fragment:
        return replace(base, info=f"a fragment, from byte {fragment} on")
    body = packet.data
    read = {
        socket.IPPROTO_TCP: _tcp,
        socket.IPPROTO_UDP: _udp,
        socket.IPPROTO_ICMP: _icmp,
        socket.IPPROTO_ICMPV6: _icmp6,
    }.get(packet.p)
    if read is None or isinstance(body, bytes):
        name = {2: "IGMP", 0: "IPv6", 4: "IPIP", 47: "GRE", 50: "ESP", 89: "OSPF", 132: "SCTP"}.get(packet.p)
        return replace(base, protocol=name or f"IP {packet.p}", info=f"{len(bytes(packet.data))} bytes")
    return read(base, body)


def _where(near: int, far: int) -> str:
    """`to port 80`, `from port 80`; both where neither is one that the kernel chose for a client."""
    if near in EPHEMERAL and far not in EPHEMERAL:
        return f"to port {far}"
    if far in EPHEMERAL and near not in EPHEMERAL:
        return f"from port {near}"
    if near in EPHEMERAL and far in EPHEMERAL:
        return ""
    return f"from port {near} to port {far}" if near != far else f"port {near}"


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


def _tcp(base: Decoded, segment: Any) -> Decoded:
    flags = tuple(name for bit, name in TCP_FLAGS if segment.flags & bit)
    carried = len(segment.data)
    words = [", ".join(flags), _where(segment.sport, segment.dport), _bytes(carried) if carried else ""]
    return replace(
        base,
        protocol="TCP",
        info=", ".join(word for word in (" ".join(filter(None, words[:2])), words[2]) if word),
        ports=(segment.sport, segment.dport),
        flags=flags,
        layers=(*base.layers, segment),
    )


def _udp(base: Decoded, datagram: Any) -> Decoded:
    ports = (datagram.sport, datagram.dport)
    payload = bytes(datagram.data)
    found = replace(base, ports=ports, layers=(*base.layers, datagram))
    if datagram.dport in VXLAN_PORTS and len(payload) >= 8 and payload[0] & 0x08:
        inner = decode(payload[8:])
        vni = int.from_bytes(payload[4:7], "big")
        info = f"id {vni}: {inner.source} > {inner.destination} {inner.protocol} {inner.info}"
        return replace(found, protocol="VXLAN", info=info, inner=inner)
    for reader, among in ((_dns, (53, 5353)), (_dhcp, (67, 68))):
        if set(ports) & set(among):
            try:
                return reader(found, payload)
            except Exception:
                break  # what else goes to that port
    info = ", ".join(word for word in (_where(*ports), _bytes(len(payload))) if word)
    return replace(found, protocol="UDP", info=info)


def _dns(base: Decoded, payload: bytes) -> Decoded:
    from dpkt import dns

    message = dns.DNS(payload)
    asked = " ".join(f"{DNS_TYPES.get(query.type, query.type)} {query.name}" for query in message.qd)
    if not message.qr:
        return replace(base, protocol="DNS", info=f"{asked}?")
    if message.rcode:
        return replace(base, protocol="DNS", info=f"{asked}: {DNS_CODES.get(message.rcode, f'error {message.rcode}')}")
    answers = ", ".join(_dns_answer(record) for record in message.an)
    return replace(base, protocol="DNS", info=f"{asked}: {answers or 'no answer of that type'}")


def _dns_answer(record: Any) -> str:
    if record.type in (1, 28):
        return _address(record.rdata)
    for name in ("cname", "ptrname", "nsname", "mxname", "srvname"):
        if hasattr(record, name):
            return str(getattr(record, name))
    return DNS_TYPES.get(record.type, str(record.type))


def _dhcp(base: Decoded, payload: bytes) -> Decoded:
    from dpkt import dhcp

    message = dhcp.DHCP(payload)
    options = dict(message.opts)
    kind = DHCP_TYPES[options[53][0]]
    given = f" {_address(message.yiaddr.to_bytes(4, 'big'))}" if message.yiaddr else ""
    return replace(base, protocol="DHCP", info=f"{kind}{given}")


def _icmp(base: Decoded, message: Any) -> Decoded:
    info = ICMP_TYPES.get(message.type, f"type {message.type}")
    if message.type in (0, 8):
        info += f", seq {message.data.seq}"
    elif message.type == 3:
        info = UNREACHABLE.get(message.code, info)
    return replace(base, protocol="ICMP", info=info, layers=(*base.layers, message))


def _icmp6(base: Decoded, message: Any) -> Decoded:
    info = ICMP6_TYPES.get(message.type, f"type {message.type}")
    body = bytes(message.data)
    if message.type in (128, 129):
        info += f", seq {int.from_bytes(bytes(message)[6:8], 'big')}"
    elif message.type in (135, 136) and len(body) >= 20:
        target = _address(body[4:20])
        info = f"who has {target}?" if message.type == 135 else f"{target} is here"
        if message.type == 135:
            own = base.source == "::"  # is the address I am about to take free?
            return replace(base, protocol="NDP", info=info, asks_for=target, broadcast=True, housekeeping=own)
        return replace(base, protocol="NDP", info=info)
    own = 130 <= message.type <= 134 or message.type == 143
    return replace(base, protocol="ICMPv6", info=info, housekeeping=own, layers=(*base.layers, message))
