"""A registry on loopback that does wrong what it is told to: a real server, whose answers are bytes on a socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.image.build import config, sha256

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Request:
    """What was asked: the method, the path, the headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """What is sent: as it stands in `raw`, or put together. `cut` bytes into the body the connection ends; with
    `stall` it stays open instead, and nothing more comes."""

    status: str = "200 OK"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    cut: int | None = None
    stall: bool = False
    raw: bytes | None = None

    def send(self, connection: socket.socket, stopped: threading.Event) -> None:
        """Send it."""
        data = self.raw
        if data is None:
            length = len(self.body) if self.length is None else self.length
            lines = [f"HTTP/1.1 {self.status}", f"Content-Length: {length}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            body = self.body if self.cut is None else self.body[: self.cut]
            data = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        connection.sendall(data)
        if self.stall:
            stopped.wait()


#: What to answer instead of the right thing; None for the right thing. The number counts the requests of that path.
Trick = Callable[[Request, int], Answer | None]


class Bad:
    """It has one image of `layers` under every name and tag, and answers as `trick` wants."""

    def __init__(
        self,
        layers: list[bytes],
        trick: Trick,
        *,
        document: bytes | None = None,
        ranges: bool = True,
        kind: str = "application/vnd.oci.image.layer.v1.tar",
    ) -> None:
        document = document or config(layers)
        self.blobs = {sha256(one): one for one in (document, *layers)}
        self.layers = [{"mediaType": kind, "digest": sha256(one), "size": len(one)} for one in layers]
        described = {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(document), "size": len(document),
        }  # fmt: skip
        self.manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": self.layers}).encode()
        self.asked: list[Request] = []
        self._trick = trick
        self._ranges = ranges
        self._stopped = threading.Event()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.name = f"{self.host}/bad:1"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (line := stream.readline()) and not self._stopped.is_set():
                    if line[:1] == b"\x16":
                        return  # somebody speaks TLS to us
                    method, path, _ = line.decode().split(" ", 2)
                    headers = {}
                    while (header := stream.readline().decode().rstrip("\r\n")) != "":
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    stream.read(int(headers.get("content-length", 0)))
                    request = Request(method, path, headers)
                    answer = self._answer(request)
                    answer.send(connection, self._stopped)
                    if answer.raw is not None or answer.cut is not None or answer.length is not None:
                        return
            except (OSError, ValueError):
                return

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.asked.append(request)
            count = self._counts[request.path] = self._counts.get(request.path, 0) + 1
        return self._trick(request, count) or self.right(request)

    def right(self, request: Request) -> Answer:
        """As a registry should."""
        if "/manifests/" in request.path:
            return Answer(body=self.manifest, headers={"Content-Type": MANIFEST})
        blob = self.blobs.get(request.path.rpartition("/")[2])
        if blob is None:
            return Answer("404 Not Found", b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]}')
        wanted = request.headers.get("range")
        if wanted is None or not self._ranges:
            return Answer(body=blob)
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        said = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        return Answer("206 Partial Content", blob[start:], said)

    def ranges(self) -> list[str]:
        """The ranges that were asked for."""
        return [one.headers["range"] for one in self.asked if "range" in one.headers]

    def close(self) -> None:
        """End it."""
        self._stopped.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._threads[0].join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
