"""`-it` where nobody looks, and on a tty of our own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest

from tests.magics.conftest import Kernel


def test_where_nobody_can_type_the_input_is_at_its_end(kernel: Kernel) -> None:
    cell = kernel.ok("%container run -it --name web busybox sh -c 'cat; tty; stty size; echo end'")
    assert cell.displays[0]["text/plain"] == "/dev/pts/0\n24 80\nend"
    assert cell.displays[0]["text/html"].count("<pre") == 1
    assert "application/vnd.jupyter.widget-view+json" not in cell.displays[0]
    kernel.ok("%container run -d --name up busybox sleep 1000")
    assert kernel.ok("%container exec -it up sh -c 'cat; tty'").displays[0]["text/plain"] == "/dev/pts/0"
    assert kernel.ok("%lab shell hostname").displays[0]["text/plain"] == "lab"


def test_an_exit_code_fails_the_cell(kernel: Kernel) -> None:
    for typed, said in [
        ("container run -it --rm --name web busybox sh -c 'exit 3'", "web exited with 3"),
        ("lab shell false", "false exited with 1"),
    ]:
        cell = kernel.run(f"%{typed}")
        assert cell.error is not None
        assert cell.error["evalue"] == said
    assert kernel.ok("%container ps -aq").stdout == ""


@pytest.mark.usefixtures("store")
def test_on_a_tty_it_is_this_one(tmp_path: Path) -> None:
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb"}
    arguments = ["-m", "IPython", "--simple-prompt", "--ext=nbcontainer", "--no-banner"]
    child = pexpect.spawn(
        sys.executable, arguments, env=environment, encoding="utf-8", timeout=120, dimensions=(30, 90)
    )
    child.expect("In ?\\[1\\]: ")
    child.sendline("%container run -it --name web busybox sh")
    child.expect("/ # ")
    child.sendline("stty size")
    child.expect("30 90\r\n")
    child.setwinsize(20, 70)
    child.sendline("sleep 0.2; stty size; echo $((6*7))")
    child.expect("20 70\r\n42\r\n")
    # Ctrl-C is the program's; Ctrl-P Ctrl-Q leaves it running.
    child.sendline("echo ready; sleep 1000")
    child.expect("\nready\r\n")
    child.send("\x03")
    child.expect("/ # ")
    child.send("\x10\x11")
    child.expect("In ?\\[2\\]: ")
    child.sendline("%container attach web")
    child.expect("/ # ")
    child.sendline("exit 4")
    child.expect("In ?\\[3\\]: ")
    child.sendline("%container inspect -f '{{.State.ExitCode}}' web")
    child.expect("\n4\r\n")
    child.sendline("exit")
    child.expect(pexpect.EOF)
