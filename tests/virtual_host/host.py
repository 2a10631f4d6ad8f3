"""A machine inside this one: Debian's user-mode-linux, booting this machine's own root with cgroup v2.

The root is seen read-only (hostfs); /tmp, /var/tmp and /run are its own. Its kernel is small unless modules are
loaded: without overlayfs, containers are made by the copying driver. It has one processor, and no packet filter for
IPv4.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BOOT = Path(__file__).with_name("boot.sh")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a command in the virtual host printed, and its exit code."""

    output: str
    exit_code: int


def kept() -> list[str]:
    """What of /tmp and /var/tmp a job needs: the checkout and the interpreter."""
    needed = (str(ROOT), sys.prefix, sys.base_prefix)
    return [path for path in needed if path.startswith(("/tmp/", "/var/tmp/"))]


def modules(*names: str) -> str:
    """The line of a job that loads modules of its kernel, which lie where its modprobe does not look."""
    place = "/run/uml/lib"
    return f"mkdir -p {place}; ln -sfn /usr/lib/uml/modules {place}/modules; modprobe -d /run/uml -a {' '.join(names)}"


def _first(pid: int) -> None:
    """Before others: time that they take from it, its kernel counts as its processes'. sched(7), autogroups."""
    os.setpriority(os.PRIO_PROCESS, pid, -15)
    try:
        Path(f"/proc/{pid}/autogroup").write_text("-15")
    except OSError:  # this kernel has none
        pass


def run(script: str, timeout: float = 240) -> Done:
    """Boot, run `script` as root with sh, power off. Raises `AssertionError` when the host did not come through."""
    # Not below /tmp, which the virtual host has one of its own of.
    with tempfile.NamedTemporaryFile("w", dir="/var/lib", prefix="nbcontainer-job-", suffix=".sh") as job:
        job.write(script)
        job.flush()
        booted = subprocess.Popen(
            [
                *("linux.uml", "mem=1536M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
                *(f"init={BOOT}", f"job={job.name}", f"keep={':'.join(kept())}", "con=null", "con0=null,fd:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _first(booted.pid)
        try:
            output, _ = booted.communicate(timeout=timeout)
        finally:
            try:
                os.killpg(booted.pid, signal.SIGKILL)  # its processes are processes here, and outlive it
            except ProcessLookupError:
                pass
    text = output.decode(errors="replace").replace("\r", "")
    found = re.search(r"^virtual host: exit (\d+)$", text, re.MULTILINE)
    assert found is not None, text
    return Done(text[: found.start()], int(found[1]))
