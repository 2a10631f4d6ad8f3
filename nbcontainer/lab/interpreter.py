"""The Python that init runs on: this process's own, made unwritable and reachable for the lab's ids."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.lab.directory import reachable
from nbcontainer.lab.idmap import choose
from nbcontainer.syscalls import mounts

#: The directory that `import nbcontainer` finds this package in.
PACKAGE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Interpreter:
    """`executable` is what is run, `path` the `sys.path` that code inside the lab is found on."""

    executable: str
    path: tuple[str, ...]

    @classmethod
    def current(cls) -> Interpreter:
        """This process's interpreter and the directories its modules come from."""
        entries = [entry for entry in sys.path if entry and os.path.isabs(entry) and os.path.exists(entry)]
        return cls(sys.executable, tuple(dict.fromkeys([*entries, PACKAGE])))

    def start(self, code: str, fds: list[int]) -> subprocess.Popen[bytes]:
        """Run `code` isolated from the user's environment and site, keeping only the descriptors `fds`."""
        sealed = _sealed_copy(self.executable)
        try:
            return subprocess.Popen(
                [self.executable, "-I", "-S", "-c", f"import sys; sys.path.append({PACKAGE!r}); {code}"],
                executable=f"/proc/self/fd/{sealed}" if sealed is not None else None,
                pass_fds=fds if sealed is None else [*fds, sealed],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                # A session of its own: an interrupt sent to the kernel's process group must not reach init.
                start_new_session=True,
            )
        finally:
            if sealed is not None:
                os.close(sealed)

    def attachments(self, below: str) -> tuple[list[int], dict[str, str]]:
        """Descriptors of the directories the lab's ids could not reach by path, and where each appears inside.

        Only a lab made by root runs as ids without access to, say, /root: those directories are handed over as
        detached mounts, which appear as `below`/0, `below`/1, ….
        """
        if os.geteuid() != 0:
            return [], {}
        fds: list[int] = []
        moved: dict[str, str] = {}
        for entry in self.path:
            if Path(entry).is_dir() and not reachable(Path(os.path.realpath(entry))):
                moved[entry] = f"{below}/{len(fds)}"
                fds.append(mounts.open_tree(os.path.realpath(entry)))
        return fds, moved


def _sealed_copy(executable: str) -> int | None:
    """A sealed memfd of the interpreter when its file could be written by us, else None.

    A process inside a container can reach the program it was started from through /proc/PID/exe
    (CVE-2019-5736): the user's own interpreter must not be writable that way. memfd_create(2), fcntl(2).
    """
    real = os.path.realpath(executable)
    # A lab of root's has ids that own nothing, but where root is root of a namespace with few: there it may have ours.
    if not os.access(real, os.W_OK) or (os.geteuid() == 0 and not choose().single):
        return None
    fd = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(real, "rb") as file:
        while os.sendfile(fd, file.fileno(), None, 1 << 24):
            pass
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd


def complaint(stderr: bytes) -> str:
    """The last line of what a Python program complained of, an `OSError` in words; empty when there is none."""
    said = stderr.decode(errors="replace").strip().splitlines()
    told = re.fullmatch(r"\w+: \[Errno \d+\] (.*): '(\w+)'", said[-1]) if said else None
    return f"{told[2]}: {told[1]}" if told else said[-1] if said else ""
