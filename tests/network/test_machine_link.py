"""`%lab uplink`, on a machine of its own: a network namespace that plays the machine, with a neighbour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import Unavailable

#: Runs as root in a new network namespace. $1 is Python, $2 the script.
MACHINE = """
set -e
ip link set lo up
unshare --net sleep 600 & neighbour=$!
trap 'kill $neighbour' EXIT
until [ "$(readlink /proc/$neighbour/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add out0 type veth peer name in0 netns $neighbour
ip addr add 198.51.100.1/24 dev out0
ip link set out0 up
nsenter --target $neighbour --net sh -c 'ip addr add 198.51.100.2/24 dev in0 && ip link set in0 up'
ip route add default via 198.51.100.2
"$1" -c "$2"
"""

SCRIPT = """
import subprocess, sys
from pathlib import Path
from nbcontainer.runtime import Lab

def machine():
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.splitlines()
    names = sorted(line.split()[1].strip(":").partition("@")[0] for line in links)
    rules = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout.split()
    return [name[:3] for name in names], len(rules), Path("/proc/sys/net/ipv4/conf/out0/forwarding").read_text().strip()

print(machine())
with Lab() as lab:
    link = lab.networks.link_to_machine()
    print(machine(), lab.networks.link_to_machine() is link)
    c = lab.containers.run("busybox", ["ping", "-c", "1", "-w", "20", "198.51.100.2"], check=False)
    print(c.exit_code)
print(machine())
code = "from nbcontainer.runtime import Lab; lab = Lab(); lab.networks.link_to_machine(); print(1, flush=True); input()"
killed = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
killed.stdout.readline()
print(machine())
killed.kill()
killed.wait()
import time
deadline = time.monotonic() + 60
while machine() != (["lo", "out"], 0, "0") and time.monotonic() < deadline:
    time.sleep(0.05)
print(machine())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_leads_out_and_goes_with_the_lab(busybox: Any) -> None:
    command = ["unshare", "--net", "sh", "-c", MACHINE, "sh", sys.executable, SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=200
    )
    before, linked = "(['lo', 'out'], 0, '0')", "(['lo', 'nbc', 'out'], 3, '1')"
    assert done.stdout.splitlines() == [before, f"{linked} True", "0", before, linked, before], done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_root_it_is_refused_in_one_line(lab: Any) -> None:
    with pytest.raises(Unavailable, match="%lab uplink makes a link on the machine, which takes root"):
        lab.networks.link_to_machine()
