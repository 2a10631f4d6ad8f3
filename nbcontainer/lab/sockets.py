"""Runs inside the lab: sockets that belong to its network namespaces, opened there and used from outside."""

from __future__ import annotations

import socket

from nbcontainer.lab.inside import Descriptors


def netlink() -> Descriptors:
    """A bound NETLINK_ROUTE socket of the lab's host."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    sock.bind((0, 0))
    return Descriptors(None, [sock.detach()])
