"""Ctrl-C reaches what runs in the foreground, and the prompt always comes back."""

from __future__ import annotations

from tests.magics.conftest import Kernel

LOOP = "while :; do sleep 1; done"


def test_the_container_gets_sigint(kernel: Kernel) -> None:
    cell = kernel.interrupted(f"%container run --name web busybox sh -c 'trap \"exit 7\" INT; echo ready; {LOOP}'")
    assert cell.error is not None
    assert cell.error["evalue"] == "web exited with 7"


def test_a_second_one_kills(kernel: Kernel) -> None:
    script = f'trap "echo no" INT; echo ready; {LOOP}'
    cell = kernel.interrupted(f"%container run --name web busybox sh -c '{script}'", times=2)
    assert cell.error is not None
    assert cell.error["evalue"] == "web exited with 137"


def test_following_logs_ends_and_the_container_goes_on(kernel: Kernel) -> None:
    kernel.ok(f"%container run -d --name web busybox sh -c 'echo ready; {LOOP}'")
    cell = kernel.interrupted("%container logs -f web")
    assert cell.error is None
    assert kernel.ok("%container inspect -f '{{.State.Status}}' web").stdout == "running\n"


def test_exec_gets_sigint(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    cell = kernel.interrupted(f"%container exec web sh -c 'trap \"exit 7\" INT; echo ready; {LOOP}'")
    assert cell.error is not None
    assert cell.error["evalue"].endswith("in web exited with 7")


def test_waiting_ends_and_the_container_goes_on(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    cell = kernel.interrupted("print('ready', flush=True)\n%container wait web")
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert kernel.ok("%container inspect -f '{{.State.Status}}' web").stdout == "running\n"


def test_a_script_on_the_host_gets_sigint(kernel: Kernel) -> None:
    cell = kernel.interrupted(f"%%lab\ntrap 'exit 7' INT\necho ready\n{LOOP}")
    assert cell.error is not None
    assert cell.error["evalue"] == "the script exited with 7"
