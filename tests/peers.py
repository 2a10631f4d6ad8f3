"""Docker, Podman and runc beside us: a daemon of our own that the machine does not notice, and bundles for runc.

All come from packages (tools/packages-test.txt), need root, and are shut in namespaces of their own, so that
the machine's interfaces, packet filters and mounts stay as they are. Only cgroups are the machine's: they are
made below one directory, which is removed at the end.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CGROUPS = Path("/sys/fs/cgroup")
#: The daemon and its client by path: another client may be first on PATH.
PROGRAMS = {"docker": "/usr/bin/docker", "dockerd": "/usr/sbin/dockerd", "runc": "/usr/sbin/runc"}
#: What runs a peer in namespaces of its own. However this process ends, it ends too, and all of its own with its pid
#: namespace.
APART = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
PACKAGES = {"docker": "docker.io", "dockerd": "docker.io", "runc": "runc", "busybox": "busybox-static"}
PACKAGES.update(mn="mininet", brctl="bridge-utils", podman="podman")
#: Seconds the daemon may take to answer, and to end.
PATIENCE = 60.0


def missing(*programs: str) -> str | None:
    """Why these peers cannot be used here, in one line; None when they can."""
    absent = sorted({PACKAGES[p] for p in programs if shutil.which(PROGRAMS.get(p, p)) is None})
    if absent:
        return f"not installed: {' '.join(absent)}"
    return "needs root" if os.geteuid() else None


def children(pid: int) -> list[int]:
    """The children of a process of one thread (proc(5), /proc/PID/task/TID/children)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def busybox_root(directory: Path) -> None:
    """Furnish `directory` with the machine's static busybox and a link for each of its applets."""
    program = shutil.which("busybox")
    assert program is not None
    (directory / "bin").mkdir(parents=True)
    shutil.copy(program, directory / "bin/busybox")
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    for applet in listed.stdout.split():
        if applet != "busybox":
            (directory / "bin" / applet).symlink_to("busybox")
    for name in ("dev", "etc", "proc", "root", "sys", "tmp"):
        (directory / name).mkdir()
    (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\n")


def packed_root(directory: Path) -> bytes:
    """Such a directory, made here, as a tar archive."""
    busybox_root(directory)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(directory, arcname=".")
    return packed.getvalue()


class Peer:
    """A program with a directory and cgroups of its own, gone with `close()`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="nbcontainer-peer-", dir="/var/tmp"))
        self.cgroup = f"nbcontainer-peer-{secrets.token_hex(4)}"

    def close(self) -> None:
        """Remove what it left on disk and in the cgroup hierarchies."""
        for top in (CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")):
            for path, _, _ in os.walk(top, topdown=False):
                os.rmdir(path)
        shutil.rmtree(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Docker(Peer):
    """A Docker daemon on a socket of its own, in net, mount, pid and ipc namespaces of its own.

    It has the image `busybox`, made from the machine's static busybox. Ends with `close()`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.host = f"unix://{self.directory}/docker.sock"
        self.log = self.directory / "dockerd.log"
        command = [
            *APART,
            # Shims are left to pid 1, and dockerd is none that reaps them.
            *("docker-init", "-s", "--", PROGRAMS["dockerd"], "--host", self.host),
            *("--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec"),
            *("--pidfile", f"{self.directory}/pid", "--config-file", f"{self.directory}/daemon.json"),
            *("--cgroup-parent", f"/{self.cgroup}", "--exec-opt", "native.cgroupdriver=cgroupfs"),
        ]
        (self.directory / "daemon.json").write_text("{}")
        with self.log.open("wb") as log:
            self._daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until_up()
            self.import_root("busybox:latest")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """A process in the daemon's network namespace."""
        return self._daemon.pid

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.run("version", check=False).returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def import_root(self, name: str) -> None:
        """Make the image `name` of a busybox root, with `sh` as its command, as the one on the hub."""
        self.docker("import", "--change", 'CMD ["sh"]', "-", name, input=packed_root(self.directory / "root"))

    def argv(self, *args: str) -> list[str]:
        """The command line of the client with these arguments."""
        return [PROGRAMS["docker"], "--host", self.host, *args]

    def run(self, *args: str, input: bytes | None = None, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """`docker ARGS`, its exit code, output and error output."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(self.argv(*args), check=check, capture_output=True, **given)

    def docker(self, *args: str, input: bytes | None = None) -> str:
        """What `docker ARGS` prints. Raises `AssertionError` with its error output when it fails."""
        done = self.run(*args, input=input, check=False)
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="replace")

    def close(self) -> None:
        """End the daemon; every process, mount and interface of it ends with its namespaces."""
        for pid in children(self._daemon.pid):
            os.kill(pid, signal.SIGTERM)
        try:
            self._daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
        super().close()


class Podman(Peer):
    """Podman with a store of its own, in net, mount, pid and ipc namespaces of its own that a shell keeps.

    It has the image `busybox`, made from the machine's static busybox. Ends with `close()`.
    """

    #: Networks keep their state below /run and /var/lib whatever Podman is told. The shell, which lasts until
    #: its input ends, reaps what is left to pid 1.
    KEEP = (
        "mount -t tmpfs run /run && mkdir /run/lock && mount -t tmpfs lib /var/lib && ip link set lo up && echo kept"
        " && { cat; true; }"
    )

    def __init__(self) -> None:
        super().__init__()
        self._keeper = subprocess.Popen(
            [*APART, "sh", "-c", self.KEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert self._keeper.stdout is not None
            if self._keeper.stdout.readline() != "kept\n":
                raise RuntimeError("podman's namespaces could not be made")
            image = packed_root(self.directory / "busybox")
            command = self.argv("import", "--change", 'CMD ["sh"]', "-", "busybox")
            subprocess.run(command, input=image, check=True, capture_output=True)
        except BaseException:
            self.close()
            raise

    def argv(self, *args: str) -> list[str]:
        """The command line of podman with these arguments."""
        (keeper,) = children(self._keeper.pid)
        if args[0] == "run":
            # It would ask for more open files than this process may have.
            args = ("run", "--ulimit=host", f"--cgroup-parent=/{self.cgroup}", *args[1:])
        return [
            *("nsenter", "--target", str(keeper), "--net", "--mount", "--ipc", "--pid"),
            *("podman", "--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run"),
            *("--tmpdir", f"{self.directory}/tmp", "--network-config-dir", f"{self.directory}/networks"),
            *("--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none"),
            *args,
        ]

    def podman(self, *args: str) -> str:
        """What `podman ARGS` prints. Raises `AssertionError` with its error output when it fails."""
        done = subprocess.run(self.argv(*args), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"podman {' '.join(args)}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End the shell; every process, mount and interface ends with its namespaces."""
        self._keeper.communicate()
        super().close()


class Runc(Peer):
    """runc with a state directory of its own, and a busybox root to make bundles from."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.directory / "root"
        busybox_root(self.root)

    def argv(self, *args: str) -> list[str]:
        """The command line of runc with these arguments."""
        return [PROGRAMS["runc"], "--root", f"{self.directory}/state", *args]

    def run(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """`runc ARGS`, its exit code, output and error output."""
        return subprocess.run(self.argv(*args), check=check, capture_output=True, stdin=subprocess.DEVNULL)

    def bundle(
        self,
        name: str,
        argv: list[str],
        *,
        resources: dict[str, Any] | None = None,
        capabilities: dict[str, Any] | None = None,
        seccomp: dict[str, Any] | None = None,
    ) -> Path:
        """A bundle as `runc spec` writes it, without a terminal, for `argv` on the busybox root.

        `resources` and `seccomp` are the runtime-spec's sections of linux, `capabilities` that of process.
        """
        bundle = self.directory / name
        bundle.mkdir()
        self.run("spec", "--bundle", str(bundle))
        config = json.loads((bundle / "config.json").read_text())
        config["process"].update(args=argv, terminal=False)
        config["process"]["capabilities"] = capabilities or config["process"]["capabilities"]
        config["root"] = {"path": str(self.root), "readonly": False}
        config["linux"]["cgroupsPath"] = f"/{self.cgroup}/{name}"
        config["linux"]["resources"].update(resources or {})
        if seccomp:
            config["linux"]["seccomp"] = seccomp
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle
