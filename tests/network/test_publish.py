"""Published ports: the machine's sockets, what goes through them, what is refused."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError

HTTP = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"
#: Sends back what it is sent, once the sender has ended.
ECHO = "exec nc -ll -p 7 -e cat"


def web(lab: Any, name: str = "web", script: str = HTTP, **options: Any) -> Any:
    options.setdefault("publish", ["80"])
    return lab.containers.run("busybox", ["sh", "-c", script], detach=True, name=name, **options)


def port_of(container: Any, key: str = "80/tcp") -> int:
    return int(container.ports[key][0][1])


def fetched(url: str) -> bytes:
    """The page, once the server in the container listens."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return bytes(answer.read())
        except (ConnectionError, urllib.error.URLError):
            threading.Event().wait(0.05)
    raise AssertionError(f"{url} does not answer")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_published_port_answers(lab: Any, busybox: Any) -> None:
    wanted = free_port()
    c = web(lab, publish=[f"{wanted}:80"])
    assert c.ports["80/tcp"][0] == ("127.0.0.1", wanted)
    for ip, port in c.ports["80/tcp"]:
        assert fetched(f"http://{f'[{ip}]' if ':' in ip else ip}:{port}/") == b"hello\n"
    inspected = c.inspect()
    assert inspected["NetworkSettings"]["Ports"]["80/tcp"][0] == {"HostIp": "127.0.0.1", "HostPort": str(wanted)}
    assert inspected["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": str(wanted)}]}
    c.stop(0)
    assert c.ports == {}
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", wanted)):
        pass
    c.start()
    assert fetched(f"http://127.0.0.1:{wanted}/") == b"hello\n"


def test_it_answers_in_the_lab_too(lab: Any, busybox: Any) -> None:
    """DNAT on the lab's host: from its loopback, from other networks, from the container's own network."""
    lab.networks.create("net1")
    c = web(lab, network="net1")
    port = port_of(c)
    fetched(f"http://127.0.0.1:{port}/")
    for address in ("127.0.0.1", "172.18.0.1"):
        asked = on_host.run(lab, ["busybox", "wget", "-qO-", f"http://{address}:{port}/"])
        assert asked.stdout == b"hello\n", address
    for network, gateway in (("bridge", "172.17.0.1"), ("net1", "172.18.0.1")):
        other = lab.containers.run("busybox", ["wget", "-qO-", f"http://{gateway}:{port}/"], network=network)
        assert other.logs() == "hello\n"


def test_a_port_that_is_taken(lab: Any, busybox: Any) -> None:
    c = web(lab)
    port = port_of(c)
    with pytest.raises(Conflict, match=f"Bind for 127.0.0.1:{port} failed: port is already allocated to container web"):
        web(lab, "other", publish=[f"{port}:80"])
    assert lab.containers.get("other").status == "created"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = sock.getsockname()[1]
        with pytest.raises(Conflict, match=f"{taken} failed: port is already allocated to another program"):
            web(lab, "third", publish=[f"{taken}:80"])
        # A range has room for both.
        ranged = web(lab, "fourth", publish=[f"{taken}-{taken + 3}:80"])
        assert taken < port_of(ranged) <= taken + 3
    # Whoever was refused has let go of everything.
    assert lab.containers.get("third").endpoints == {}
    assert fetched(f"http://127.0.0.1:{port}/") == b"hello\n"


def test_addresses_of_the_machine(lab: Any, busybox: Any) -> None:
    port = free_port()
    with pytest.raises(InvalidArgument, match=r"192\.0\.2\.77 is not an address of this machine"):
        web(lab, publish=[f"192.0.2.77:{port}:80"])
    c = web(lab, "everywhere", publish=[f"0.0.0.0:{port}:80"])
    assert c.ports == {"80/tcp": [("0.0.0.0", port)]}
    assert fetched(f"http://127.0.0.2:{port}/") == b"hello\n"
    if os.geteuid() and int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 80:
        with pytest.raises(Conflict, match="ports below 1024 need root"):
            web(lab, "low", publish=["80:80"])


def test_everything_that_is_exposed(lab: Any, busybox: Any) -> None:
    c = web(lab, publish=[], publish_all=True, expose=["80", "8000-8001", "53/udp"])
    assert sorted(c.ports) == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    assert fetched(f"http://127.0.0.1:{port_of(c)}/") == b"hello\n"
    only = web(lab, "only", publish=[], expose=["81"])
    assert only.inspect()["NetworkSettings"]["Ports"] == {"81/tcp": None}


def test_networks_that_lead_nowhere_publish_nothing(lab: Any, busybox: Any) -> None:
    lab.networks.create("inner", internal=True)
    for network in ("none", "host", "inner"):
        assert web(lab, f"on-{network}", network=network).ports == {}


def test_large_and_both_ways_and_half_closed(lab: Any, busybox: Any) -> None:
    c = web(lab, script=ECHO, publish=["7"])
    data = hashlib.sha256(b"seed").digest() * (1 << 18)
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", port_of(c, "7/tcp")), timeout=120) as sock:
            sender = threading.Thread(target=lambda sock=sock: _send(sock, data))
            sender.start()
            got = hashlib.sha256()
            length = 0
            try:
                while piece := sock.recv(1 << 20):
                    got.update(piece)
                    length += len(piece)
            except ConnectionResetError:
                length = 0  # nothing listens in the container yet
            sender.join()
            if length:
                break
    assert length == len(data)
    assert got.digest() == hashlib.sha256(data).digest()


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


#: In a container of the machine's own Python: says "up", then sends back what it is sent, in datagrams or streams.
ECHOES = """
import asyncio

class Back(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        self.transport.sendto(data, source)

async def back(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Back, ("0.0.0.0", 53))
    await asyncio.start_server(back, "0.0.0.0", 7, backlog=1000)
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def echoes(lab: Any, **options: Any) -> Any:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("not installed: python3")
    c = lab.containers.create("host", ["/usr/bin/python3", "-c", ECHOES], **options)
    watcher = c.start(watch=True)
    assert watcher.get()[1] == b"up\n"
    return c


def test_datagrams(lab: Any) -> None:
    c = echoes(lab, publish=["53/udp"])
    for ip, port in c.ports["53/udp"]:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        clients = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(20)]
        for number, sock in enumerate(clients):
            sock.connect((ip, port))
            sock.send(b"datagram %d" % number)
        for number, sock in enumerate(clients):
            sock.settimeout(60)
            assert sock.recv(100) == b"datagram %d" % number
            sock.close()


def test_thousands_of_connections(lab: Any) -> None:
    c = echoes(lab, publish=["7"])
    port = port_of(c, "7/tcp")

    def one(number: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
            sock.sendall(b"%d" % number)
            return sock.recv(10) == b"%d" % number

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(3000)))
    idle = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(300)]
    for sock in idle:
        sock.sendall(b"all at once")
    assert {sock.recv(20) for sock in idle} == {b"all at once"}
    for sock in idle:
        sock.close()


def test_a_relay_that_was_killed_is_replaced(lab: Any, busybox: Any) -> None:
    c = web(lab)
    url = f"http://127.0.0.1:{port_of(c)}/"
    assert fetched(url) == b"hello\n"
    on_host.run(lab, ["sh", "-c", "kill -9 $(pgrep nbcontainer-pub)"])
    assert fetched(url) == b"hello\n"


def test_ports_follow_to_another_network(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    c = web(lab, network=["bridge", "net1"])
    url = f"http://127.0.0.1:{port_of(c)}/"
    assert fetched(url) == b"hello\n"
    c.disconnect("bridge")
    assert fetched(f"http://127.0.0.1:{port_of(c)}/") == b"hello\n"


def test_nothing_is_left_listening(lab: Any, busybox: Any) -> None:
    port = port_of(web(lab))
    lab.containers.get("web").remove(force=True)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of other tests have just ended there
        sock.bind(("127.0.0.1", port))


def test_a_port_of_a_dead_process_is_free(busybox: Any) -> None:
    """Nothing in the lab keeps the machine's socket when its owner has been killed."""
    import subprocess
    import sys

    code = (
        "from nbcontainer.runtime import Lab\n"
        "lab = Lab()\n"
        "c = lab.containers.run('busybox', ['sleep', '600'], detach=True, publish=['80'])\n"
        "print(c.ports['80/tcp'][0][1], flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        socket.create_connection(("127.0.0.1", port)).close()
        process.send_signal(signal.SIGKILL)
        process.wait()
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the port is still open")


def test_options_that_exclude_each_other(lab: Any, busybox: Any) -> None:
    web(lab)
    for options in ({"publish": ["80"]}, {"publish_all": True}, {"expose": ["80"]}):
        with pytest.raises(NbcontainerError, match="conflicting options: port"):
            lab.containers.create("busybox", ["true"], network="container:web", **options)
