"""Delay, jitter and loss, on a kernel that has netem; this machine's may have none."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.virtual_host import host

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the virtual host is booted by root"),
    pytest.mark.skipif(shutil.which("linux.uml") is None, reason="not installed: user-mode-linux"),
]


def test_links_delay_and_lose() -> None:
    run = f"""
    {host.modules("bridge", "veth", "sch_tbf", "sch_netem")}
    cd {host.ROOT}; export PYTHONDONTWRITEBYTECODE=1
    {sys.executable} -m pytest -q -p no:cacheprovider --timeout 200 -k "delay or rate" tests/topology/test_network.py
    code=$?; {sys.executable} -m nbcontainer doctor; exit $code
    """
    done = host.run(run)
    assert done.exit_code == 0, done.output
    assert "2 passed" in done.output, done.output
    assert "links: bridge, veth, tbf, netem" in done.output, done.output
