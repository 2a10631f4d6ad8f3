"""Runs inside the lab: how much TCP carries from one host to another. Standard library only."""

from __future__ import annotations

import errno
import os
import socket
import time

from nbcontainer.syscalls import namespaces
from nbcontainer.topology.build import open_netns

CHUNK = 1 << 18


def measure(sender: str, receiver: str, address: str, seconds: float, timeout: float) -> list[float]:
    """Bytes received and the seconds that took, from the first byte on. Raises `OSError` where they do not connect."""
    namespaces.setns(open_netns(receiver), namespaces.CLONE_NEWNET)
    with socket.create_server((address, 0)) as server:
        namespaces.setns(open_netns(sender), namespaces.CLONE_NEWNET)
        # The request for a connection waits in the kernel until it is accepted: one process can do both.
        server.settimeout(timeout)
        try:
            out = socket.create_connection(server.getsockname(), timeout)
            into = server.accept()[0]
        except TimeoutError:  # Python's own, without a number
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    # Two processes, so that both ends can have a processor.
    child = os.fork()
    if child == 0:
        into.close()
        try:
            send(out, seconds)
        finally:
            os._exit(0)
    out.close()
    try:
        into.settimeout(seconds + timeout)
        return receive(into)
    finally:
        into.close()  # a sender that is still at it gets a reset, and ends
        os.waitpid(child, 0)


def send(sock: socket.socket, seconds: float) -> None:
    """As much as goes, for so long."""
    data = memoryview(bytes(CHUNK))
    sock.settimeout(max(1.0, seconds))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        sock.send(data)
    sock.shutdown(socket.SHUT_WR)


def receive(sock: socket.socket) -> list[float]:
    """Bytes until the end, and the seconds from the first to the last."""
    buffer = bytearray(CHUNK)
    total = sock.recv_into(buffer)
    started = last = time.monotonic()
    first = total
    while count := sock.recv_into(buffer):
        total += count
        last = time.monotonic()
    return [float(total - first), last - started]
