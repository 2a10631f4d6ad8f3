"""Registries behind a SOCKS proxy: Debian's microsocks, which knows a name that this machine does not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import RegistryError
from nbcontainer.image.registry.progress import Event
from tests.image.build import sha256, tree
from tests.image.registry.bad import Answer, Bad, Request
from tests.image.registry.conftest import load
from tests.registries import PROGRAM, Certificate, Registry, free_port

MICROSOCKS = shutil.which("microsocks")
LARGE = tree({"noise": os.urandom(3 << 20)})
NAME = "registry.invalid"
#: Starts a proxy; its arguments are microsocks's.
Start = Callable[..., "Socks"]


class Socks:
    """microsocks on a port of loopback; for it alone, NAME is an address of loopback too."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        assert MICROSOCKS is not None
        (directory / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.log = directory / "log"
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        command = [MICROSOCKS, "-i", "127.0.0.1", "-p", str(self.port), *arguments]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--user", "--map-root-user", "--mount",
                 "sh", "-c", script, "sh", str(directory / "hosts"), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self._process.poll() is None, self.log.read_text()
                time.sleep(0.02)

    def connected(self) -> set[str]:
        """Where it was asked to connect to, names as it heard them: it did."""
        lines = self.log.read_text().splitlines()
        return {line.rpartition(" ")[2] for line in lines if " connected to " in line}

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def socks(tmp_path: Path) -> Iterator[Start]:
    if MICROSOCKS is None:
        pytest.skip("not installed: microsocks")
    started: list[Socks] = []

    def start(*arguments: str) -> Socks:
        directory = tmp_path / f"socks{len(started)}"
        directory.mkdir()
        started.append(Socks(directory, *arguments))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


def port_of(bad: Bad) -> str:
    return bad.host.rpartition(":")[2]


def trust(home: Path) -> None:
    (home / "daemon.json").write_text(f'{{"insecure-registries": ["{NAME}"]}}')


def use(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)


def fails(lab: Any, name: str, why: str) -> None:
    with pytest.raises(RegistryError, match=why) as raised:
        lab.images.pull(name)
    text = str(raised.value)
    assert "\n" not in text
    assert "secret" not in text
    assert "s%40cret" not in text
    assert "s@cret" not in text


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_the_proxy_is_asked_for_the_name(
    home: Path, lab: Any, socks: Start, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    trust(home)
    proxy = socks()
    use(monkeypatch, f"{scheme}://{proxy.host}")
    with Bad([LARGE], lambda request, count: None) as bad:
        name = f"{NAME}:{port_of(bad)}/some/thing:1"
        assert lab.images.pull(name).tags == [name]
        assert proxy.connected() == {f"{NAME}:{port_of(bad)}"}
        monkeypatch.setenv("NO_PROXY", ".invalid")
        fails(lab, f"{NAME}:{port_of(bad)}/some/thing:2", rf"cannot reach {NAME}:\d+: no such host;")


def test_proxies_of_daemon_json(home: Path, lab: Any, socks: Start) -> None:
    proxy = socks()
    (home / "daemon.json").write_text(
        f'{{"insecure-registries": ["{NAME}"], "proxies": {{"http-proxy": "socks5://{proxy.host}",'
        f' "https-proxy": "socks5h://{proxy.host}"}}}}'
    )
    with Bad([LARGE], lambda request, count: None) as bad:
        name = f"{NAME}:{port_of(bad)}/some/thing:1"
        assert lab.images.pull(name).tags == [name]
        assert bad.name in lab.images.pull(bad.name).tags, "never for this machine itself"
        assert proxy.connected() == {f"{NAME}:{port_of(bad)}"}


def test_over_tls(home: Path, lab: Any, socks: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pushed and pulled."""
    if PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    trust(home)
    proxy = socks()
    use(monkeypatch, f"socks5h://{proxy.host}")
    with Registry(tmp_path / "registry", certificate=Certificate(tmp_path)) as registry:
        name = f"{NAME}:{registry.port}/some/thing:1"
        pushed = load(lab, tmp_path, name).id
        lab.images.push(name)
        lab.images.remove(name)
        assert lab.images.pull(name).id == pushed
        assert proxy.connected() == {f"{NAME}:{registry.port}"}


def test_a_password(home: Path, lab: Any, socks: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(home)
    proxy = socks("-u", "ada", "-P", "s@cret")
    with Bad([LARGE], lambda request, count: None) as bad:
        name = f"{NAME}:{port_of(bad)}/some/thing:1"
        use(monkeypatch, f"socks5://ada:secret@{proxy.host}")
        fails(lab, name, rf"cannot reach {NAME}:\d+ through the proxy: socks5 authentication failed;")
        use(monkeypatch, f"socks5://{proxy.host}")
        fails(lab, name, rf"cannot reach {NAME}:\d+ through the proxy: .*authentication methods were rejected;")
        assert proxy.connected() == set()
        use(monkeypatch, f"socks5://ada:s%40cret@{proxy.host}")
        assert lab.images.pull(name).tags == [name]


def test_who_cannot_be_reached(home: Path, lab: Any, socks: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(home)
    nobody = free_port()
    use(monkeypatch, f"socks5://ada:secret@127.0.0.1:{nobody}")
    fails(lab, f"{NAME}:5000/some/thing", rf"cannot reach {NAME}:5000 through the proxy: connection refused;")
    use(monkeypatch, "socks5://ada:secret@proxy.invalid")
    fails(lab, f"{NAME}:5000/some/thing", rf"cannot reach {NAME}:5000 through the proxy: no such host;")
    use(monkeypatch, f"socks5://{socks().host}")
    fails(lab, f"{NAME}:{nobody}/some/thing", rf"cannot reach {NAME}:\d+ through the proxy: connection refused;")


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks4://ada:secret@proxy.invalid", "^the proxy socks4://proxy.invalid is none that can be used: http, "),
        ("socks5://ada:secret@proxy.invalid:port", "^the proxy's address cannot be read: write SCHEME://"),
        ("http://ada:sec/ret@proxy.invalid", "^the proxy's address cannot be read: write SCHEME://"),
        ("socks5://", "^the proxy socks5:// is none that can be used"),
    ],
)
def test_proxies_that_are_none(home: Path, lab: Any, monkeypatch: pytest.MonkeyPatch, proxy: str, why: str) -> None:
    use(monkeypatch, proxy)
    fails(lab, f"{NAME}/some/thing", why)


def test_ctrl_c_while_it_stalls(home: Path, lab: Any, socks: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection through the proxy is cut: nobody waits for what does not come."""
    trust(home)
    use(monkeypatch, f"socks5://{socks().host}")

    def trick(request: Request, count: int) -> Answer | None:
        return Answer(body=LARGE, cut=1 << 20, stall=True) if sha256(LARGE) in request.path else None

    def pressed(event: Event) -> None:
        if event.status == "Downloading" and event.total == len(LARGE):
            raise KeyboardInterrupt

    with Bad([LARGE], trick) as bad:
        with pytest.raises(KeyboardInterrupt):
            lab.images.pull(f"{NAME}:{port_of(bad)}/some/thing:1", progress=pressed)
        for thread in threading.enumerate():
            if thread.name == "registry":
                thread.join(30)
                assert not thread.is_alive()
