"""A kernel provisioner: any kernelspec runs inside a container by naming it in its `kernel.json`.

    "metadata": {"kernel_provisioner": {"provisioner_name": "nbcontainer", "config": {"memory": "512m"}}}

https://jupyter-client.readthedocs.io/en/latest/provisioning.html. Kernel and client speak over sockets in a directory
that only the two of them see (transport `ipc`), so a kernel needs no network, and has none unless it is given one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Dict, Enum, Float, Integer, List, Unicode

from nbcontainer.container.container import Container
from nbcontainer.errors import Conflict, NbcontainerError
from nbcontainer.lab import directory
from nbcontainer.runtime import Lab
from nbcontainer_kernel.sandbox import Sandbox

#: Lines of a kernel's own output that the log gets when it has died.
LAST_WORDS = 20
#: How the directories begin in which kernels and clients meet.
MEETING = "nbcontainer-kernel"


class ContainerProvisioner(KernelProvisionerBase):
    """Launches a kernel in a container, in a lab of its own: both end with the process that launched it."""

    image = Unicode("host", help="What it runs from: `host` is this machine's own programs, read-only")
    memory = Unicode("", help="Memory limit, such as 512m")
    cpus = Float(0.0, help="How many processors' time it may use")
    pids_limit = Integer(0, help="How many processes it may have")
    network = Unicode("none", help="none, bridge, or a network's name")
    user = Unicode("", help="Who it runs as inside")
    folder = Enum(["rw", "ro", "none"], "rw", help="How it sees the notebook's folder")
    mounts = List(Unicode(), help="More of this machine's directories, as -v takes them")
    env = Dict(help="Variables of its environment; of the caller's it has none but the language's")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._lab: Lab | None = None
        self._container: Container | None = None
        self._meeting: directory.Claim | None = None

    @property
    def has_process(self) -> bool:
        """Whether it has been launched and not yet been seen to its end."""
        return self._container is not None

    @property
    def _sockets(self) -> Path:
        """What the kernel sees of the meeting place: not the lock."""
        assert self._meeting is not None
        return self._meeting.path / "sockets"

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose where kernel and client meet, and write that down in the connection file."""
        manager: Any = self.parent
        if self._meeting is None:
            # A socket's name has room for 107 bytes (unix(7)): not below a directory of the user's.
            place = Path(tempfile.gettempdir())
            for left in directory.dead(place, MEETING):  # by processes that were killed
                left.release(remove=True)
            self._meeting = directory.claim_new(place, 0o700, MEETING)
            self._sockets.mkdir(0o700)
        extra = kwargs.pop("extra_arguments", [])
        manager.cache_ports = False
        manager.transport = "ipc"
        manager.ip = str(self._sockets / "kernel")
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        return await super().pre_launch(cmd=manager.format_kernel_cmd(extra_arguments=extra), **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start its container. Raises our own errors, each in one line."""
        folder = Path(kwargs.get("cwd") or os.getcwd()).absolute()
        try:
            self._container = await asyncio.to_thread(self._start, cmd, folder, kwargs.get("env") or {})
        except BaseException:
            self._clean_up(restart=False)
            raise
        return self.connection_info

    def _start(self, cmd: list[str], folder: Path, env: dict[str, str]) -> Container:
        manager: Any = self.parent
        sandbox = Sandbox(
            image=self.image,
            folder=self.folder,
            mounts=self.mounts,
            env={**self.kernel_spec.env, **self.env},
            limits={
                "memory": self.memory,
                "cpus": self.cpus,
                "pids_limit": self.pids_limit,
                "user": self.user,
                "network": self.network,
            },
        )
        options = sandbox.options(
            cmd, folder=folder, connection_file=Path(manager.connection_file), sockets=self._sockets, env=env
        )
        if self._lab is None:
            self._lab = Lab()
        return self._lab.containers.run(self.image, cmd, detach=True, **options)

    async def poll(self) -> int | None:
        """None while it runs, else its exit code."""
        container = self._container
        if container is None:
            return 0
        if container.state.running:
            return None
        return container.exit_code

    async def wait(self) -> int | None:
        """Its exit code, once it has ended."""
        container = self._container
        if container is None:
            return 0
        code = await asyncio.to_thread(container.wait)
        if code not in (0, 128 + signal.SIGTERM, 128 + signal.SIGKILL):
            self.log.warning("the kernel ended with %s:\n%s", code, container.logs(tail=LAST_WORDS))
        if container.state.oom_killed:
            self.log.warning("the kernel was killed: it needed more memory than its limit, %s", self.memory)
        self._container = None
        return code

    async def send_signal(self, signum: int) -> None:
        """SIGINT is an interrupt: the container's pid 1 hands it to the kernel."""
        if self._container is not None:
            try:
                await asyncio.to_thread(self._container.kill, int(signum))
            except Conflict:
                pass  # it has ended by itself

    async def kill(self, restart: bool = False) -> None:
        """SIGKILL."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """SIGTERM."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the container and, unless another is to follow, the lab and the sockets."""
        try:
            await asyncio.to_thread(self._clean_up, restart)
        except RuntimeError:  # this process is about to end, and has no more threads to give
            self._clean_up(restart)

    def _clean_up(self, restart: bool) -> None:
        for container in self._lab.containers.list(all=True) if self._lab is not None else ():
            try:
                container.remove(force=True, volumes=True)
            except NbcontainerError:
                pass  # the lab is gone, and everything in it
        self._container = None
        if restart:
            return
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.close()
        if self._meeting is not None:
            self._meeting.release(remove=True)
            self._meeting = None
