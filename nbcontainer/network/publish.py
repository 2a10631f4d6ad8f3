"""Published ports: sockets that listen on the machine, held by the notebook's process and served by `relay`."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nbcontainer.errors import Conflict, InvalidArgument, LabGone
from nbcontainer.lab.handle import Handle
from nbcontainer.network import relay
from nbcontainer.network.filter import Published
from nbcontainer.network.ports import LOOPBACK, Asked, Binding, bracketed

#: Ports that are chosen when none is asked for: Docker's, from the lowest that is free (/proc/sys/net/ipv4,
#: ip_local_port_range).
CHOSEN = range(32768, 61000)
#: Connections that may wait to be accepted; the kernel has a limit of its own (listen(2), somaxconn).
BACKLOG = 4096


@dataclass(frozen=True)
class Held:
    """A port that is published: what the relay calls it, its socket, and the container's address."""

    binding: Binding
    key: int
    sock: socket.socket
    ip: str


class Publisher:
    """The published ports of a lab's containers. `translate` makes the same ports of the lab's host lead there."""

    def __init__(self, lab: Handle, translate: Callable[[str, list[Published]], None]) -> None:
        self.lab = lab
        self.translate = translate
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._next_key = 0
        self._held: dict[str, list[Held]] = {}
        self._names: dict[str, str] = {}

    def publish(self, container_id: str, name: str, asked: Sequence[Asked], ip: str) -> list[Binding]:
        """Have every port lead to the container at `ip`, or none. What was published for it before is withdrawn.

        Raises `Conflict` in Docker's words when a port is taken, `InvalidArgument` for an address that is not the
        machine's.
        """
        self.withdraw(container_id)
        held: list[Held] = []
        with self._lock:
            try:
                for port in asked:
                    for sock, binding in self._bind(port):
                        self._next_key += 1
                        held.append(Held(binding, self._next_key, sock, ip))
                for one in held:
                    self._add(one)
            except BaseException:
                self._drop(held)
                raise
            self._held[container_id] = held
            self._names[container_id] = name
        bindings = [one.binding for one in held]
        ports = {(b.protocol, b.host_port): Published(b.protocol, b.host_port, ip, b.container_port) for b in bindings}
        self.translate(container_id, list(ports.values()))
        return bindings

    def withdraw(self, container_id: str) -> None:
        """The container's ports are closed, and free again."""
        with self._lock:
            held = self._held.pop(container_id, None)
            if held is None:
                return
            self._drop(held)
        if not self.lab.gone and not self.lab.closed:
            self.translate(container_id, [])

    def bindings(self, container_id: str) -> list[Binding]:
        """What is published for a container now."""
        return sorted(one.binding for one in self._held.get(container_id, []))

    # -- sockets of the machine

    def _bind(self, asked: Asked) -> list[tuple[socket.socket, Binding]]:
        """Sockets that listen: for the loopback one of each kind, on the same port."""
        ports = range(asked.first, asked.last + 1) if asked.first else CHOSEN
        refusal: OSError | None = None
        for port in ports:
            try:
                return self._bind_all(asked, port)
            except OSError as error:
                refusal = error
                if error.errno != errno.EADDRINUSE:
                    break
        assert refusal is not None
        raise self._refused(asked, ports, refusal)

    def _bind_all(self, asked: Asked, port: int) -> list[tuple[socket.socket, Binding]]:
        made: list[tuple[socket.socket, Binding]] = []
        try:
            for ip in asked.ips or LOOPBACK:
                try:
                    sock = _listen(asked.protocol, ip, port)
                except OSError as error:
                    if not asked.ips and made and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                        continue  # a machine without IPv6
                    raise
                made.append((sock, Binding(asked.container_port, asked.protocol, ip, port)))
        except BaseException:
            for sock, _ in made:
                sock.close()
            raise
        return made

    def _refused(self, asked: Asked, ports: range, error: OSError) -> Exception:
        ip = asked.ips[0] if asked.ips else LOOPBACK[0]
        address = f"{bracketed(ip)}:{ports[0]}"
        if error.errno == errno.EADDRNOTAVAIL:
            return InvalidArgument(f"Bind for {address} failed: {ip} is not an address of this machine")
        if error.errno == errno.EACCES:
            return Conflict(f"Bind for {address} failed: ports below 1024 need root; publish a higher one")
        if error.errno != errno.EADDRINUSE:
            return Conflict(f"Bind for {address} failed: {os.strerror(error.errno or 0)}")
        if len(ports) > 1:
            return Conflict(f"Bind for {bracketed(ip)}:{ports[0]}-{ports[-1]} failed: all ports are allocated")
        owner = self._owner(asked.protocol, ports[0])
        whose = f"to container {owner}" if owner else "to another program of this machine"
        free = f"`-p {asked.container_port}` finds a free one"
        return Conflict(f"Bind for {address} failed: port is already allocated {whose}; {free}")

    def _owner(self, protocol: str, port: int) -> str | None:
        for container_id, held in self._held.items():
            if any((one.binding.protocol, one.binding.host_port) == (protocol, port) for one in held):
                return self._names[container_id]
        return None

    # -- the relay

    def _add(self, held: Held) -> None:
        target = [held.ip, held.binding.container_port]
        request = {"add": held.key, "protocol": held.binding.protocol, "target": target}
        self._ask(request, [held.sock.fileno()])

    def _ask(self, request: dict[str, object], fds: list[int]) -> None:
        if self._control is None:
            self._control = self._start()
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], fds)
            if self._control.recv(relay.MESSAGE):
                return
        except (OSError, KeyboardInterrupt) as error:
            self._control.close()
            self._control = None
            if isinstance(error, KeyboardInterrupt):
                raise
        raise LabGone("what carries published ports has ended; `%lab reset` makes a new lab")

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = self.lab.spawn(relay.serve, fds=[theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        loop = self.lab.loop
        process.on_exit(lambda code: loop.soon(loop.away, self._ended, ours))
        return ours

    def _ended(self, control: socket.socket) -> None:
        """The relay has been killed: another one takes over what was published. Connections are lost."""
        with self._lock:
            if self._control is control:
                self._control = None
                control.close()
            if self._control is None and not self.lab.gone and not self.lab.closed:
                try:
                    for held in self._held.values():
                        for one in held:
                            self._add(one)
                except LabGone:
                    pass

    def _drop(self, held: list[Held]) -> None:
        for one in held:
            one.sock.close()
            if self._control is not None:
                try:
                    self._ask({"remove": one.key}, [])
                except LabGone:
                    pass


def _listen(protocol: str, ip: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((ip, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
