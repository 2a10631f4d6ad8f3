"""Packets as a pcapng file, which Wireshark and tcpdump open (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from nbcontainer.network.capture.packet import Packet
from nbcontainer.syscalls.libpcap import SNAPLEN

SECTION, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
IF_NAME, IF_FILTER, IF_TSRESOL, SHB_USERAPPL, EPB_FLAGS = 2, 11, 9, 4, 2
INBOUND, OUTBOUND = 1, 2


def pcapng(packets: Iterable[Packet], filter_text: str = "") -> bytes:
    """A file of one section: an interface for each link, times in nanoseconds, each packet's direction."""
    blocks = [_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((SHB_USERAPPL, b"nbcontainer")))]
    links: dict[tuple[str, int], int] = {}
    for packet in packets:
        key = packet.link, packet.linktype
        if key not in links:
            links[key] = len(links)
            options = [(IF_NAME, packet.link.encode()), (IF_TSRESOL, b"\x09")]
            if filter_text:
                options.append((IF_FILTER, b"\0" + filter_text.encode()))
            blocks.append(_block(INTERFACE, struct.pack("<HHI", packet.linktype, 0, SNAPLEN) + _options(*options)))
        nanoseconds = round(packet.time * 1e9)
        head = struct.pack(
            "<IIIII",
            links[key],
            nanoseconds >> 32,
            nanoseconds & 0xFFFFFFFF,
            len(packet.data),
            max(packet.length, len(packet.data)),
        )
        flags = struct.pack("<I", OUTBOUND if packet.outgoing else INBOUND)
        blocks.append(_block(ENHANCED_PACKET, head + _padded(packet.data) + _options((EPB_FLAGS, flags))))
    return b"".join(blocks)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return body + struct.pack("<HH", 0, 0)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
