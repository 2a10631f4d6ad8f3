"""What is left of a lab whose notebook was killed, and for how long: looked at from outside."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from nbcontainer import Lab
from nbcontainer.view.tables import Column, Table

#: Seconds that killed processes may take to be gone.
PATIENCE = 60
NOTEBOOK = """
import time
from nbcontainer import Lab
lab = Lab()
web = lab.containers.run("busybox", ["sleep", "1000"], detach=True)
print(lab.pid, web.entry.outside_pid(), lab.directory, flush=True)
time.sleep(1000)
"""
COLUMNS = (
    Column("What", "WHAT"),
    Column("While", "WHILE IT RUNS"),
    Column("Killed", "AFTER KILL -9"),
    Column("Next", "ONCE THE NEXT LAB RUNS"),
)


def left() -> Table:
    """A table: the processes and the directory of a lab before, after, and once another lab has looked."""
    with subprocess.Popen([sys.executable, "-c", NOTEBOOK], stdout=subprocess.PIPE, text=True) as notebook:
        assert notebook.stdout is not None
        init, program, directory = notebook.stdout.readline().split()
        pids = {
            "the notebook's process": notebook.pid,
            "its lab's init": int(init),
            "the program of a container": int(program),
        }
        processes = {what: os.pidfd_open(pid) for what, pid in pids.items()}
        before = _look(processes, Path(directory), 0)
        notebook.kill()
        killed = _look(processes, Path(directory), PATIENCE)
    with Lab():
        after = _look(processes, Path(directory), 0)
    for pidfd in processes.values():
        os.close(pidfd)
    rows = [{"What": what, "While": before[what], "Killed": killed[what], "Next": after[what]} for what in before]
    return Table("What a killed notebook leaves", COLUMNS, tuple(rows))


def _look(processes: dict[str, int], directory: Path, patience: float) -> dict[str, str]:
    """A pidfd can be read once its process has ended (pidfd_open(2))."""
    found = {}
    for what, pidfd in processes.items():
        ended, _, _ = select.select([pidfd], [], [], patience)
        found[what] = "gone" if ended else "running"
    found["the lab's directory"] = "there" if directory.exists() else "gone"
    return found
