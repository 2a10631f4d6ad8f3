"""The same containers on a machine with cgroup v2: as root, as an ordinary user with a delegated group and without."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.virtual_host import host

TESTS = "tests/cgroup"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root, for root and for its users"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
]


def script(run: str) -> str:
    return f"""
    cd {host.ROOT}
    export PYTHONDONTWRITEBYTECODE=1
    {run}
    """


def python() -> str:
    return f"{sys.executable} -m pytest -q -p no:cacheprovider --timeout 100 {TESTS}"


def test_as_root_on_v2() -> None:
    done = host.run(script(python()))
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
