"""A way out of the lab, to a server on the machine's own address."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import InvalidArgument
from nbcontainer.info import info_text
from nbcontainer.network import uplink


def own_address() -> str:
    """The address that this machine would send from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no route that leads anywhere")
        return str(sock.getsockname()[0])


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "17")
        self.end_headers()
        self.wfile.write(b"from the machine\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a page on the machine."""
    with http.server.ThreadingHTTPServer((own_address(), 0), Page) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://{found.server_address[0]}:{found.server_address[1]}/"
        found.shutdown()


@pytest.mark.parametrize("program", uplink.PROGRAMS)
def test_containers_reach_what_the_machine_reaches(
    program: str, busybox: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbcontainer.runtime import Lab

    if shutil.which(program) is None:
        pytest.skip(f"not installed: {program}")
    monkeypatch.setenv(uplink.VARIABLE, program)
    with Lab() as lab:
        lab.networks.create("net1")
        lab.networks.create("inner", internal=True)
        for network in ("bridge", "net1"):
            c = lab.containers.run("busybox", ["wget", "-q", "-O", "-", server], network=network)
            assert c.logs() == "from the machine\n"
        assert lab.networks.uplink.program == program
        assert "No way out" not in info_text(lab)
        shut = lab.containers.run("busybox", ["nc", "-w", "2", server[0], str(server[1])], network="inner", check=False)
        assert shut.exit_code != 0
        keeper = lab.networks.uplink._keeper
    assert keeper is not None
    assert keeper.poll() is not None


def test_none_is_said_and_nothing_hangs(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["nc", "-w", "60", "192.0.2.1", "9"], check=False)
    assert c.exit_code != 0
    assert "unreachable" in c.logs()
    assert "WARNING: No way out of the lab: NBCONTAINER_UPLINK is none" in info_text(lab)


def test_one_that_does_not_work(busybox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbcontainer.runtime import Lab

    (tmp_path / "pasta").write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    (tmp_path / "pasta").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(uplink.VARIABLE, "pasta")
    with Lab() as lab:
        assert lab.containers.run("busybox", ["true"]).exit_code == 0
        assert "No way out of the lab: pasta did not come up (it is broken)" in info_text(lab)


def test_a_variable_that_cannot_be(monkeypatch: pytest.MonkeyPatch, lab: Any) -> None:
    monkeypatch.setenv(uplink.VARIABLE, "carrier-pigeon")
    with pytest.raises(InvalidArgument, match="it is auto, none, pasta or slirp4netns"):
        lab.networks.create("net1")


def test_it_ends_with_its_owner_however_that_ends(busybox: Any) -> None:
    if shutil.which("pasta") is None:
        pytest.skip("not installed: pasta")
    own_address()
    code = (
        "from nbcontainer.runtime import Lab\n"
        "lab = Lab()\n"
        "lab.containers.run('busybox', ['sleep', '600'], detach=True)\n"
        "import os; pidfd = lab.networks.uplink._pidfd\n"
        "print(next(l.split()[1] for l in open(f'/proc/self/fdinfo/{pidfd}') if l.startswith('Pid:')), flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    environment = {**os.environ, uplink.VARIABLE: "pasta"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        pasta = os.pidfd_open(pid)
        process.kill()
        process.wait()
    import select

    poll = select.poll()
    poll.register(pasta, select.POLLIN)
    assert poll.poll(60000), "pasta outlives its notebook"
    os.close(pasta)
