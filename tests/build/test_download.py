"""ADD of what a web server has."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nbcontainer.errors import DockerfileError
from tests.build.test_build import archive

CONTENT = b"from the web"
FILES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/f": (200, {"Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT"}, CONTENT),
    "/named": (200, {"Content-Disposition": 'attachment; filename="../other.txt"'}, CONTENT),
    "/": (200, {}, CONTENT),
    "/a.tar": (200, {}, archive(inside="packed")),
    "/redirected": (302, {"Location": "/f"}, b""),
    "/loop": (302, {"Location": "/loop"}, b""),
    "/gone": (404, {}, b"<html>"),
    "/cut": (200, {"Content-Length": "100"}, b"short"),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = FILES.get(self.path, FILES["/gone"])
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_of_the_web(build: Any, web: str) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    text = (
        f"FROM busybox\nADD {web}/f /d/\nADD --checksum=sha256:{digest} {web}/redirected /x\nADD {web}/named /n/\n"
        f"ADD --chmod=644 --chown=0:0 {web}/a.tar /t/\nADD --unpack=true {web}/a.tar /u/\n"
    )
    image = build(text)
    assert build.said(image, "stat -c '%a %Y' /d/f; cat /x; ls /n /t; stat -c %a /t/a.tar; cat /u/inside") == (
        "600 1000000000\nfrom the web/n:\nother.txt\n\n/t:\na.tar\n644\npacked"
    )
    build(text)
    assert len(build.cached) == 5


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/gone", "invalid response status 404 Not Found"),
        ("/", "cannot determine filename from url"),
        ("/loop", "stopped after 10 redirects"),
        ("/cut", "127.0.0.1"),
    ],
)
def test_what_cannot_be_had(build: Any, web: str, source: str, why: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        build(f"FROM busybox\nADD {web}{source} /x/\n")
    assert why in str(caught.value)
    assert str(caught.value).startswith("Dockerfile:2: ")
    assert "\n" not in str(caught.value)


def test_another_content_than_was_expected(build: Any, web: str) -> None:
    with pytest.raises(DockerfileError, match=f"digest mismatch sha256:{hashlib.sha256(CONTENT).hexdigest()}"):
        build(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web}/f /x\n")


def test_nobody_there(build: Any) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:2: .*127\.0\.0\.1:1"):
        build("FROM busybox\nADD http://127.0.0.1:1/f /x\n")
