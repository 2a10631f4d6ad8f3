"""The course prints the same letters on a machine with cgroup v2, as root and as an ordinary user.

Every time the lessons that have most to do with control groups; all of them with `make course-v2`. Two need a packet
filter for IPv4, which user-mode-linux has not: they take the host with a whole kernel, which is slow.
"""

from __future__ import annotations

import os
import shutil

import pytest

from tests.virtual_host import host, qemu
from tests.virtual_host.course import LESSONS, script

WHOLE = bool(os.environ.get("NBCONTAINER_WHOLE_COURSE"))
#: Lessons that use the packet filter: the addresses of others, and a service's.
FILTERED = ["04-container-networks", "07-many-containers"]
AS_ROOT = ["00-tour", "01-what-a-container-is", "02-cgroups", "08-an-experiment"]
AS_A_USER = ["02-cgroups"]
MODULES = ("overlay", "bridge", "veth", "tun", "macvlan", "vxlan", "nf_tables", "nft_ct", "nft_masq", "nft_redir")
DISCIPLINES = ("sch_tbf", "sch_netem")

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root, for root and for its users"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
]


@pytest.mark.parametrize("who", ["root", "user"])
def test_the_course_on_v2(who: str) -> None:
    usual = AS_A_USER if who == "user" else AS_ROOT
    lessons = [lesson for lesson in LESSONS if lesson not in FILTERED] if WHOLE else usual
    job = host.modules(*MODULES, *DISCIPLINES) + script(lessons, ordinary=who == "user")
    done = host.run(job, timeout=3000 if WHOLE else 900)
    assert done.exit_code == 0, done.output
    assert "skipped" not in done.output, done.output


@pytest.mark.skipif(not WHOLE, reason="takes many minutes: make course-v2")
@pytest.mark.skipif(bool(qemu.missing()), reason=qemu.missing() or "it can be booted")
@pytest.mark.parametrize("who", ["root", "user"])
def test_what_needs_a_packet_filter(who: str) -> None:
    done = qemu.run(script(FILTERED, ordinary=who == "user"), timeout=3000)
    assert done.exit_code == 0, done.output
    assert "skipped" not in done.output, done.output
