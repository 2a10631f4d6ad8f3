"""Networks beside Docker: TCP from container to container, and through a published port.

    python benchmarks/networks.py

Both sides run the same two programs of the machine's Python, in turn, so only ratios count. Docker's published ports
are asked at its loopback, which is where docker-proxy answers. Needs root, as the daemon does.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Row, table
from nbcontainer.runtime import Lab
from tests.peers import Docker, missing

PYTHON = "/usr/bin/python3"
PORT = 7
MEGABYTES = 1024
#: Answers to one letter on one connection, and connections one after the other.
ROUNDS, CONNECTIONS = 3000, 500

#: The first byte of a connection says what it is for: bytes to count, or letters to send back.
SERVER = """
import socket, threading
server = socket.create_server(("0.0.0.0", 7), backlog=1000)
buffer = bytearray(1 << 20)
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kind = sock.recv(1)
    if kind == b"b":
        while sock.recv_into(buffer): pass
        sock.send(b"!")
    else:
        while data := sock.recv(64): sock.send(data)
    sock.close()
print("up", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

CLIENT = f"""
import json, socket, sys, time
address = (sys.argv[1], int(sys.argv[2]))
def connect(kind):
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(kind)
    return sock
block = bytes(1 << 20)
sock = connect(b"b")
started = time.perf_counter()
for _ in range({MEGABYTES}): sock.sendall(block)
sock.shutdown(socket.SHUT_WR); sock.recv(1)
through = {MEGABYTES} / (time.perf_counter() - started)
sock = connect(b"e")
started = time.perf_counter()
for _ in range({ROUNDS}): sock.send(b"x"); sock.recv(1)
latency = (time.perf_counter() - started) / {ROUNDS} * 1e6
started = time.perf_counter()
for _ in range({CONNECTIONS}):
    sock = connect(b"ex"); sock.recv(1); sock.close()
print(json.dumps([through, latency, (time.perf_counter() - started) / {CONNECTIONS} * 1e6]))
"""


@dataclass(frozen=True)
class Taken:
    """MB a second, microseconds for an answer, and for a connection with an answer."""

    throughput: list[float]
    answer: list[float]
    connection: list[float]


def ours(lab: Lab) -> tuple[Callable[[], str], Callable[[], str]]:
    """From one container to another; from the machine through a published port."""
    server = lab.containers.create("host", [PYTHON, "-c", SERVER], name="server", publish=[str(PORT)])
    watcher = server.start(watch=True)
    assert watcher is not None
    watcher.get()
    client = lab.containers.run("host", ["sleep", "1000000"], detach=True, name="client")
    assert server.endpoint is not None
    target = [server.endpoint.ip, str(PORT)]
    published = [sys.executable, "-c", CLIENT, "127.0.0.1", str(server.ports[f"{PORT}/tcp"][0][1])]

    def between() -> str:
        return client.exec([PYTHON, "-c", CLIENT, *target]).stdout.decode()

    return between, lambda: subprocess.run(published, check=True, capture_output=True, text=True).stdout


def theirs(docker: Docker) -> tuple[Callable[[], str], Callable[[], str]]:
    """The same of Docker's, in the namespaces of its daemon."""
    daemon = Path(f"/proc/{docker._daemon.pid}/task/{docker._daemon.pid}/children").read_text().split()[0]
    inside = ["nsenter", "--target", daemon, "--net"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    machine = [word for path in ("/usr", "/lib", "/lib64") for word in ("--volume", f"{path}:{path}:ro")]
    run = ["run", "--detach", "--rm", *machine]
    docker.docker(*run, "--name", "server", "--publish", f"127.0.0.1:4000:{PORT}", "busybox", PYTHON, "-c", SERVER)
    docker.docker(*run, "--name", "client", "busybox", "sleep", "1000000")
    address = docker.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server").strip()
    while "up" not in docker.docker("logs", "server"):
        time.sleep(0.05)
    enter = [*inside, sys.executable, "-c", CLIENT, "127.0.0.1", "4000"]
    return (
        lambda: docker.docker("exec", "client", PYTHON, "-c", CLIENT, address, str(PORT)),
        lambda: subprocess.run(enter, check=True, capture_output=True, text=True).stdout,
    )


def taken(count: int, *sides: Callable[[], str]) -> list[Taken]:
    """`count` measurements of each side, in turn."""
    found = [Taken([], [], []) for _ in sides]
    for number in range(count + 1):
        for side, samples in zip(sides, found, strict=True):
            through, answer, connection = json.loads(side())
            if number:  # the first is to warm up
                samples.throughput.append(through)
                samples.answer.append(answer)
                samples.connection.append(connection)
    return found


def row(what: str, unit: str, ours: list[float], theirs: list[float], peer: str, least: float | None) -> Row:
    """Medians side by side; `least` is the least ratio of a throughput, None for what is only shown."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    ratio = mine / other
    goal = f"≥ {least:g} of it" if least else "about the same"
    verdict = f"{ratio:.2f}" + ("" if least is None else " met" if ratio >= least else " MISSED")
    return Row(what, f"{mine:.4g} {unit}", f"{peer} {other:.4g} {unit}", goal, verdict)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Networks of nbcontainer beside Docker.")
    parser.add_argument("--count", type=int, default=7, help="samples of each side (default 7)")
    count = parser.parse_args().count
    why = missing("docker", "dockerd", "busybox")
    if why:
        sys.exit(f"Nothing to compare with: {why}")
    with ExitStack() as stack:
        lab, docker = stack.enter_context(Lab()), stack.enter_context(Docker())
        our_between, our_port = ours(lab)
        their_between, their_port = theirs(docker)
        mine, docker_ = taken(count, our_between, their_between)
        port, proxy = taken(count, our_port, their_port)
        docker.run("kill", "server", "client")
    rows = [
        row("container to container, TCP", "MB/s", mine.throughput, docker_.throughput, "docker", 0.95),
        row("an answer", "µs", mine.answer, docker_.answer, "docker", None),
        row("published port, TCP", "MB/s", port.throughput, proxy.throughput, "docker-proxy", 0.5),
        row("an answer", "µs", port.answer, proxy.answer, "docker-proxy", None),
        row("a connection and an answer", "µs", port.connection, proxy.connection, "docker-proxy", None),
    ]
    print(f"Linux {platform.release()}, Python {platform.python_version()}, {count} samples each\n")
    print(table(rows))


if __name__ == "__main__":
    main()
