"""Runs inside the lab: one process that opens sockets in any of its network namespaces and hands them out.

A socket belongs to the network namespace that its opener was in (network_namespaces(7)). The notebook's process may
not enter one (setns(2) asks for CAP_SYS_ADMIN in the caller's own user namespace), so this process does.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import struct

from nbcontainer.syscalls import namespaces, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MESSAGE = 4096
TUNSETIFF = 0x400454CA


def serve(*, fds: list[int]) -> None:
    """Answer requests on the SOCK_SEQPACKET `fds[0]` until its other end is closed.

    A request is JSON with the namespace (its file, or a pidfd of a process in it) as its descriptor; without one, the
    lab's host is meant. The answer is `{}` with a descriptor, or `{"errno": number}`.
    """
    sock = socket.socket(fileno=fds[0])
    process.set_name("nbcontainer-net")
    # A container with --pid host sees this process: not what is in it.
    process.prctl(process.PR_SET_DUMPABLE, 0)
    host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    while True:
        message, given, _, _ = socket.recv_fds(sock, MESSAGE, 4)
        if not message:
            return
        try:
            namespaces.setns(given[0] if given else host, namespaces.CLONE_NEWNET)
            made = OPENERS[json.loads(message)["open"]](json.loads(message))
        except OSError as error:
            sock.send(json.dumps({"errno": error.errno or errno.EIO}).encode())
        else:
            socket.send_fds(sock, [b"{}"], [made])
            os.close(made)
        finally:
            namespaces.setns(host, namespaces.CLONE_NEWNET)  # staying would keep a deleted namespace alive
            for fd in given:
                os.close(fd)


def _socket(request: dict[str, Any]) -> int:
    made = socket.socket(request["family"], request["type"] | socket.SOCK_CLOEXEC, request["proto"])
    if request["family"] == socket.AF_NETLINK:
        made.bind((0, 0))
    return made.detach()


def _netns(request: dict[str, Any]) -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _file(request: dict[str, Any]) -> int:
    """A file of /proc/net, or of /proc/sys/net (only root of the namespace writes there)."""
    path = os.path.realpath("/proc/thread-self/" + request["path"]) if request["path"].startswith("net/") else ""
    return os.open(path or "/proc/sys/" + request["path"], request["flags"] | os.O_CLOEXEC)


def _tuntap(request: dict[str, Any]) -> int:
    return open_tuntap(request["name"], request["flags"])


def open_tuntap(name: str, flags: int) -> int:
    """/dev/net/tun attached to a tun or tap link of the caller's namespace, made when there is none of that name."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except BaseException:
        os.close(fd)
        raise
    return fd


OPENERS = {"socket": _socket, "netns": _netns, "file": _file, "tuntap": _tuntap}
