"""The channel: in one process, and over TCP between two."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError, NotFound, Unavailable
from nbcontainer.network.overlay.control import Client, Server
from nbcontainer.network.overlay.entries import Channel, Definition, Entry
from nbcontainer.network.overlay.hub import Hub

NET = Definition("net", "10.0.9.0/24", "10.0.9.1")


def entry(last: int, node: int, name: str = "") -> Entry:
    return Entry("net", f"10.0.9.{last}", f"02:42:0a:00:09:{last:02x}", f"192.168.50.{node}", name, ("alias",))


class Heard:
    """What a watcher was told; `wait` until it is so."""

    def __init__(self) -> None:
        self.entries: set[Entry] = set()
        self.changed = threading.Condition()

    def __call__(self, entry: Entry, there: bool) -> None:
        with self.changed:
            (self.entries.add if there else self.entries.discard)(entry)
            self.changed.notify_all()

    def wait(self, wanted: Callable[[set[Entry]], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: wanted(self.entries), 60), self.entries


@pytest.fixture(params=["hub", "tcp"])
def channel(request: pytest.FixtureRequest) -> Any:
    """The same behaviour, whichever it is."""
    hub = Hub()
    if request.param == "hub":
        yield hub
        return
    with Server(hub) as server, Client(server.address, server.token) as client:
        yield client


def test_a_network_has_a_number_and_is_the_same_everywhere(channel: Channel) -> None:
    made = channel.define("192.168.50.1", NET)
    assert made.vni == 4097
    assert channel.define("192.168.50.2", NET) == made
    assert channel.define("192.168.50.1", Definition("other", "10.0.8.0/24", "10.0.8.1")).vni == 4098
    with pytest.raises(Conflict, match=r"is 10.0.9.0/24 with gateway 10.0.9.1 on other nodes"):
        channel.define("192.168.50.3", Definition("net", "10.7.0.0/24", "10.7.0.1"))
    with pytest.raises(Conflict, match="overlaps with overlay network net"):
        channel.define("192.168.50.1", Definition("third", "10.0.0.0/16", "10.0.0.1"))
    for node in ("192.168.50.1", "192.168.50.2"):
        channel.leave(node, "net")
    assert [definition.name for definition in channel.networks()] == ["other"]


def test_entries_come_and_go(channel: Channel) -> None:
    for node in (1, 2):
        channel.define(f"192.168.50.{node}", NET)
    channel.announce(entry(2, 1, "web"))
    heard = Heard()
    end = channel.watch("192.168.50.2", "net", heard)
    assert heard.entries == {entry(2, 1, "web")}, "those there are, at once"
    channel.announce(entry(3, 1))
    channel.announce(entry(4, 2))
    heard.wait(lambda entries: entries == {entry(2, 1, "web"), entry(3, 1)})
    channel.withdraw(entry(2, 1))
    heard.wait(lambda entries: entries == {entry(3, 1)})
    with pytest.raises(Conflict, match=r"10.0.9.3 belongs to .* on node 192.168.50.1"):
        channel.announce(entry(3, 2))
    channel.withdraw(entry(3, 2))  # not its to take away
    end()
    channel.withdraw(entry(3, 1))
    assert heard.entries == {entry(3, 1)}


def test_an_entry_of_no_network(channel: Channel) -> None:
    with pytest.raises(NbcontainerError, match="net"):
        channel.announce(entry(2, 1))


def test_who_has_not_the_token_is_told_nothing() -> None:
    with Server(Hub()) as server:
        with pytest.raises(InvalidArgument, match="the token is not this server's"):
            Client(server.address, "guess")
        with socket.create_connection(server.address) as sock, sock.makefile("rb") as lines:
            sock.sendall(b'{"id": 1, "do": "networks", "args": []}\n')
            assert json.loads(lines.readline())["error"] == ["InvalidArgument", "the token is not this server's"]
            assert lines.readline() == b""


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
    with pytest.raises(Unavailable, match=r"no overlay server at 127.0.0.1"):
        Client(address, "token")


OTHER = """
import sys
from nbcontainer.network.overlay.control import Client
from nbcontainer.network.overlay.entries import Definition, Entry
client = Client(("127.0.0.1", int(sys.argv[1])), sys.argv[2])
client.define("192.168.50.2", Definition("net", "10.0.9.0/24", "10.0.9.1"))
client.watch("192.168.50.2", "net", lambda entry, there: print(entry.ip, there, flush=True))
client.announce(Entry("net", "10.0.9.7", "02:42:0a:00:09:07", "192.168.50.2", "far"))
sys.stdin.read()
"""


def test_two_processes() -> None:
    """What the other has announced is known here until it ends, however it does."""
    hub = Hub()
    hub.define("192.168.50.1", NET)
    hub.announce(entry(2, 1))
    heard = Heard()
    hub.watch("192.168.50.1", "net", heard)
    with Server(hub) as server:
        argv = [sys.executable, "-c", OTHER, str(server.address[1]), server.token]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "10.0.9.2 True\n"
            heard.wait(lambda entries: {e.name for e in entries} == {"far"})
            hub.announce(entry(3, 1))
            assert other.stdout.readline() == "10.0.9.3 True\n"
            other.kill()
        heard.wait(lambda entries: not entries)
    with pytest.raises(NotFound):
        hub.announce(Entry("gone", "10.0.9.7", "02:42:0a:00:09:07", "192.168.50.2"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {"network": JSON, "ip": JSON | st.just("10.0.0.1"), "mac": JSON | st.just("02:00:00:00:00:01"), "node": JSON}
)


@given(JSON | ENTRIES)
def test_what_another_node_says_is_an_entry_or_refused(value: Any) -> None:
    for kind in (Entry, Definition):
        with suppress(InvalidArgument):
            made = kind.from_json(value)
            assert kind.from_json(json.loads(json.dumps(made.to_json()))) == made


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()) | st.fixed_dictionaries(
    {"id": JSON, "do": st.sampled_from(["define", "leave", "announce", "withdraw", "watch", "unwatch", "networks"]),
     "args": JSON}
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_line_is_answered(line: bytes) -> None:
    with Server(Hub()) as server, socket.create_connection(server.address) as sock, sock.makefile("rb") as lines:
        hello = {"id": 0, "do": "hello", "args": [server.token]}
        sock.sendall(json.dumps(hello).encode() + b"\n")
        assert json.loads(lines.readline()) == {"id": 0, "result": None}
        sock.sendall(line.replace(b"\n", b"") + b"\n")
        answer = json.loads(lines.readline())
        assert "error" in answer or "result" in answer or "watch" in answer


def test_a_node_that_does_not_read_is_dropped() -> None:
    """Nobody waits for it: what others announce is heard by the rest."""
    hub = Hub()
    hub.define("192.168.50.1", NET)
    with Server(hub) as server, socket.create_connection(server.address) as sock:
        requests = [
            {"id": 1, "do": "hello", "args": [server.token]},
            *({"id": 2 + n, "do": "watch", "args": ["192.168.50.2", "net", n]} for n in range(300)),
        ]
        for request in requests:
            sock.sendall(json.dumps(request).encode() + b"\n")
        heard = Heard()
        hub.watch("192.168.50.3", "net", heard)
        for last in range(2, 250):
            hub.announce(entry(last, 1, "x" * 200))
        heard.wait(lambda entries: len(entries) == 248)
