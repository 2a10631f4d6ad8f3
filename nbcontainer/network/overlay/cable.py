"""Runs inside the lab: one end of the underlay, and the process that carries its frames. Standard library only.

A veth pair cannot have its ends in two labs: the kernel wants CAP_NET_ADMIN over both network namespaces from whoever
asks (rtnetlink, netlink_ns_capable), and two labs are side by side, no process has it over both but the machine's
root. So each has a pair of its own, and a process reads frames from the far end of one and writes them to the others'
(packet(7)): a cable with a switch in it, which needs nobody's permission.
"""

from __future__ import annotations

import array
import errno
import fcntl
import select
import socket
import struct

from nbcontainer.lab.inside import Descriptors
from nbcontainer.network.up import up
from nbcontainer.network.wire import (
    CREATE,
    IFLA_ADDRESS,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    NESTED,
    RTM_NEWLINK,
    VETH_INFO_PEER,
    Rtnetlink,
    attribute,
    link_message,
    mac_bytes,
    name_attribute,
)
from nbcontainer.syscalls import process

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO = 0x17, 0x1F, 0x24, 0x2C
BUFFER = 4 << 20
FRAME = 1 << 16
#: Frames taken from one end before the others have their turn.
BURST = 64
#: Addresses that the switch remembers.
TABLE = 4096


def plug(name: str, mac: str, ip: str, prefixlen: int) -> Descriptors:
    """Make the link `name` on the lab's host, up, with an address; the descriptor of its far end's packet socket.

    Raises `OSError` whose filename says what was refused.
    """
    far = f"{name}-far"
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        rtnetlink = Rtnetlink(sock)
        info = attribute(IFLA_INFO_KIND, b"veth")
        info += attribute(
            IFLA_INFO_DATA | NESTED, attribute(VETH_INFO_PEER | NESTED, link_message() + name_attribute(far))
        )
        body = link_message() + name_attribute(name) + attribute(IFLA_ADDRESS, mac_bytes(mac))
        rtnetlink.request(RTM_NEWLINK, CREATE, body + attribute(IFLA_LINKINFO | NESTED, info), f"link {name}")
        try:
            for end in (name, far):
                _plain(end)
            outside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            outside.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            outside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            outside.bind((far, ETH_P_ALL))
            rtnetlink.address_add(socket.if_nametoindex(name), ip, prefixlen)
            rtnetlink.batch([request for end in (far, name) for request in up(end, f"link {end}")])
        except BaseException:
            rtnetlink.link_delete(name)
            raise
    return Descriptors(None, [outside.detach()])


def unplug(name: str) -> None:
    """Delete it. One that is gone is no error."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        try:
            Rtnetlink(sock).link_delete(name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise


def _plain(link: str) -> None:
    """Frames as they go over a wire: with their checksums, none larger than the MTU (`ethtool -K … off`)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        for command in (ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO):
            value = array.array("I", (command, 0))  # struct ethtool_value, which the request points to
            request = struct.pack("16sP16x", link.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(sock, SIOCETHTOOL, request)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise


def carry(count: int, *, fds: list[int]) -> None:
    """Pass frames between `count` packet sockets until their labs have ended; after them come the labs' pidfds.

    Learns which addresses are where, as a switch does; what it does not know it passes to all.
    """
    process.set_name("underlay")
    ports = {fd: socket.socket(fileno=fd) for fd in fds[:count]}
    labs = dict(zip(fds[count:], fds[:count], strict=True))
    poll = select.poll()
    for fd, sock in ports.items():
        sock.setblocking(False)
        poll.register(fd, select.POLLIN)
    for pidfd in labs:
        poll.register(pidfd, select.POLLIN)
    known: dict[bytes, int] = {}
    while len(ports) > 1:
        for fd, _ in poll.poll():
            if fd in labs:
                # The socket alone would keep the network of a lab that has ended alive.
                poll.unregister(fd)
                sock = ports.pop(labs.pop(fd))
                poll.unregister(sock.fileno())
                sock.close()
            elif fd in ports:
                _pass_on(fd, ports, known)


def _pass_on(fd: int, ports: dict[int, socket.socket], known: dict[bytes, int]) -> None:
    """Some frames of one end to where they belong."""
    for _ in range(BURST):
        try:
            frame = ports[fd].recv(FRAME)
        except (BlockingIOError, OSError):
            return  # no more for now, or the link is down
        target, source = frame[:6], frame[6:12]
        if known.get(source) != fd and len(known) < TABLE:
            known[source] = fd
        there = known.get(target)
        for other in (there,) if there in ports and there != fd else ports:
            if other != fd and other is not None:
                try:
                    ports[other].send(frame)
                except OSError:
                    continue  # its buffer is full or its link down: the frame is lost, as on any wire
