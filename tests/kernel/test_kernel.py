"""The kernel "Containers (Python)", spoken to as a front end does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel

PATIENCE = 120


class Client:
    """One kernel, and what its cells print."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str) -> tuple[str, Any]:
        """What a cell prints to both streams, and shows as text; and the reply."""
        said: list[str] = []

        def hook(message: Any) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] in ("display_data", "execute_result"):
                said.append(content["data"]["text/plain"] + "\n")

        reply = self.client.execute_interactive(code, timeout=PATIENCE, output_hook=hook)
        return "".join(said), reply["content"]

    def interrupted(self, code: str, sign: str) -> Any:
        """The reply to a cell that is interrupted when it prints `sign`."""

        def hook(message: Any) -> None:
            if message["msg_type"] == "stream" and sign in message["content"]["text"]:
                self.manager.interrupt_kernel()

        return self.client.execute_interactive(code, timeout=PATIENCE, output_hook=hook)["content"]

    def ok(self, code: str) -> str:
        said, reply = self.run(code)
        assert reply["status"] == "ok", reply
        return said


@pytest.fixture(scope="module")
def kernel() -> Iterator[Client]:
    manager, client = start_new_kernel(kernel_name="nbcontainer", startup_timeout=PATIENCE)
    try:
        found = Client(manager, client)
        found.ok("%image bootstrap busybox")
        yield found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_it_is_installed_with_a_logo() -> None:
    spec: Any = KernelSpecManager().get_kernel_spec("nbcontainer")
    assert spec.display_name == "Containers (Python)"
    assert {"logo-32x32.png", "logo-64x64.png", "logo-svg.svg"} <= {
        path.name for path in Path(spec.resource_dir).iterdir()
    }


def test_dockers_lines(kernel: Client) -> None:
    assert kernel.ok("docker run --name busy1 busybox echo hi") == "hi\n"
    assert "busy1" in kernel.ok("docker ps -a")
    assert "busy1" in kernel.ok("docker ps -a | grep busy")
    assert kernel.ok("docker ps -aq | wc -l").strip() == "1"
    assert kernel.ok("docker rm -f $(docker ps -aq)").strip() != ""
    assert kernel.ok("docker ps -aq") == "\n" or "CONTAINER" not in kernel.ok("docker ps -aq")
    assert kernel.ok("echo = 'typed'\ndocker run --rm busybox echo {echo}") == "typed\n"


def test_input_goes_through_pipes(kernel: Client) -> None:
    line = "docker run --rm busybox printf 'b\\na\\n' | docker run --rm -i busybox sort | tr a-z A-Z"
    assert kernel.ok(line) == "A\nB\n"
    assert kernel.ok("docker run --rm busybox echo kept > /run/kept; ip -V > /dev/null") == ""
    assert kernel.ok("%%lab\ncat /run/kept") == "kept\n"


def test_words_mean_what_the_shell_means(kernel: Client) -> None:
    kernel.ok("a = {'b': 'typed'}")
    assert kernel.ok("docker run --rm busybox echo {a['b']} '{a}' | awk '{print}'") == "typed {a}\n"
    line = "docker run --rm busybox seq 1 2 | while read x; do docker run --rm --init busybox echo got $x; done"
    assert kernel.ok(f"x = 5\n{line}") == "got 1\ngot 2\n"
    assert kernel.ok("docker run --rm busybox yes | head -1  # and no more") == "y\n"
    assert "CONTAINER ID" in kernel.ok("docker ps  # which there are")
    assert kernel.ok("docker ps -aq --filter name=yes | cat") == ""


def test_an_interrupt_ends_the_whole_line(kernel: Client) -> None:
    before = kernel.ok("docker ps -aq | wc -l")
    reply = kernel.interrupted("docker run --rm --name long busybox sh -c 'echo begun; sleep 100000' | cat", "begun")
    assert reply["status"] == "error"
    assert kernel.ok("docker ps -aq | wc -l") == before
    reply = kernel.interrupted("%%lab\necho begun; sleep 100000; echo never", "begun")
    assert reply["status"] == "error"


def test_only_a_line_that_runs_is_listened_to(kernel: Client) -> None:
    assert kernel.ok("docker ps -aq | wc -l")
    said, reply = kernel.run("%%lab\n/run/nbcontainer/bin/docker ps")
    assert reply["status"] == "error"
    assert said == "docker: only what a line of a cell runs, while it does, is listened to\n"


def test_the_network_by_hand(kernel: Client) -> None:
    """The fifth section of the text this project starts from, as it is typed."""
    kernel.ok(
        "ip netns add r1\n"
        "ip netns add r2\n"
        "ip link add name veth1.1 type veth peer name veth1.2\n"
        "ip link set dev veth1.2 netns r1\n"
        "ip netns exec r1 ip link set dev veth1.2 name eth0\n"
        "ifconfig veth1.1 10.1.0.1/24 up\n"
        "ip netns exec r1 ifconfig eth0 10.1.0.2/24 up\n"
        "ip link set dev veth1.1 netns r2\n"
        "ip netns exec r2 ifconfig veth1.1 10.1.0.3/24 up"
    )
    assert re.search(r"\b1 (packets )?received, 0% packet loss", kernel.ok("ip netns exec r2 ping -c 1 10.1.0.2"))
    assert sorted(line.split()[0] for line in kernel.ok("ip netns list").splitlines()) == ["r1", "r2"]


def test_python_stays_python(kernel: Client) -> None:
    assert kernel.ok("ip = 3\nprint(ip)") == "3\n"
    assert kernel.ok("ip") == "3\n"
    assert kernel.ok("def ping(host):\n    return host\nping('x')") == "'x'\n"
    assert kernel.ok("del ip, ping") == ""


def test_a_line_that_fails_fails_its_cell_in_one_line(kernel: Client) -> None:
    _, reply = kernel.run("docker run --rm busybox false")
    assert reply["status"] == "error"
    assert len(reply["traceback"]) == 1
    assert reply["traceback"][0].startswith("Error: ")
    _, reply = kernel.run("ip netns add r1 | true; ip link show nosuch")
    assert reply["traceback"] == ["Error: ip netns add r1 | true; ip link show nosuch exited with 1"]
    _, reply = kernel.run("docker inspect nosuch | cat; docker rm nosuch")
    assert reply["traceback"][0].endswith("exited with 125")


def test_tab_and_shift_tab(kernel: Client) -> None:
    kernel.ok("docker create --name sleepy busybox true")

    def matches(code: str) -> list[str]:
        message = kernel.client.complete(code, reply=True, timeout=PATIENCE)
        found: list[str] = message["content"]["matches"]
        return found

    assert "run" in matches("docker ru")
    assert "sleepy" in matches("docker start sle")
    assert "--memory" in matches("docker run --mem")
    reply = kernel.client.inspect("docker run", reply=True, timeout=PATIENCE)["content"]
    assert reply["found"]
    assert "Create and run a new container from an image" in reply["data"]["text/plain"]
    assert "Usage:  docker run [OPTIONS] IMAGE" in reply["data"]["text/plain"]
