"""The socket that packets are taken from: packet(7), opened in the namespace where the link is."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import time
from dataclasses import dataclass

from nbcontainer.errors import NotFound, Unavailable
from nbcontainer.network.capture.packet import ETHERNET, RAW
from nbcontainer.network.ip.words import link_name
from nbcontainer.network.netns import Netns
from nbcontainer.syscalls import libpcap

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS, PACKET_AUXDATA = 6, 8
SO_TIMESTAMPNS = 35
SIOCGIFHWADDR, SIOCGIFINDEX = 0x8927, 0x8933
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
SO_DETACH_FILTER = 27
PACKET_OUTGOING = 4
#: The filter that takes nothing: BPF_RET | BPF_K, 0 bytes.
NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
#: linux/if_arp.h: what has an Ethernet header; all else is taken for bare IP.
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
#: linux/if_packet.h, struct tpacket_auxdata and its flags.
AUXDATA = struct.Struct("IIIHHHH")
VLAN_VALID, VLAN_TPID_VALID = 0x10, 0x40
#: Bytes that may wait to be read before the kernel drops packets: as much as an ordinary user is given.
BUFFER = 8 << 20
#: The name that means every link of the namespace.
ANY = "any"


@dataclass(frozen=True)
class Taken:
    """A packet as it was taken."""

    time: float
    link: str
    data: bytes
    outgoing: bool
    linktype: int
    length: int


class Tap:
    """An open AF_PACKET socket on a link, or on `any`, with its filter in the kernel.

    Raises `NotFound` for a link that is not there, `InvalidArgument` for a filter that libpcap does not take.
    """

    def __init__(self, link: str, filter_text: str, netns: Netns) -> None:
        if link != ANY:
            link_name(link, "link")
        self.link = link
        # Protocol 0: nothing is taken until the filter is there and the link is bound. Python cannot bind to all links.
        protocol = socket.htons(ETH_P_ALL) if link == ANY else 0
        with netns.opened() as fd:
            try:
                self.sock = netns.namespaces.opener.new(socket.AF_PACKET, socket.SOCK_RAW, protocol, fd)
            except OSError as error:
                raise Unavailable(f"no packets can be taken here: {error.strerror} (CONFIG_PACKET)") from None
        try:
            self._set_up(filter_text, netns)
        except BaseException:
            self.sock.close()
            raise

    def _set_up(self, filter_text: str, netns: Netns) -> None:
        self.sock.setblocking(False)
        linktype = ETHERNET if self.link == ANY else self._linktype(netns)
        # libpcap's own number for bare IP is another than the file's (pcap-linktype(7)).
        program = libpcap.compile_filter(filter_text, 12 if linktype == RAW else linktype) if filter_text else b""
        if self.link == ANY:
            self._forget_what_came_before()
            if not program:
                self.sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        if program:
            libpcap.attach_filter(self.sock, program)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        if self.link != ANY:
            self.sock.bind((self.link, ETH_P_ALL))
            self._promiscuous()

    def _promiscuous(self) -> None:
        """Take what is for others too, as long as the socket is open: on a bridge, what goes from port to port."""
        answer = fcntl.ioctl(self.sock, SIOCGIFINDEX, struct.pack("16s24x", self.link.encode()))
        request = struct.pack("iHH8x", struct.unpack_from("i", answer, 16)[0], PACKET_MR_PROMISC, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)

    def _forget_what_came_before(self) -> None:
        """Throw away what was taken without the filter, and take nothing until there is another."""
        libpcap.attach_filter(self.sock, NOTHING)
        while True:
            try:
                self.sock.recv(1)
            except BlockingIOError:
                break

    def _linktype(self, netns: Netns) -> int:
        try:
            answer = fcntl.ioctl(self.sock, SIOCGIFHWADDR, struct.pack("16s24x", self.link.encode()))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            from nbcontainer.network.ip.command import ip

            known = ", ".join(row["ifname"] for row in ip(netns, ["link"]) or ())
            where = f"in {netns.name}" if netns.name else "on the lab's host"
            raise NotFound(f"{self.link}: No such device exists ({where} there are {known}, and {ANY})") from None
        kind = struct.unpack_from("H", answer, 16)[0]
        return ETHERNET if kind in (ARPHRD_ETHER, ARPHRD_LOOPBACK) else RAW

    def read(self) -> list[Taken] | None:
        """What waits to be read; None when the link is gone and nothing more will come."""
        found: list[Taken] = []
        while len(found) < 1000:
            try:
                data, notes, _, address = self.sock.recvmsg(libpcap.SNAPLEN, 256)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    continue  # said once when a link goes down; it may come up again
                return found or None
            link, _, packet_type, hardware, *_ = address
            # The loopback shows every packet twice, on its way out and in.
            if hardware == ARPHRD_LOOPBACK and packet_type == PACKET_OUTGOING:
                continue
            linktype = ETHERNET if hardware in (ARPHRD_ETHER, ARPHRD_LOOPBACK) else RAW
            moment, length, data = _notes(notes, data)
            found.append(Taken(moment, link, data, packet_type == PACKET_OUTGOING, linktype, length))
        return found

    def dropped(self) -> int:
        """Packets that the kernel threw away since the last call: nobody had read those before them."""
        statistics = self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        return int(struct.unpack("II", statistics)[1])

    def close(self) -> None:
        """Take no more."""
        self.sock.close()


def _notes(notes: list[tuple[int, int, bytes]], data: bytes) -> tuple[float, int, bytes]:
    """A packet's time and length, and its VLAN tag back in its place: the kernel keeps it apart."""
    moment, length = time.time(), len(data)
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", value[:16])
            moment = seconds + nanoseconds / 1e9
        elif level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, length, _, _, _, tag, protocol = AUXDATA.unpack(value[: AUXDATA.size])
            if status & VLAN_VALID:
                tpid = protocol if status & VLAN_TPID_VALID else 0x8100
                data = data[:12] + struct.pack("!HH", tpid, tag) + data[12:]
                length += 4
    return moment, length, data
