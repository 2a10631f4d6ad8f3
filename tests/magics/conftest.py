"""A real kernel to type into."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager


@dataclass
class Cell:
    """What a cell put out."""

    stdout: str = ""
    stderr: str = ""
    error: dict[str, Any] | None = None
    result: dict[str, str] | None = None
    displays: list[dict[str, str]] = field(default_factory=list)


class Kernel:
    """A running kernel that has loaded the extension."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str) -> Cell:
        """Run a cell to its end, whether it fails or not."""
        cell = Cell()

        def hook(message: dict[str, Any]) -> None:
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                setattr(cell, content["name"], getattr(cell, content["name"]) + content["text"])
            elif kind == "error":
                cell.error = content
            elif kind == "execute_result":
                cell.result = content["data"]
            elif kind == "display_data":
                cell.displays.append(content["data"])

        self.client.execute_interactive(code, output_hook=hook, timeout=60, store_history=True)
        return cell

    def interrupted(self, code: str, times: int = 1) -> Cell:
        """Run a cell, and press Ctrl-C each time it has printed a line, `times` times."""
        cell = Cell()
        pressed = 0

        def hook(message: dict[str, Any]) -> None:
            nonlocal pressed
            content = message["content"]
            if message["msg_type"] == "stream":
                cell.stdout += content["text"]
                if pressed < min(times, cell.stdout.count("\n")):
                    pressed += 1
                    self.manager.interrupt_kernel()
            elif message["msg_type"] == "error":
                cell.error = content

        self.client.execute_interactive(code, output_hook=hook, timeout=60)
        return cell

    def ok(self, code: str) -> Cell:
        """Run a cell that must not fail."""
        cell = self.run(code)
        assert cell.error is None, cell.error
        return cell

    def complete(self, code: str) -> list[str]:
        """What Tab offers at the end of `code`."""
        reply = self.client.complete(code, len(code), reply=True, timeout=60)
        return list(reply["content"]["matches"])


@pytest.fixture(scope="session")
def store() -> None:
    """The store of this run's home has busybox."""
    if shutil.which("busybox") is None:
        pytest.skip("not installed: busybox-static")
    subprocess.run([sys.executable, "-m", "nbcontainer", "image", "bootstrap", "busybox"], check=True)


@pytest.fixture(scope="module")
def shared_kernel(store: None) -> Iterator[Kernel]:
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    kernel = Kernel(manager, client)
    kernel.ok("%load_ext nbcontainer")
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Kernel:
    """The kernel with a fresh lab."""
    shared_kernel.ok("%lab reset\nNone")
    return shared_kernel
