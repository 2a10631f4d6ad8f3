"""Runs inside the lab: carries what comes to published ports on to containers, and back.

A socket stays in the network namespace it was opened in. So the notebook's process listens on the machine and hands the
listening sockets to this process, which lives on the lab's host and opens the other side there. It is a process of its
own because a published port must go on while a cell computes, and a cell while a port is busy.

Bytes go through a pipe and never into this process (splice(2)). One thread, one epoll; per connection two sockets, and
a pipe only for as long as something is in it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import socket
import time

from nbcontainer.syscalls import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MESSAGE = 1 << 16
#: Bytes that a pipe is to hold, and those of a datagram.
PIPE = 1 << 20
DATAGRAM = 1 << 16
#: Empty pipes kept for the next bytes.
SPARE_PIPES = 32
#: Seconds that a client of a UDP port may be silent before its socket is closed (docker-proxy's time).
SILENCE = 90.0
#: Connections taken from one port, or pipes filled for one connection, before the others have their turn.
BATCH = 64
TURNS = 8
F_SETPIPE_SZ = 1031
#: Fewer bytes than this were all that the socket had: more would have filled a page of the pipe.
SHORT = 4096
ENDING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


def serve(*, fds: list[int]) -> None:
    """Do as the notebook's process says over the SOCK_SEQPACKET `fds[0]`, until its end is closed."""
    process.set_name("nbcontainer-pub")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Relay(socket.socket(fileno=fds[0])).run()


class Relay:
    """All ports that are published, and what goes through them."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.epoll = select.epoll()
        self.pipes: list[tuple[int, int]] = []
        self.places: dict[int, Any] = {control.fileno(): self}
        self.ports: dict[int, Listener | Datagrams] = {}
        #: Connections that have had their turn, and more to do.
        self.later: set[Connection] = set()
        self.epoll.register(control.fileno(), select.EPOLLIN)
        self.running = True

    def run(self) -> None:
        """Until the notebook's process has gone."""
        swept = time.monotonic()
        while self.running:
            waiting, self.later = self.later, set()
            for fd, events in self.epoll.poll(0 if waiting else SILENCE / 3):
                place = self.places.get(fd)
                if place is not None:
                    place.ready(fd, events)
            for connection in waiting:
                connection.move()
            if time.monotonic() - swept > SILENCE / 3:
                swept = time.monotonic()
                for port in self.ports.values():
                    port.sweep(swept)

    def ready(self, fd: int, events: int) -> None:
        """A request: `{"add": key, "protocol", "target": [ip, port]}` with a socket, or `{"remove": key}`."""
        message, fds, _, _ = socket.recv_fds(self.control, MESSAGE, 1)
        if not message:
            self.running = False
            return
        request = json.loads(message)
        if "remove" in request:
            port = self.ports.pop(request["remove"], None)
            if port is not None:
                port.close()
        else:
            kind = Datagrams if request["protocol"] == "udp" else Listener
            self.ports[request["add"]] = kind(self, socket.socket(fileno=fds[0]), tuple(request["target"]))
        self.control.send(b"{}")

    def watch(self, fd: int, place: Any, events: int) -> None:
        """Have `place.ready(fd, events)` called."""
        self.places[fd] = place
        self.epoll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Not any more; `fd` is closed next, which takes it out of the epoll where nobody else has the socket."""
        self.places.pop(fd, None)

    def pipe(self) -> tuple[int, int]:
        """An empty pipe."""
        if self.pipes:
            return self.pipes.pop()
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE)
        except PermissionError:
            pass  # a user's pipes have a limit together (pipe(7)): this one stays small
        return reader, writer

    def give_back(self, pipe: tuple[int, int], empty: bool) -> None:
        """`pipe` is not needed now."""
        if empty and len(self.pipes) < SPARE_PIPES:
            self.pipes.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


class Listener:
    """A TCP port."""

    def __init__(self, relay: Relay, sock: socket.socket, target: tuple[str, int]) -> None:
        self.relay = relay
        self.sock = sock
        self.target = target
        self.connections: set[Connection] = set()
        self.full = False
        sock.setblocking(False)
        _tune(sock)  # accepted sockets have it from here
        relay.watch(sock.fileno(), self, select.EPOLLIN)

    def ready(self, fd: int, events: int) -> None:
        """Somebody connects."""
        for _ in range(BATCH):
            try:
                client, _ = self.sock.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # No room for more: those who come wait in the kernel until somebody goes.
                    self.full = True
                    self.relay.epoll.modify(fd, 0)
                return
            try:
                self.connections.add(Connection(self, client))
            except OSError:
                client.close()

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self.full:
            self.full = False
            self.relay.epoll.modify(self.sock.fileno(), select.EPOLLIN)

    def sweep(self, now: float) -> None:
        """Connections end by themselves. One that found no room tries again."""
        if self.full:
            self.full = False
            self.relay.epoll.modify(self.sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Take the port away, and end what goes through it."""
        self.relay.forget(self.sock.fileno())
        self.relay.epoll.unregister(self.sock.fileno())
        self.sock.close()
        self.full = False
        for connection in list(self.connections):
            connection.close()


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Flow:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.pipe: tuple[int, int] | None = None
        self.held = 0
        self.readable = False
        self.ending = False
        self.ended = False
        self.done = False


class Connection:
    """A client of a TCP port, and the container's side of it."""

    def __init__(self, port: Listener, client: socket.socket) -> None:
        self.port = port
        self.relay = port.relay
        self.client = client
        family = socket.AF_INET6 if ":" in port.target[0] else socket.AF_INET
        self.inner = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            client.setblocking(False)
            _tune(self.inner)
            result = self.inner.connect_ex(port.target)
            if result not in (0, errno.EINPROGRESS):
                raise OSError(result, os.strerror(result))
        except OSError:
            self.inner.close()
            raise
        self.connected = self.closed = False
        self.flows = (Flow(client, self.inner), Flow(self.inner, client))
        edges = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
        self.relay.watch(client.fileno(), self, edges)
        self.relay.watch(self.inner.fileno(), self, edges)

    def ready(self, fd: int, events: int) -> None:
        """One of the sockets can do more than before."""
        there, back = self.flows
        if fd == self.inner.fileno() and not self.connected:
            if self.inner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.close(reset=True)
                return
            self.connected = bool(events & select.EPOLLOUT)
        flow = there if fd == self.client.fileno() else back
        if events & ENDING:
            flow.readable = flow.ending = True
        elif events & select.EPOLLIN:
            flow.readable = True
        if self.connected:
            self.move()

    def move(self) -> None:
        """Carry on in both directions, as far as it goes."""
        if self.closed:
            return
        try:
            more = [self._move(flow) for flow in self.flows]
        except OSError:
            self.close(reset=True)
            return
        if all(flow.done for flow in self.flows):
            self.close()
        elif any(more):
            self.relay.later.add(self)

    def _move(self, flow: Flow) -> bool:
        """From the source into the pipe and from the pipe into the sink; True when there may be more at once."""
        for _ in range(TURNS):
            if flow.done:
                return False
            moved = 0
            if flow.readable and not flow.ended and not flow.held:
                if flow.pipe is None:
                    flow.pipe = self.relay.pipe()
                try:
                    moved = os.splice(flow.source.fileno(), flow.pipe[1], PIPE, flags=os.SPLICE_F_NONBLOCK)
                    flow.held += moved
                    flow.ended = moved == 0
                    if moved < SHORT and not flow.ending:
                        flow.readable = False  # that was all there was: epoll(7) tells when more comes
                except BlockingIOError:
                    flow.readable = False
            if flow.held and flow.pipe is not None:
                try:
                    sent = os.splice(flow.pipe[0], flow.sink.fileno(), flow.held, flags=os.SPLICE_F_NONBLOCK)
                    flow.held -= sent
                    moved += sent
                except BlockingIOError:
                    return False
            if flow.held:
                continue
            if flow.ended:
                self._rest(flow)
                flow.done = True
                try:
                    flow.sink.shutdown(socket.SHUT_WR)
                except OSError as error:
                    if error.errno != errno.ENOTCONN:
                        raise
                return False
            if not moved:
                self._rest(flow)
                return False
        return True

    def _rest(self, flow: Flow) -> None:
        pipe, flow.pipe = flow.pipe, None
        if pipe is not None:
            self.relay.give_back(pipe, empty=not flow.held)

    def close(self, reset: bool = False) -> None:
        """End both sides; with `reset` the client hears that it went wrong."""
        self.closed = True
        if reset:
            try:
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
        for sock in (self.client, self.inner):
            self.relay.forget(sock.fileno())
            sock.close()
        for flow in self.flows:
            self._rest(flow)
        self.port.gone(self)


class Datagrams:
    """A UDP port: each client has a socket of its own on the container's side, as a NAT would."""

    def __init__(self, relay: Relay, sock: socket.socket, target: tuple[str, int]) -> None:
        self.relay = relay
        self.sock = sock
        self.target = target
        self.clients: dict[Any, socket.socket] = {}
        self.sources: dict[int, Any] = {}
        self.heard: dict[Any, float] = {}
        sock.setblocking(False)
        relay.watch(sock.fileno(), self, select.EPOLLIN)

    def ready(self, fd: int, events: int) -> None:
        """A datagram from a client, or an answer to one."""
        for _ in range(BATCH):
            try:
                if fd == self.sock.fileno():
                    data, source = self.sock.recvfrom(DATAGRAM)
                    self._inner(source).send(data)
                else:
                    source = self.sources[fd]
                    self.sock.sendto(self.clients[source].recv(DATAGRAM), source)
                self.heard[source] = time.monotonic()
            except BlockingIOError:
                return
            except OSError:
                continue  # nobody listens there, or no room: a datagram may get lost

    def _inner(self, source: Any) -> socket.socket:
        found = self.clients.get(source)
        if found is None:
            family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
            found = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            found.connect(self.target)
            self.clients[source] = found
            self.sources[found.fileno()] = source
            self.relay.watch(found.fileno(), self, select.EPOLLIN)
        return found

    def sweep(self, now: float) -> None:
        """Forget who has been silent."""
        for source in [source for source, heard in self.heard.items() if now - heard > SILENCE]:
            self._forget(source)

    def _forget(self, source: Any) -> None:
        inner = self.clients.pop(source)
        self.heard.pop(source, None)
        self.sources.pop(inner.fileno())
        self.relay.forget(inner.fileno())
        inner.close()

    def close(self) -> None:
        """Take the port away."""
        self.relay.epoll.unregister(self.sock.fileno())
        for source in list(self.clients):
            self._forget(source)
        self.relay.forget(self.sock.fileno())
        self.sock.close()
