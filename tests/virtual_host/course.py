"""Lessons of the course as jobs for a virtual host: run there by nbval, and compared to the letter.

The checkout and the environment are seen at /mnt, so that an ordinary user sees them
wherever they are on this machine. The lessons are copied: they may write beside themselves.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

import pytest

from tests.virtual_host import host, qemu
from tests.virtual_host.host import ROOT

LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
#: Those that use the packet filter: the addresses of others, and a service's. user-mode-linux has none for IPv4.
FILTERED = ["04-container-networks", "07-many-containers"]
#: Whether all lessons are wanted, as by `make course-v2`, or those that have most to do with control groups.
WHOLE = bool(os.environ.get("NBCONTAINER_WHOLE_COURSE"))

MODULES = ("overlay", "bridge", "veth", "tun", "macvlan", "vxlan", "nf_tables", "nft_ct", "nft_masq", "nft_redir")
DISCIPLINES = ("sch_tbf", "sch_netem")

booted = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root, for root and for its users"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
]
slow = pytest.mark.skipif(
    not WHOLE or bool(qemu.missing()),
    reason=qemu.missing() if WHOLE else "takes many minutes: make course-v2",
)

#: A network that the host seems to be on, without which labs have no way out; nobody answers there.
NETWORK = """
modprobe --quiet tun; chmod 666 /dev/net/tun
ip link add machine0 type veth peer name wire0; ip link set wire0 up; ip link set machine0 up
ip address add 192.0.2.2/24 dev machine0; ip route add default via 192.0.2.1
"""

#: An ordinary user as Debian makes them, with subordinate ids, in a control group that was given to them.
USER = """
for kind in passwd group; do
    { cat /etc/$kind; echo nbuser:x:4242:4242::/tmp/home:/bin/sh; } > /run/$kind; mount --bind /run/$kind /etc/$kind
done
for kind in subuid subgid; do
    echo nbuser:1000000:65536 > /run/$kind; mount --bind /run/$kind /etc/$kind
done
given=/sys/fs/cgroup/given; mkdir -p $given/session
echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
chown 4242:4242 $given $given/session $given/cgroup.procs $given/cgroup.subtree_control $given/cgroup.threads
chown 4242:4242 $given/session/cgroup.*
chown -R 4242:4242 /tmp/course /tmp/home /var/tmp/home
echo 0 > $given/session/cgroup.procs
as="setpriv --reuid 4242 --regid 4242 --clear-groups env USER=nbuser NBCONTAINER_CGROUP=/given"
"""


def script(lessons: Sequence[str], ordinary: bool) -> str:
    """Run lessons one after the other, as root or as an ordinary user with a control group."""
    return f"""
mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/checkout /mnt/python
mkdir -p /tmp/course /tmp/home /var/tmp/home; chmod 755 /var/tmp/home
mount --bind {ROOT} /mnt/checkout; mount --bind {sys.prefix} /mnt/python
cp {" ".join(f"{ROOT}/notebooks/{lesson}.ipynb" for lesson in lessons)} /tmp/course
{NETWORK}as=
{USER if ordinary else ""}
export PATH=/mnt/python/bin:$PATH PYTHONPATH=/mnt/checkout:/mnt/checkout/kernel PYTHONDONTWRITEBYTECODE=1
export HOME=/tmp/home NBCONTAINER_HOME=/var/tmp/home; cd /tmp/course
$as python -m nbcontainer image bootstrap busybox
nbval="--nbval --nbval-current-env --nbval-kernel-startup-timeout 600"
$as python -m pytest -q -p no:cacheprovider --color=no --timeout 900 $nbval .
"""


def compare(usual: Sequence[str], ordinary: bool) -> None:
    """Run in user-mode-linux the `usual` lessons, or all that can run there; their outputs must be those saved."""
    lessons = [lesson for lesson in LESSONS if lesson not in FILTERED] if WHOLE else usual
    job = host.modules(*MODULES, *DISCIPLINES) + script(lessons, ordinary)
    _as_saved(host.run(job, timeout=3000 if WHOLE else 900))


def compare_filtered(ordinary: bool) -> None:
    """Run in QEMU the lessons that can run only there."""
    _as_saved(qemu.run(script(FILTERED, ordinary), timeout=3500))


def _as_saved(done: host.Done) -> None:
    assert done.exit_code == 0, done.output
    assert " skipped" not in done.output, done.output
