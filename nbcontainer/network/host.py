"""Runs inside the lab: what its host needs besides links. Forwarding, and packet filter rules."""

from __future__ import annotations

import os

from nbcontainer.errors import Unavailable
from nbcontainer.lab.inside import Descriptors
from nbcontainer.syscalls import libnftables, namespaces


def enable_forwarding() -> None:
    """What `sysctl -w net.ipv4.ip_forward=1` does, on the lab's host; the same for IPv6 where the kernel has it."""
    _write("net/ipv4/ip_forward", "1")
    try:
        _write("net/ipv6/conf/all/forwarding", "1")
    except FileNotFoundError:
        pass  # a kernel without IPv6


def filter(rules: str, bridges: list[str]) -> str:
    """Put `rules` in force, all or none. What hinders that is returned in one line, "" when nothing does.

    `bridges` may be reached from the host's own loopback, as published ports want it (ip-sysctl: route_localnet).
    """
    try:
        libnftables.run(rules)
    except Unavailable as error:
        return str(error)
    for bridge in bridges:
        try:
            _write(f"net/ipv4/conf/{bridge}/route_localnet", "1")
        except FileNotFoundError:
            pass  # deleted by hand
    return ""


def redirect(rules: str, *, fds: list[int]) -> str:
    """The same as `filter` in the network namespace `fds[0]`."""
    namespaces.setns(fds[0], namespaces.CLONE_NEWNET)
    return filter(rules, [])


def bring_up() -> Descriptors:
    """The first network: `enable_forwarding`.

    The descriptors tell whether it still is enabled, and are the lab's network and user namespace.
    """
    enable_forwarding()
    files = ("/proc/sys/net/ipv4/ip_forward", "/proc/self/ns/net", "/proc/self/ns/user")
    return Descriptors(None, [os.open(name, os.O_RDONLY | os.O_CLOEXEC) for name in files])


def _write(name: str, value: str) -> None:
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(value)
