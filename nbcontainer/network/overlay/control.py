"""The channel over TCP: lines of JSON between a server, which has the hub, and each node.

A request is `{"id": 1, "do": "announce", "args": […]}`, its answer `{"id": 1, "result": …}` or `{"id": 1, "error":
["Conflict", "…"]}`; `{"watch": 7, "entry": {…}, "there": true}` comes by itself. The first request is `hello` with
the token: without it nobody may say where a container is. What a node has announced goes with its connection.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from nbcontainer import errors
from nbcontainer.errors import InvalidArgument, NbcontainerError, Unavailable
from nbcontainer.network.overlay.entries import Definition, Entry, Watcher
from nbcontainer.network.overlay.hub import Hub

#: The longest line. An entry has some hundred bytes.
LINE = 1 << 16
#: Seconds that a node may leave what it is sent unread, once all buffers are full.
SLOWEST = 5
#: Seconds that an answer may take.
PATIENCE = 30.0


class Server:
    """Serves a hub to nodes elsewhere, on loopback unless told otherwise; each needs `address` and `token`."""

    def __init__(self, hub: Hub, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        self.hub = hub
        self.token = token or secrets.token_urlsafe(16)
        self._sock = socket.create_server((host, port))
        self.address: tuple[str, int] = self._sock.getsockname()[:2]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="overlay-server", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return  # closed
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), name="overlay-node", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        session = _Session(self.hub, self.token, sock)
        try:
            with sock, sock.makefile("rb") as lines:
                while line := lines.readline(LINE):
                    if not session.request(line):
                        return
        except OSError:
            pass
        finally:
            self._open.discard(sock)
            session.close()

    def close(self) -> None:
        """Serve nobody any more."""
        _shut(self._sock)
        for sock in list(self._open):
            _shut(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)  # a thread that waits in it wakes up
    except OSError:
        pass
    sock.close()


class _Session:
    """One node's connection, on the server's side."""

    def __init__(self, hub: Hub, token: str, sock: socket.socket) -> None:
        self.hub = hub
        self.token = token
        self.sock = sock
        self.known = False
        self._sending = threading.Lock()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SLOWEST, 0))
        self._watches: dict[int, Callable[[], None]] = {}
        self._networks: set[tuple[str, str]] = set()

    def request(self, line: bytes) -> bool:
        """Answer one; whether to go on."""
        number = None
        try:
            if not line.endswith(b"\n"):
                raise InvalidArgument("the line is too long, or cut off")
            message = json.loads(line)
            number = message["id"]
            do, args = message["do"], message["args"]
            if not self.known:
                if do != "hello" or not hmac.compare_digest(str(args[0]).encode(), self.token.encode()):
                    raise InvalidArgument("the token is not this server's")
                self.known = True
                answer: dict[str, Any] = {"result": None}
            else:
                answer = {"result": self.do(do, args)}
        except NbcontainerError as error:
            answer = {"error": [type(error).__name__, str(error)]}
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            answer = {"error": ["InvalidArgument", "this is no request"]}
        self.send({"id": number, **answer})
        return self.known

    def do(self, do: str, args: Sequence[Any]) -> object:
        """A request as a call of the hub."""
        if do == "networks":
            return [definition.to_json() for definition in self.hub.networks()]
        if do == "define":
            made = self.hub.define(str(args[0]), Definition.from_json(args[1]))
            self._networks.add((str(args[0]), made.name))
            return made.to_json()
        if do == "leave":
            self._networks.discard((str(args[0]), str(args[1])))
            self.hub.leave(str(args[0]), str(args[1]))
        elif do == "announce":
            entry = Entry.from_json(args[0])
            if (entry.node, entry.network) not in self._networks:
                raise InvalidArgument(f"node {entry.node} has no network {entry.network}")
            self.hub.announce(entry)
        elif do == "withdraw":
            entry = Entry.from_json(args[0])
            if (entry.node, entry.network) in self._networks:
                self.hub.withdraw(entry)
        elif do == "watch":
            number = int(args[2])
            self._watches[number] = self.hub.watch(
                str(args[0]),
                str(args[1]),
                lambda entry, there: self.send({"watch": number, "entry": entry.to_json(), "there": there}),
            )
        elif do == "unwatch":
            self._watches.pop(int(args[0]), lambda: None)()
        else:
            raise InvalidArgument(f"there is no request {do!r:.60}")
        return None

    def send(self, message: dict[str, Any]) -> None:
        """One line. A node that is gone, or does not read, loses its connection: the others do not wait for it."""
        data = json.dumps(message).encode() + b"\n"
        with self._sending:
            try:
                self.sock.sendall(data)
            except OSError:
                _shut(self.sock)

    def close(self) -> None:
        """The node is gone, and what it had with it."""
        for end in self._watches.values():
            end()
        for node, network in self._networks:
            self.hub.leave(node, network)


class Client:
    """The hub of a server, as a node sees it (`entries.Channel`). Raises `Unavailable` when it cannot be reached."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self.address = address
        try:
            self._sock = socket.create_connection(address, PATIENCE)
        except OSError as error:
            raise Unavailable(f"no overlay server at {address[0]}:{address[1]}: {error.strerror or error}") from None
        self._sock.settimeout(None)
        self._lock = threading.Lock()
        self._number = 0
        self._waiting: dict[int, _Answer] = {}
        self._watchers: dict[int, Watcher] = {}
        self._gone = False
        threading.Thread(target=self._read, name="overlay-client", daemon=True).start()
        self._ask("hello", token)

    def _read(self) -> None:
        try:
            with self._sock.makefile("rb") as lines:
                while line := lines.readline(LINE):
                    self._received(json.loads(line))
        except (OSError, ValueError):
            pass
        with self._lock:
            self._gone = True
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.give({"error": ["Unavailable", "the overlay server has gone"]})

    def _received(self, message: dict[str, Any]) -> None:
        if "watch" in message:
            watcher = self._watchers.get(message["watch"])
            if watcher is not None:
                watcher(Entry.from_json(message["entry"]), bool(message["there"]))
            return
        with self._lock:
            answer = self._waiting.pop(message["id"], None)
        if answer is not None:
            answer.give(message)

    def _ask(self, do: str, *args: Any) -> Any:
        answer = _Answer()
        with self._lock:
            if self._gone:
                raise Unavailable("the overlay server has gone")
            self._number += 1
            number = self._number
            self._waiting[number] = answer
            self._sock.sendall(json.dumps({"id": number, "do": do, "args": args}).encode() + b"\n")
        return answer.wait()

    def networks(self) -> Sequence[Definition]:
        """`Channel.networks`."""
        return [Definition.from_json(value) for value in self._ask("networks")]

    def define(self, node: str, definition: Definition) -> Definition:
        """`Channel.define`."""
        return Definition.from_json(self._ask("define", node, definition.to_json()))

    def leave(self, node: str, network: str) -> None:
        """`Channel.leave`."""
        self._ask("leave", node, network)

    def announce(self, entry: Entry) -> None:
        """`Channel.announce`."""
        self._ask("announce", entry.to_json())

    def withdraw(self, entry: Entry) -> None:
        """`Channel.withdraw`."""
        self._ask("withdraw", entry.to_json())

    def watch(self, node: str, network: str, watcher: Watcher) -> Callable[[], None]:
        """`Channel.watch`. The watcher is called by the thread that reads, which must not ask for anything itself."""
        with self._lock:
            self._number += 1
            number = self._number
            self._watchers[number] = watcher
        self._ask("watch", node, network, number)

        def end() -> None:
            if self._watchers.pop(number, None) is not None and not self._gone:
                self._ask("unwatch", number)

        return end

    def close(self) -> None:
        """Leave: what was announced here is withdrawn."""
        _shut(self._sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Answer:
    def __init__(self) -> None:
        self._there = threading.Event()
        self._message: dict[str, Any] = {}

    def give(self, message: dict[str, Any]) -> None:
        self._message = message
        self._there.set()

    def wait(self) -> Any:
        if not self._there.wait(PATIENCE):
            raise Unavailable(f"the overlay server has not answered in {PATIENCE:g} seconds")
        if "error" in self._message:
            kind, said = self._message["error"]
            found = getattr(errors, str(kind), NbcontainerError)
            known = isinstance(found, type) and issubclass(found, NbcontainerError)
            raise (found if known else NbcontainerError)(str(said))
        return self._message["result"]
