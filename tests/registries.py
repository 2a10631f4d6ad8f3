"""Real registries beside us: Debian's docker-registry on loopback, with users, tokens, TLS, or as a mirror.

Each has a directory of its own and ends with `close()`; without root all of it works too.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PROGRAM = shutil.which("docker-registry")
#: Seconds it may take to answer.
PATIENCE = 60.0
USER, PASSWORD = "ada", "secret"
#: bcrypt of the password.
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Registry:
    """docker-registry with its files below `directory`.

    `users` asks for USER and PASSWORD; `tokens` sends to that token server; `certificate` makes it speak TLS;
    `of` makes it a pull-through mirror of that URL. `netns` is a command line that runs it elsewhere.
    """

    def __init__(
        self,
        directory: Path,
        *,
        users: bool = False,
        tokens: TokenServer | None = None,
        certificate: Certificate | None = None,
        of: str | None = None,
        port: int | None = None,
        netns: tuple[str, ...] = (),
    ) -> None:
        assert PROGRAM is not None
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.port = port or free_port()
        self.host = f"127.0.0.1:{self.port}"
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        if users:
            (directory / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "here", "path": str(directory / "htpasswd")}}
        if tokens is not None:
            config["auth"] = {"token": {
                "realm": tokens.url, "service": tokens.service, "issuer": tokens.issuer,
                "rootcertbundle": str(tokens.certificate.file),
            }}  # fmt: skip
        if certificate is not None:
            config["http"]["tls"] = {"certificate": str(certificate.file), "key": str(certificate.key)}
        if of is not None:
            config["proxy"] = {"remoteurl": of}
        # YAML takes JSON.
        (directory / "config.yml").write_text(json.dumps(config))
        self.log = directory / "log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *netns, PROGRAM, "serve", str(directory / "config.yml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": "/"},
            )  # fmt: skip
        if not netns:
            self._wait_until_up()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"docker-registry did not start: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def manifest(self, name: str, reference: str) -> tuple[str, bytes]:
        """The digest it says and the content, of a registry without TLS and users."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        connection.request("GET", f"/v2/{name}/manifests/{reference}", headers={"Accept": kinds})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        assert response.status == 200, content
        return response.headers["Docker-Content-Digest"], content

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Certificate:
    """A key and a certificate for 127.0.0.1 and localhost that vouches for itself."""

    def __init__(self, directory: Path) -> None:
        self.key, self.file = directory / "key.pem", directory / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(self.key), "-out", str(self.file)],
            check=True, capture_output=True,
        )  # fmt: skip

    def sign(self, data: bytes) -> bytes:
        """RSA with SHA-256."""
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    @property
    def der(self) -> str:
        """As a token's x5c has it."""
        lines = self.file.read_text().splitlines()
        return "".join(line for line in lines if not line.startswith("-----"))


class TokenServer:
    """A token server (distribution, docs/spec/auth/jwt.md): everybody may pull, USER with PASSWORD may push."""

    service, issuer = "registry.test", "test issuer"

    def __init__(self, directory: Path) -> None:
        self.certificate = Certificate(directory)
        #: The scopes that were asked for, and by whom.
        self.asked: list[tuple[str, list[str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)
        given = request.headers.get("Authorization", "")
        user = ""
        if given.startswith("Basic "):
            user, _, password = base64.b64decode(given[6:]).decode().partition(":")
            if (user, password) != (USER, PASSWORD):
                request.send_response(401)
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        scopes = query.get("scope", [])
        self.asked.append((user, scopes))
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [one for one in actions.split(",") if user or one == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        body = json.dumps({"token": self._token(user, query["service"][0], access), "expires_in": 300}).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _token(self, user: str, audience: str, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.certificate.der]}
        claims = {
            "iss": self.issuer, "sub": user, "aud": audience, "exp": now + 300, "nbf": now - 60, "iat": now,
            "jti": str(now), "access": access,
        }  # fmt: skip
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        return (signed + b"." + _base64url(self.certificate.sign(signed))).decode()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
