"""/etc/hosts, /etc/hostname and /etc/resolv.conf: the texts, and that containers have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.network import resolve

LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("db:10.0.0.9", "10.0.0.9\tdb\n"),
        ("db=10.0.0.9", "10.0.0.9\tdb\n"),
        ("six:::1", "::1\tsix\n"),
        ("six:[2001:db8::1]", "2001:db8::1\tsix\n"),
        ("six=2001:db8::1", "2001:db8::1\tsix\n"),
        ("out:host-gateway", "172.17.0.1\tout\n"),
    ],
)
def test_hosts_that_were_added(entry: str, line: str) -> None:
    assert resolve.hosts("web", None, [], [entry]) == LOCAL + line


def test_hosts_end_with_the_container_itself() -> None:
    assert resolve.hosts("web", None, ["172.17.0.2"], []) == f"{LOCAL}172.17.0.2\tweb\n"
    assert resolve.hosts("web", "example.org", ["172.17.0.2"], []) == f"{LOCAL}172.17.0.2\tweb.example.org web\n"
    assert resolve.hosts("web", "example.org", [], []) == LOCAL


def test_servers_asked_for_are_all_there_are() -> None:
    assert resolve.resolv_conf(["9.9.9.9", "2001:db8::1"]) == "nameserver 9.9.9.9\nnameserver 2001:db8::1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="another /etc/resolv.conf in a mount namespace takes root")
def test_of_the_machines_servers_those_on_its_loopback_stay_out(tmp_path: Path) -> None:
    """A container's loopback is its own: nobody answers there."""
    machines = tmp_path / "resolv.conf"
    machines.write_text(
        "# by hand\n"
        "nameserver 127.0.0.53\n"
        "nameserver ::1\n"
        "nameserver 10.0.0.1\n"
        "nameserver fe80::1%eth0\n"
        "nameserver\n"
        "nameserver nonsense\n"
        "\n"
        "search example.org example.com\n"
        "options ndots:2\n"
        "sortlist 10.0.0.0\n"
    )
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; "
        "from nbcontainer.network import resolve; print(end=resolve.resolv_conf([]))"
    )
    script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", machines, sys.executable, code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == (
        "nameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch example.org example.com\noptions ndots:2\n"
    )


def test_a_container_has_them(lab: Any, busybox: Any) -> None:
    c = lab.containers.run(
        "busybox",
        ["sh", "-c", "cat /etc/hosts /etc/hostname /etc/resolv.conf; ping -c 1 -w 5 out >/dev/null && echo answered"],
        hostname="web",
        add_host=["db:10.0.0.9", "out:host-gateway"],
        dns=["9.9.9.9"],
    )
    assert c.logs() == (f"{LOCAL}10.0.0.9\tdb\n172.17.0.1\tout\n172.17.0.2\tweb\nweb\nnameserver 9.9.9.9\nanswered\n")
