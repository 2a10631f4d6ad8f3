"""Topologies up and down, beside Mininet with Linux bridges; a thousand hosts on one bridge; a ping of all."""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from benchmarks.measure import Peer, Row, limit, seconds_of, versus
from nbcontainer.runtime import Lab
from nbcontainer.topology.graph import Topology
from tests.peers import missing

#: Seconds of quiet: both leave namespaces and links that the kernel takes apart by itself, after `down` has returned.
QUIET = 2.0
RUNS = 5
#: Runs in Mininet's own Python, in namespaces where nothing of the machine can be touched: a line is answered when
#: the network has come up and gone down.
SCRIPT = """
import sys
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topolib import TreeTopo
setLogLevel("critical")
for line in sys.stdin:
    net = Mininet(topo=TreeTopo(3, 4), switch=LinuxBridge, controller=None, waitConnected=False)
    net.start()
    net.stop()
    print("done", flush=True)
"""


class MininetTree:
    """A process that makes tree(3, 4) by Mininet each time it is asked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "/usr/bin/python3", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self) -> None:
        """Up and down, once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError("Mininet has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def topologies(lab: Lab) -> list[Row]:
    """The rows of the table."""
    tree = Topology.tree(3, 4)

    def ours() -> None:
        with tree.up(lab):
            pass

    what = "tree(3, 4), 64 hosts, up and down"
    absent = missing("mn", "brctl")
    if absent:
        rows = [versus(what, ours, Peer("mininet", absent), 20, count=RUNS)]
    else:
        with MininetTree() as mininet:
            rows = [versus(what, ours, Peer("mininet", mininet), 20, count=RUNS, quiet=QUIET)]
    time.sleep(QUIET)
    with tree.up(lab) as net:
        pings = seconds_of(net.pingall)
    time.sleep(QUIET)
    many = Topology.star(1000)
    started = time.perf_counter()
    net = many.up(lab)
    up = time.perf_counter() - started
    down = seconds_of(net.down)
    return [
        *rows,
        limit("every host of it pings every other, 4032 pings", pings, "s", 5),
        limit("1000 hosts on one bridge up", up, "s", 6, f" (down {down:.2g} s)"),
    ]


if __name__ == "__main__":
    from benchmarks.measure import table

    with Lab() as alone:
        print(table(topologies(alone)), file=sys.stdout)
