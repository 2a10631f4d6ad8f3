"""`%lab uplink`: a pair of links between the lab's host and the machine, made by root, only when asked for.

It is the one thing of a lab's that changes the machine: a link, an address, a table of nftables that translates the
lab's address, and forwarding on two links. All of it goes with the lab, by a keeper when its owner is killed.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from nbcontainer.errors import Conflict, Unavailable
from nbcontainer.lab.handle import Handle
from nbcontainer.lab.interpreter import PACKAGE, Interpreter
from nbcontainer.network import wire
from nbcontainer.network.wire import RTA_OIF, Rtnetlink, attributes
from nbcontainer.syscalls import libnftables

RTM_GETROUTE = 26
RTA_DST = 1
#: Networks to take the two addresses from; the first that no route of the machine's covers.
CHOICES = tuple(IPv4Network("10.254.0.0/16").subnets(new_prefix=30))
_RULES = """table ip {table}
delete table ip {table}
table ip {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {subnet} masquerade
  }}
}}
"""


@dataclass(frozen=True)
class MachineLink:
    """The pair, the machine's side of it by name, and what undoes the rest."""

    name: str
    subnet: IPv4Network
    keeper: subprocess.Popen[bytes]
    stop: int

    def remove(self) -> None:
        """Take it away again, and wait until that is done."""
        os.close(self.stop)
        self.keeper.wait()


def check() -> None:
    """Raise `Unavailable` where it cannot be."""
    if os.geteuid() != 0:
        raise Unavailable(
            "%lab uplink makes a link on the machine, which takes root; without root, pasta is a way out "
            "(as root: apt-get install passt)"
        )
    if not libnftables.available():
        raise Unavailable(f"%lab uplink translates addresses: {libnftables.REMEDY}")


def make(
    lab: Handle, host: Callable[[], AbstractContextManager[socket.socket]], netns: int, inside: str
) -> MachineLink:
    """Make it; `inside` is the name of the lab's end. Raises `Unavailable`, `Conflict`."""
    check()
    name = "nbc" + hashlib.sha256(lab.scope.encode()).hexdigest()[:8]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        machine = Rtnetlink(sock)
        routes = _routes(machine)
        subnet = next((s for s in CHOICES if not any(s.overlaps(to) for to, _ in routes if to.prefixlen)), None)
        if subnet is None:
            raise Conflict("no network of 10.254.0.0/16 is free on this machine")
        outer, inner = subnet.hosts()
        try:
            wire.pair(machine, name, inside, netns)
        except OSError as error:
            raise Unavailable(f"%lab uplink: the machine refuses a link ({error.strerror})") from None
        links = {link["name"]: link["index"] for link in machine.links()}
        machine.address_add(links[name], str(outer), subnet.prefixlen)
        ways = {index for to, index in routes if not to.prefixlen}
        outward = [other for other, index in links.items() if index in ways]
    try:
        with host() as sock:
            own = Rtnetlink(sock)
            index = next(link["index"] for link in own.links() if link["name"] == inside)
            own.address_add(index, str(inner), subnet.prefixlen)
            own.request(wire.RTM_NEWLINK, 0, wire.link_message(index, wire.IFF_UP), f"{inside} up")
            own.request(*wire.route_message(str(outer), index))
        keeper, stop = _keep(lab, name, [name, *outward])
        libnftables.run(_RULES.format(table=name, subnet=subnet))
    except BaseException:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
            Rtnetlink(sock).link_delete(name)
        raise
    return MachineLink(name, subnet, keeper, stop)


def _routes(machine: Rtnetlink) -> list[tuple[IPv4Network, int]]:
    """Where the machine's routes lead: destination and index of the link."""
    found = []
    for _, message in machine.dump(RTM_GETROUTE, struct.pack("BBBBBBBBI", socket.AF_INET, *[0] * 8)):
        given = dict(attributes(message, 12))
        index = struct.unpack("i", given[RTA_OIF])[0] if RTA_OIF in given else 0
        found.append((IPv4Network((given.get(RTA_DST, bytes(4)), message[1]), strict=False), index))
    return found


def _keep(lab: Handle, name: str, links: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Have links forward, and a process undo that, the table and the link at the end of the lab, its owner, or the
    descriptor that is given back with it."""
    before: dict[str, str] = {}
    for link in links:
        setting = Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding")
        before[str(setting)] = setting.read_text().strip()
    stopped, stop = os.pipe2(os.O_CLOEXEC)
    owner = os.pidfd_open(os.getpid())
    fds = [owner, lab.pidfd, stopped]
    code = f"from nbcontainer.network.keeper import undo; undo({fds}, {name!r}, {before!r})"
    try:
        keeper = subprocess.Popen(
            [Interpreter.current().executable, "-I", "-S", "-c", f"import sys; sys.path.append({PACKAGE!r}); {code}"],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(stop)
        raise
    finally:
        os.close(stopped)
        os.close(owner)
    for path in before:
        Path(path).write_text("1")
    return keeper, stop
