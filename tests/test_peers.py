"""The peers work, and leave the machine as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.peers import Docker, Podman, Runc


def machine() -> list[str]:
    """What a daemon of the machine's own would change."""
    links = subprocess.run(["ip", "-oneline", "address"], check=True, capture_output=True, text=True).stdout
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    files = ("/proc/self/mounts", "/proc/sys/net/ipv4/ip_forward")
    return [links, rules, *(Path(file).read_text() for file in files)]


def test_docker_runs_a_container(dockerd: Docker) -> None:
    before = machine()
    dockerd.docker("run", "--rm", "busybox", "true")
    assert dockerd.docker("run", "--rm", "--memory=64m", "busybox", "hostname", "-i") == "172.17.0.2\n"
    assert dockerd.docker("run", "--rm", "-i", "busybox", "cat", input=b"in and out") == "in and out"
    assert machine() == before
    assert not Path("/sys/class/net/docker0").exists()


def test_podman_runs_a_container(podman: Podman) -> None:
    before = machine()
    podman.podman("run", "--detach", "--name=idle", "busybox", "sleep", "1000")
    addresses = podman.podman("run", "--rm", "--memory=64m", "busybox", "ip", "-4", "-o", "address", "show", "eth0")
    assert "inet 10.88.0.3/16" in addresses
    assert podman.podman("exec", "idle", "echo", "inside") == "inside\n"
    assert machine() == before


def test_runc_runs_a_bundle(runc: Runc) -> None:
    bundle = runc.bundle("hello", ["echo", "hello"], resources={"pids": {"limit": 100}})
    assert runc.run("run", "--bundle", str(bundle), "hello").stdout == b"hello\n"
