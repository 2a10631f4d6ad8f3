"""An ordinary user's own systemd, as Debian has it, gives a notebook a control group when it asks over D-Bus.

In the virtual host a real `systemd --user` runs, in a group that was given to it as the system's manager would have.
A session outside that group, which the system's manager would have to move, is not tried here.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.virtual_host import host

SYSTEMD = "/usr/lib/systemd/systemd"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root, for root and for its users"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
    pytest.mark.skipif(
        not (Path(SYSTEMD).exists() and Path("/usr/lib/systemd/user/dbus.socket").exists()),
        reason="not installed: systemd, dbus-user-session",
    ),
]

LOOK = """
import os
from nbcontainer.cgroup import systemd
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.runtime import Lab
print('before', open('/proc/self/cgroup').read().strip())
found = Cgroups.detect()
print('found', found.mode, *sorted(found.controllers))
print('after', open('/proc/self/cgroup').read().strip().replace(str(os.getpid()), 'PID'))
with Lab() as lab:
    demo = lab.cgroup('demo', memory_max='32M', pids_max=9, cpu_weight=200)
    print('limits', *(demo.settings()[file] for file in ('memory.max', 'pids.max', 'cpu.weight')))
    print('inside', demo.exec(['grep', '-c', '/demo$', '/proc/self/cgroup']).stdout.decode().strip())
"""

SCRIPT = """
for kind in passwd group; do
    { cat /etc/$kind; echo nbuser:x:4242:4242::/tmp/u:/bin/sh; } > /run/$kind; mount --bind /run/$kind /etc/$kind
done
run=/run/user/4242; slice=/sys/fs/cgroup/user.slice/user-4242.slice; service=$slice/user@4242.service
mkdir -p /run/systemd/system $run /tmp/u $service
for group in /sys/fs/cgroup /sys/fs/cgroup/user.slice $slice; do
    echo '+cpu +memory +pids' > $group/cgroup.subtree_control
done
mkdir -p $service/init.scope $service/app.slice/terminal
chown -R 4242:4242 $run /tmp/u $service/init.scope $service/app.slice
chown 4242:4242 $service $service/cgroup.procs $service/cgroup.subtree_control $service/cgroup.threads
as="setpriv --reuid 4242 --regid 4242 --clear-groups env HOME=/tmp/u USER=nbuser XDG_RUNTIME_DIR=$run
    NBCONTAINER_HOME=/tmp/u/nbcontainer PYTHONPATH=SITE"
(echo 0 > $service/init.scope/cgroup.procs; exec $as SYSTEMD --user > /tmp/u/log 2>&1) &
until [ -S $run/bus ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.1; done
cat > /tmp/look <<'END'
LOOK
END
# Not alone in its group: nobody may divide it.
(echo 0 > $service/app.slice/terminal/cgroup.procs; sleep 999 & exec $as /usr/bin/python3 /tmp/look) 2>&1
echo log; tail -n 20 /tmp/u/log
"""


def test_the_users_systemd_delegates_a_scope() -> None:
    site = ":".join([str(host.ROOT), *(entry for entry in sys.path if entry.startswith("/"))])
    done = host.run(SCRIPT.replace("SITE", site).replace("SYSTEMD", SYSTEMD).replace("LOOK", LOOK))
    said = done.output
    assert "before 0::/user.slice/user-4242.slice/user@4242.service/app.slice/terminal\n" in said, said
    assert "found v2 cpu memory pids\n" in said, said
    assert (
        "after 0::/user.slice/user-4242.slice/user@4242.service/app.slice/nbcontainer-PID.scope/supervisor\n" in said
    ), said
    assert f"limits {32 << 20} 9 200\n" in said, said
    assert "inside 1\n" in said, said
