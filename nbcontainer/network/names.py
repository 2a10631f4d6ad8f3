"""What answers at 127.0.0.11 in a container on a network of the user's: Docker's embedded DNS server.

The sockets are the container's, the answers come from the notebook's process: names, aliases and short ids of its
neighbours, and their addresses the other way round. All other questions go on to the machine's resolvers, or to those
of `--dns`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.errors import Unavailable
from nbcontainer.network import host
from nbcontainer.network.network import Attached, Network

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rrset

    from nbcontainer.network.networks import Networks

ADDRESS = "127.0.0.11"
#: Seconds that an answer may be kept, as in Docker.
TTL = 600
#: Seconds to wait for a resolver before the next one is asked.
PATIENCE = 4.0
#: The most an answer over UDP may have when the question does not say (RFC 1035, 4.2.1).
SMALLEST = 512
_PORT = 53

_RULES = """table ip nbcontainer
delete table ip nbcontainer
table ip nbcontainer {{
  chain output {{
    type nat hook output priority -100;
    ip daddr {address} udp dport 53 dnat to {address}:{udp}
    ip daddr {address} tcp dport 53 dnat to {address}:{tcp}
  }}
}}
"""


class Names:
    """The answerer of one container. `links` are names that only it uses, with the containers' they stand for."""

    def __init__(self, networks: Networks, container_id: str, links: Mapping[str, str], servers: Sequence[str]) -> None:
        self.networks = networks
        self.container_id = container_id
        self.links = {alias.lower(): name for alias, name in links.items()}
        self.servers = tuple(servers)
        self._turn = itertools.count()
        self._netns = -1
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- serve

    def serve(self, netns: int) -> None:
        """Answer from now on in the network namespace `netns`. Raises `OSError`."""
        import dns.message  # noqa: F401  here, not on the loop: the first import takes a while

        lab, opener = self.networks.lab, self.networks.sockets
        udp = opener.new(socket.AF_INET, socket.SOCK_DGRAM, netns=netns)
        tcp = opener.new(socket.AF_INET, socket.SOCK_STREAM, netns=netns)
        self._netns = opener.netns(netns)
        try:
            # Port 53 is left to the container, which may have a server of its own: as in Docker.
            udp.bind((ADDRESS, 0))
            tcp.bind((ADDRESS, 0))
            rules = _RULES.format(address=ADDRESS, udp=udp.getsockname()[1], tcp=tcp.getsockname()[1])
            refusal = lab.call(host.redirect, rules, fds=[netns])
            if refusal:
                raise Unavailable(refusal)
        except Unavailable:
            udp.close()
            tcp.close()
            udp = opener.new(socket.AF_INET, socket.SOCK_DGRAM, netns=netns)
            tcp = opener.new(socket.AF_INET, socket.SOCK_STREAM, netns=netns)
            udp.bind((ADDRESS, _PORT))
            tcp.bind((ADDRESS, _PORT))
        tcp.listen(64)
        lab.loop.call(self._start(udp, tcp)).result()

    async def _start(self, udp: socket.socket, tcp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        udp.setblocking(False)
        tcp.setblocking(False)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Questions(self), sock=udp)
        self._tcp = await asyncio.start_server(self._stream, sock=tcp)

    def close(self) -> None:
        """Answer no more."""
        self.networks.lab.loop.soon(self._close)

    def _close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._tasks):
            task.cancel()
        if self._netns >= 0:
            os.close(self._netns)
            self._netns = -1

    def question(self, data: bytes, source: tuple[str, int]) -> None:
        """A datagram has come."""
        task = asyncio.get_running_loop().create_task(self._datagram(data, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _datagram(self, data: bytes, source: tuple[str, int]) -> None:
        answer = await self.answer(data, over_tcp=False)
        if answer is not None and self._udp is not None:
            self._udp.sendto(answer, source)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                answer = await self.answer(await reader.readexactly(length), over_tcp=True)
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    # -- answer

    async def answer(self, data: bytes, over_tcp: bool) -> bytes | None:
        """The answer to a question as it stands on the wire (RFC 1035); None to what is no question at all."""
        import dns.exception
        import dns.flags
        import dns.message
        import dns.opcode
        import dns.rcode

        try:
            asked = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError, IndexError):
            return None
        if asked.flags & dns.flags.QR or len(asked.question) != 1 or asked.opcode() != dns.opcode.QUERY:
            return None
        known = self._known(asked.question[0])
        if known is None:
            forwarded = await self._forward(data, over_tcp)
            if forwarded is not None:
                return forwarded
        reply = dns.message.make_response(asked, recursion_available=True)
        if known is None:
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            reply.answer.extend(known)
        try:
            # Not shuffled: whose turn it is has been decided.
            return reply.to_wire(max_size=65535 if over_tcp else max(SMALLEST, asked.payload), want_shuffle=False)
        except dns.exception.TooBig:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            return reply.to_wire()

    def _known(self, question: dns.rrset.RRset) -> list[dns.rrset.RRset] | None:
        """What the networks know of it; None when it is not about them. An empty list: the name, but no such record."""
        import dns.rdatatype
        import dns.rrset

        name = question.name
        if question.rdtype == dns.rdatatype.PTR:
            found = self._name_of(name)
            return [dns.rrset.from_text(name, TTL, "IN", "PTR", found + ".")] if found else None
        places = list(self._places(name.to_text(omit_final_dot=True).lower()))
        if not places:
            return None
        key = {dns.rdatatype.A: "ip", dns.rdatatype.AAAA: "ip6"}.get(question.rdtype)
        addresses = [ip for there in places if key and (ip := getattr(there.endpoint, key))]
        if not addresses:
            return []
        # The first of several takes turns, which spreads what comes to a shared alias.
        turn = next(self._turn) % len(addresses) if len(addresses) > 1 else 0
        return [dns.rrset.from_text_list(name, TTL, "IN", question.rdtype, addresses[turn:] + addresses[:turn])]

    def _own(self) -> list[Network]:
        """The networks that its container is on now."""
        return [network for network in self.networks.list() if self.container_id in network.attached]

    def _places(self, name: str) -> Iterator[Attached]:
        """Who answers to a name: on docker0 nobody, as in Docker; `NAME.NETWORK` is looked for there only."""
        wanted = self.links.get(name, name).lower()
        for network in self._own():
            if network.name == "bridge":
                continue
            for there in [*network.attached.values(), *network.elsewhere.values()]:
                known = {there.name.lower(), *(alias.lower() for alias in there.aliases)}
                if wanted in known or wanted.removesuffix(f".{network.name.lower()}") in known:
                    yield there

    def _name_of(self, reverse: dns.name.Name) -> str | None:
        """`web.net1` for 2.0.18.172.in-addr.arpa."""
        import dns.exception
        import dns.reversename

        try:
            address = dns.reversename.to_address(reverse)
        except dns.exception.DNSException:
            return None
        for network in self._own():
            for there in [*network.attached.values(), *network.elsewhere.values()]:
                if address in (there.endpoint.ip, there.endpoint.ip6):
                    return f"{there.name}.{network.name}"
        return None

    # -- ask others

    async def _forward(self, data: bytes, over_tcp: bool) -> bytes | None:
        own = self._own()
        if own and all(network.internal for network in own):
            return None  # nothing leaves an internal network, names neither
        for server in self.servers or resolvers():
            try:
                async with asyncio.timeout(PATIENCE):
                    return await (_ask_stream if over_tcp else _ask)(self._socket(server, over_tcp), server, data)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                continue
        return None

    def _socket(self, server: str, over_tcp: bool) -> socket.socket:
        """The machine asks, but for a server on one of the lab's networks."""
        address = ipaddress.ip_address(server.partition("%")[0])
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
        inside = any(address in pool.subnet for network in self.networks.list() for pool in network.pools)
        made = self.networks.sockets.new(family, kind, netns=self._netns) if inside else socket.socket(family, kind)
        made.setblocking(False)
        return made


class _Questions(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self.names = names

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.names.question(data, addr)


async def _ask(sock: socket.socket, server: str, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with sock:
        await loop.sock_connect(sock, (server, _PORT))
        await loop.sock_sendall(sock, data)
        while True:
            answer = await loop.sock_recv(sock, 65535)
            if answer[:2] == data[:2]:
                return answer


async def _ask_stream(sock: socket.socket, server: str, data: bytes) -> bytes:
    await asyncio.get_running_loop().sock_connect(sock, (server, _PORT))
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        writer.write(len(data).to_bytes(2, "big") + data)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()


def resolvers() -> list[str]:
    """The machine's: resolv.conf(5). Those on its loopback too, since it is the machine that asks."""
    try:
        text = Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            found.append(words[1])
    return found
