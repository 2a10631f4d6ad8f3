"""What user-mode-linux leaves out, on Debian's kernel: processors, block io, pressure, all through v2."""

from __future__ import annotations

import sys

import pytest

from tests.virtual_host import host, qemu

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(qemu.missing()), reason=qemu.missing() or "it can be booted"),
]

LOOK = """
import os, subprocess, sys
from nbcontainer.cgroup.limits import Limits
from nbcontainer.errors import NbcontainerError
from nbcontainer.runtime import Lab

disk = open('/sys/block/vda/dev').read().strip()
with Lab() as lab:
    print('controllers', lab.cgroups.mode, *sorted(lab.cgroups.controllers))
    demo = lab.cgroup('demo', cpuset_cpus='1', cpu_max='10%', memory_high='24M', io_max='/dev/vda rbps=1M wiops=100')
    demo.set(io_weight=300)
    for file in ('cpuset.cpus', 'memory.high', 'io.weight'):
        print(file, demo.settings()[file])
    print('io.max', demo.settings()['io.max'].replace(disk, 'DISK'))
    shown = demo.exec(['grep', 'Cpus_allowed_list', '/proc/self/status']).stdout.decode().split()
    print('runs on', shown[1])
    demo.set(cpu_max='max')
    with demo:  # the machine's root may read its disk, the lab's may not
        dd = ['dd', 'if=/dev/vda', 'of=/dev/null', 'bs=64k', 'count=8', 'iflag=direct', 'status=none']
        subprocess.run(dd, check=True)
    used = demo.usage()
    print('read', used.io_read_bytes, used.io_reads)
    demo.set(cpu_max='10%')
    demo.exec(['timeout', '2', 'sh', '-c', 'while :; do :; done'])
    used = demo.usage()
    print('waited', used.cpu_pressure_usec > 0, used.throttled_periods > 0)
    group = lab.cgroups.create(f'{lab.scope}/limits', Limits(io_weight=500, cpuset_cpus='0'))
    print('as a container', group.settings()['io.weight'], group.settings()['cpuset.cpus'])
    demo.set(io_max='/dev/vda rbps=max wiops=max')
    print('io.max', repr(demo.settings()['io.max']))
    print('told', *sorted({event.kind for event in demo.events}))
"""


def test_what_only_a_whole_kernel_has() -> None:
    site = ":".join([str(host.ROOT), *(entry for entry in sys.path if entry.startswith("/"))])
    script = f"""
cat > /tmp/look <<'END'
{LOOK}
END
NBCONTAINER_HOME=/tmp/home PYTHONPATH={site} PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 /tmp/look 2>&1
"""
    done = qemu.run(script, timeout=500)
    said = done.output
    assert done.exit_code == 0, said
    assert "controllers v2 cpu cpuset io memory pids\n" in said, said
    assert f"cpuset.cpus 1\nmemory.high {24 << 20}\nio.weight 300\n" in said, said
    assert "io.max DISK rbps=1048576 wbps=max riops=max wiops=100\n" in said, said
    assert "runs on 1\n" in said, said
    assert f"read {8 << 16} 8\n" in said, said
    assert "waited True True\n" in said, said
    assert "as a container 4950 0\n" in said, said
    assert "io.max ''\n" in said, said
    assert "told throttled\n" in said, said
