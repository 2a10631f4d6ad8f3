"""Runs inside the lab: makes a whole topology in one call, and takes one away. Standard library only.

Everything is asked of the kernel in batches over as few sockets as can be. The switches have a network namespace of
their own, so that no name, index or packet filter of the lab's host is in their way, and so that they are gone at
once: the kernel takes 20 ms to take a bridge apart, and does that by itself when the namespace has no name any more.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct

from nbcontainer.network import netns_files, tc
from nbcontainer.network.up import up
from nbcontainer.network.wire import (
    CREATE,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_NET_NS_FD,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    NESTED,
    RTM_NEWLINK,
    VETH_INFO_PEER,
    Rtnetlink,
    address_message,
    attribute,
    link_message,
    mac_bytes,
    name_attribute,
    route_message,
)
from nbcontainer.syscalls import namespaces
from nbcontainer.topology.settle import running, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from nbcontainer.network.up import Request

IFLA_BR_FORWARD_DELAY, IFLA_BR_HELLO_TIME, IFLA_BR_MAX_AGE = 1, 2, 3
IFLA_BR_STP_STATE = 5
IFLA_BR_MCAST_SNOOPING = 23
#: The shortest times of the spanning tree protocol that Linux takes, in hundredths of a second.
FORWARD_DELAY, HELLO_TIME, MAX_AGE = 200, 100, 600
#: Requests in one message. Their answers must fit the socket's buffer.
BATCH = 64
#: One queue for each direction: by default a veth has one for every processor, each with entries in /sys.
ONE_QUEUE = attribute(IFLA_NUM_TX_QUEUES, struct.pack("I", 1)) + attribute(IFLA_NUM_RX_QUEUES, struct.pack("I", 1))


def make(plan: dict[str, Any]) -> None:
    """Make what `TopologyNetwork` planned, all or nothing. Raises `OSError` whose filename says what was refused."""
    names = [plan["home"], *(node["name"] for node in plan["nodes"] if not node["container"])]
    netns_files.add(names, False)
    try:
        _Builder(plan).make()
    except BaseException:
        unmake(names)
        raise


def unmake(names: list[str]) -> None:
    """End the processes in these namespaces and take their names away. What is gone already is no error."""
    wanted = set()
    for name in names:
        try:
            wanted.add(os.stat(f"{netns_files.DIRECTORY}/{name}").st_ino)
        except FileNotFoundError:
            continue
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) != os.getpid() and os.stat(f"/proc/{entry}/ns/net").st_ino in wanted:
                os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue  # ended meanwhile, or init, which nobody may look into
    try:
        netns_files.delete(names)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


class _Builder:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.home = open_netns(plan["home"])
        namespaces.setns(self.home, namespaces.CLONE_NEWNET)
        self.switchboard = Rtnetlink(_netlink())

    def make(self) -> None:
        """Switches, then links, then what is in the other namespaces."""
        self.send(self.switchboard, self.switches())
        self.cable()
        self.send(self.switchboard, self.ports())
        for node in self.plan["nodes"]:
            self.furnish(node)
        self.shape(self.switchboard, self.plan["ports"])
        settle(self.switchboard, self.plan)
        for link in self.plan["links"]:
            if link["a"]["netns"] is not None:
                for end in (link["a"], link["b"]):
                    with self.inside(end["netns"]) as there:
                        running(there.rtnetlink)

    def send(self, rtnetlink: Rtnetlink, requests: Iterable[Request]) -> None:
        """In as few messages as can be."""
        waiting: list[Request] = []
        for request in requests:
            waiting.append(request)
            if len(waiting) == BATCH:
                rtnetlink.batch(waiting)
                waiting = []
        if waiting:
            rtnetlink.batch(waiting)

    def switches(self) -> Iterator[Request]:
        """Bridges, up. Those of a loop speak the spanning tree protocol."""
        for switch in self.plan["switches"]:
            what = f"switch {switch['name']}"
            options = attribute(IFLA_BR_MCAST_SNOOPING, b"\0")
            if switch["stp"]:
                for kind, value in (
                    (IFLA_BR_FORWARD_DELAY, FORWARD_DELAY),
                    (IFLA_BR_HELLO_TIME, HELLO_TIME),
                    (IFLA_BR_MAX_AGE, MAX_AGE),
                    (IFLA_BR_STP_STATE, 1),
                ):
                    options += attribute(kind, struct.pack("I", value))
            info = attribute(IFLA_INFO_KIND, b"bridge") + attribute(IFLA_INFO_DATA | NESTED, options)
            body = link_message(switch["index"]) + name_attribute(switch["name"])
            body += attribute(IFLA_ADDRESS, mac_bytes(switch["mac"])) + attribute(IFLA_LINKINFO | NESTED, info)
            yield RTM_NEWLINK, CREATE, body, what
            yield from up(switch["name"], what)

    def cable(self) -> None:
        """The veth pairs, as many at a time as fit a message, over a socket of the namespace each begins in."""
        of_switches = [link for link in self.plan["links"] if link["a"]["netns"] is None]
        for start in range(0, len(of_switches), BATCH):
            self.cable_some(self.switchboard, of_switches[start : start + BATCH])
        for link in self.plan["links"]:
            if link["a"]["netns"] is not None:
                with self.inside(link["a"]["netns"]) as rtnetlink:
                    self.cable_some(rtnetlink.rtnetlink, [link])

    def cable_some(self, rtnetlink: Rtnetlink, links: list[dict[str, Any]]) -> None:
        opened: list[int] = []
        try:
            requests = []
            for link in links:
                if link["b"]["netns"] is None:
                    opened.append(os.dup(self.home))
                else:
                    opened.append(open_netns(link["b"]["netns"]))
                requests.append(self.pair(link, opened[-1]))
            rtnetlink.batch(requests)
        finally:
            for fd in opened:
                os.close(fd)

    def pair(self, link: dict[str, Any], netns: int) -> Request:
        """A veth pair; its first end is where the socket is, the second is born in `netns`."""
        peer = self.end(link["b"]) + attribute(IFLA_NET_NS_FD, struct.pack("i", netns))
        info = attribute(IFLA_INFO_KIND, b"veth")
        info += attribute(IFLA_INFO_DATA | NESTED, attribute(VETH_INFO_PEER | NESTED, peer))
        body = self.end(link["a"]) + attribute(IFLA_LINKINFO | NESTED, info)
        if link["a"]["master"]:
            body += attribute(IFLA_MASTER, struct.pack("i", link["a"]["master"]))
        return RTM_NEWLINK, CREATE, body, f"link {link['name']}"

    def end(self, end: dict[str, Any]) -> bytes:
        body = link_message(end["index"]) + name_attribute(end["name"]) + ONE_QUEUE
        return body + attribute(IFLA_ADDRESS, mac_bytes(end["mac"]))

    def ports(self) -> Iterator[Request]:
        """The ports of switches up; the second end of a pair gets its switch only now."""
        for port in self.plan["ports"]:
            what = f"link {port['link']}"
            if port["late"]:
                body = link_message() + name_attribute(port["name"])
                yield RTM_NEWLINK, 0, body + attribute(IFLA_MASTER, struct.pack("i", port["master"])), what
            yield from up(port["name"], what)

    def furnish(self, node: dict[str, Any]) -> None:
        """What is in a host or router: its links up, addresses, routes; a router forwards."""
        with self.inside(node["name"]) as there:
            if node["forwards"]:
                with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
                    file.write("1")
            self.send(there.rtnetlink, furniture(node))
            self.shape(there.rtnetlink, node["interfaces"])

    def inside(self, name: str) -> Inside:
        return Inside(name, self.home)

    def shape(self, rtnetlink: Rtnetlink, ends: list[dict[str, Any]]) -> None:
        """What the links of one namespace are like."""
        for end in ends:
            if end["quality"]:
                shape(rtnetlink, end["index"], end["quality"], end["link"])


class Inside:
    """In another network namespace, with a socket of it, until the block ends."""

    def __init__(self, name: str, home: int) -> None:
        self.name = name
        self.home = home

    def __enter__(self) -> Inside:
        fd = open_netns(self.name)
        try:
            namespaces.setns(fd, namespaces.CLONE_NEWNET)
        finally:
            os.close(fd)
        self.rtnetlink = Rtnetlink(_netlink())
        return self

    def __exit__(self, *_: object) -> None:
        self.rtnetlink.sock.close()
        namespaces.setns(self.home, namespaces.CLONE_NEWNET)


def open_netns(name: str) -> int:
    """A named network namespace of the lab."""
    return os.open(f"{netns_files.DIRECTORY}/{name}", os.O_RDONLY | os.O_CLOEXEC)


def furniture(node: dict[str, Any]) -> Iterator[Request]:
    """Requests for what is in a host or router."""
    yield RTM_NEWLINK, 0, link_message(1, IFF_UP), f"lo of {node['name']}"
    for interface in node["interfaces"]:
        yield from up(interface["name"], f"link {interface['link']}")
        yield address_message(interface["index"], interface["ip"], interface["prefixlen"], interface["broadcast"])
    for route in node["routes"]:
        to, _, prefixlen = route["to"].partition("/")
        yield route_message(route["via"], route["index"], to, int(prefixlen))


def shape(rtnetlink: Rtnetlink, index: int, quality: dict[str, Any], link: str) -> None:
    """Give one end of a link its rate, delay and loss. Raises `OSError`: ENOENT where the kernel cannot."""
    requests = []
    if quality["rate"]:
        requests.append(tc.token_bucket(index, quality["rate"], f"tbf {link}"))
    if quality["delay"] or quality["loss"]:
        times = quality["delay"], quality["jitter"], quality["loss"]
        requests.append(tc.emulator(index, *times, f"netem {link}", below_bucket=bool(quality["rate"])))
    rtnetlink.batch(requests)
