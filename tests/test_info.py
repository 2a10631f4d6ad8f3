"""What `%lab info` says, and what it warns of."""

from __future__ import annotations

from typing import Any

from nbcontainer.container import on_host
from nbcontainer.info import info_text, overview, warnings


def _on_host(lab: Any, script: str) -> None:
    result = on_host.run(lab, ["sh", "-ec", script])
    assert result.exit_code == 0, result.stderr


def test_containers_are_counted(home: Any, lab: Any, busybox: Any) -> None:
    lab.containers.run("busybox", ["sleep", "99"], detach=True)
    lab.containers.run("busybox", ["true"])
    lines = info_text(lab).splitlines()
    assert lines[:5] == ["Containers: 2", " Running: 1", " Paused: 0", " Stopped: 1", "Images: 2"]
    assert f"ID: {lab.id}" in lines


def test_forwarding_is_warned_of_where_it_is_off(lab: Any) -> None:
    warning = "WARNING: IPv4 forwarding is disabled. Networking will not work"
    assert warning not in warnings(lab), "a new lab forwards as soon as it has a bridge"
    _on_host(lab, "echo 0 >/proc/sys/net/ipv4/ip_forward")
    assert warning in info_text(lab).splitlines()


def test_bridge_filtering_is_warned_of_where_it_is_off(lab: Any) -> None:
    _on_host(lab, "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do test ! -e $f || echo 0 >$f; done")
    said = warnings(lab)
    assert "WARNING: bridge-nf-call-iptables is disabled" in said
    assert "WARNING: bridge-nf-call-ip6tables is disabled" in said


def test_a_taken_bridge_is_a_warning(lab: Any) -> None:
    from nbcontainer.network.wire import Rtnetlink

    with lab.netlink() as sock:
        Rtnetlink(sock).link_add("bridge", "docker0")
    assert any(line.startswith("WARNING: cannot make docker0") for line in warnings(lab))


def test_overview(lab: Any) -> None:
    found = overview(lab)
    assert found["ID"] == lab.id
    assert set(found["Namespaces"]) == {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}
    assert found["Network"].startswith("docker0 172.17.0.1/16")
