"""The same containers on a machine with cgroup v2, and with v1 beside it; as root, and as an ordinary user.

The user has a delegated group or not, is in it or not, alone or not.
"""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.virtual_host import host

TESTS = "tests/cgroup/test_group.py tests/cgroup/test_cgroups.py tests/cgroup/test_cgroup.py"
#: What a machine that is many times slower can leave out: it says nothing about v2.
SKIPPED = "large_group or plot or history or weights_come_back"

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root, for root and for its users"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
]


def script(run: str) -> str:
    return f"""
    cd {host.ROOT}
    export PYTHONDONTWRITEBYTECODE=1
    {run}
    """


def python(skipped: str = SKIPPED) -> str:
    return f"{sys.executable} -m pytest -q -p no:cacheprovider --timeout 100 -k 'not ({skipped})' {TESTS}"


def test_as_root_on_v2() -> None:
    done = host.run(script(python()), timeout=500)
    assert done.exit_code == 0, done.output
    assert " passed" in done.output
    assert "no control group here may be written" not in done.output


def test_an_ordinary_user_with_a_delegated_group_and_without() -> None:
    code = (
        "from nbcontainer.runtime import Lab; lab = Lab(); lab.images.bootstrap_busybox(); "
        "print('mode', lab.cgroups.mode); "
        "c = lab.containers.run('busybox', ['sleep', '60'], detach=True, network='none', memory='32m', pids_limit=9); "
        "print('limit', c.cgroup.usage().memory_limit, 'pids', c.cgroup.usage().pids); c.pause(); print(c.status); "
        "lab.close()"
    )
    user = "setpriv --reuid 4242 --regid 4242 --clear-groups env HOME=/tmp/u NBCONTAINER_HOME=/tmp/u/nbcontainer"
    site = ":".join(entry for entry in sys.path if entry.startswith("/"))
    run = f"""
    mkdir -p /tmp/u /sys/fs/cgroup/given/inner; chown -R 4242:4242 /tmp/u /sys/fs/cgroup/given
    echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
    export PYTHONPATH={site}
    echo without; {user} /usr/bin/python3 -c "{code}" 2>&1
    echo with; echo 0 > /sys/fs/cgroup/given/inner/cgroup.procs
    NBCONTAINER_CGROUP=/given {user} /usr/bin/python3 -c "{code}"
    """
    done = host.run(script(run))
    before, _, after = done.output.partition("with\n")
    assert "cannot limit memory, pids: limits need a control group you may write" in before, done.output
    assert "limit 33554432 pids 1" in after, done.output
    assert "mode v2" in after
    assert "paused" in after


def test_as_root_on_both() -> None:
    """Controllers in v2 beside v1 hierarchies, two of which are one mount."""
    run = f"""
    umount /sys/fs/cgroup; mount -t tmpfs tmpfs /sys/fs/cgroup; cd /sys/fs/cgroup
    mkdir memory,pids freezer unified
    mount -t cgroup -o memory,pids cgroup memory,pids; mount -t cgroup -o freezer cgroup freezer
    mount -t cgroup2 cgroup2 unified; cd {host.ROOT}
    {sys.executable} -c "from nbcontainer.cgroup.cgroups import Cgroups as C; c = C.detect(); \
        print('mode', c.mode, *sorted(c.controllers))"
    {python(f"{SKIPPED} or block or pool or memory or compete or refused or container")}
    """
    done = host.run(script(run), timeout=500)
    assert "mode hybrid cpu io memory pids" in done.output, done.output
    assert done.exit_code == 0, done.output
    assert "no control group here may be written" not in done.output


LOOK = """
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.limits import Limits
found = Cgroups.detect()
found = Cgroups.detect()  # a second lab, the doctor: nothing moves any more
print(found.mode, found.top, open('/proc/self/cgroup').read().strip())
print('why', found.why)
if found.mode != 'none':
    group = found.create('lab/one', Limits(pids=5))
    for fd in group.join_descriptors():
        __import__('os').write(fd, b'0')
    print('limit', group.usage().pids)
"""


def test_what_an_ordinary_user_was_given() -> None:
    user = (
        f"exec setpriv --reuid 4242 --regid 4242 --clear-groups env PYTHONPATH={host.ROOT} /usr/bin/python3 /tmp/look"
    )
    run = f"""
    echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
    cat > /tmp/look <<'END'
{LOOK}
END
    cd /sys/fs/cgroup; mkdir alone shared scope given; chown -R 4242:4242 alone shared scope given; cd /
    python3 -c "import os; os.setxattr('/sys/fs/cgroup/scope', 'user.delegate', b'1')"
    echo : alone; sh -c 'echo 0 > /sys/fs/cgroup/alone/cgroup.procs; {user}'
    echo : shared; sh -c 'echo 0 > /sys/fs/cgroup/shared/cgroup.procs; sleep 99 & {user}'
    echo : scope; sh -c 'echo 0 > /sys/fs/cgroup/scope/cgroup.procs; sleep 99 & {user}'
    echo : outside; sh -c 'export NBCONTAINER_CGROUP=/given; {user}'
    echo : missing; sh -c 'export NBCONTAINER_CGROUP=/missing; {user}'
    """
    done = host.run(script(run))
    said = {part.split("\n")[0]: part for part in done.output.split("\n: ")}
    # systemd's Delegate= means all who are there, a server and its kernels; else only ourselves may be moved.
    for name in ("alone", "scope"):
        assert f"v2 /sys/fs/cgroup/{name}/nbcontainer 0::/{name}/supervisor\n" in said[name], done.output
        assert "limit 1" in said[name], done.output
    assert "none None 0::/shared\n" in said["shared"], done.output
    assert "holds other processes besides this one and was not delegated" in said["shared"], done.output
    assert "no process can move from the control group of this notebook to /sys/fs/cgroup/given" in said["outside"]
    assert "start the notebook in /sys/fs/cgroup/given" in said["outside"], done.output
    assert "the control group /sys/fs/cgroup/missing is not there or may not be written" in said["missing"]
