"""Lessons of the course as jobs for a virtual host: run there by nbval, and compared to the letter.

The checkout and the environment are seen at /mnt, so that an ordinary user sees them
wherever they are on this machine. The lessons are copied: they may write beside themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.virtual_host.host import ROOT

LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))

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
as=
{USER if ordinary else ""}
export PATH=/mnt/python/bin:$PATH PYTHONPATH=/mnt/checkout:/mnt/checkout/kernel PYTHONDONTWRITEBYTECODE=1
export HOME=/tmp/home NBCONTAINER_HOME=/var/tmp/home; cd /tmp/course
$as python -m nbcontainer image bootstrap busybox
$as python -m pytest -q -p no:cacheprovider --color=no --durations 0 --timeout 900 --nbval --nbval-current-env .
"""
