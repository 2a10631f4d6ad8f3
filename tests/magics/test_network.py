"""`%network`, published ports and the namespace table, as typed."""

from __future__ import annotations

from typing import Any

import pytest

from nbcontainer import runtime
from nbcontainer.errors import InvalidArgument, NbcontainerError, NotFound


def typed(shell: Any, line: str) -> Any:
    name, _, arguments = line.removeprefix("%").partition(" ")
    return shell.run_line_magic(name, arguments)


@pytest.fixture
def shell(ipython: Any, lab: Any, busybox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell whose lab is the fixture's."""
    monkeypatch.setattr(runtime, "_current", lab)
    return ipython


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_networks_life(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mtu = "com.docker.network.driver.mtu=1400"
    made = typed(shell, f"%network create --subnet 10.5.0.0/24 --label team=a -o {mtu} net1")
    assert (made.name, made.mtu) == ("net1", 1400)
    capsys.readouterr()
    typed(shell, "%network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}}'")
    assert lines(capsys) == [
        *("bridge bridge local false", "host host local false", "net1 bridge local false", "none null local false"),
    ]
    for wanted, found in (
        ("driver=bridge", ["bridge", "net1"]),
        ("label=team", ["net1"]),
        ("label=team=b", []),
        ("type=custom", ["net1"]),
        ("name=^n", ["net1", "none"]),
        ("dangling=true", ["net1"]),
        (f"id={made.id[:6]}", ["net1"]),
    ):
        typed(shell, f"%network ls -f {wanted} --format '{{{{.Name}}}}'")
        assert lines(capsys) == found, wanted
    typed(shell, "%network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}} {{.Driver}}' net1 bridge")
    assert lines(capsys) == ["10.5.0.0/24 10.5.0.1 bridge", "172.17.0.0/16 172.17.0.1 bridge"]
    typed(shell, "%container create --name web --network none busybox true")
    typed(shell, "%network rm net1")
    assert lines(capsys)[-1] == "net1"
    with pytest.raises(NotFound, match="network net1 not found"):
        typed(shell, "%network rm net1")
    typed(shell, "%network rm --force net1")


def test_connect_disconnect_and_prune(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("net1", "net2"):
        typed(shell, f"%network create {name}")
    typed(shell, "%container run -d --name web --network net1 --network-alias www busybox sleep 600")
    typed(shell, "%network connect --alias other --ip 172.19.0.9 net2 web")
    capsys.readouterr()
    wanted = "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}"
    typed(shell, f"%container inspect -f '{wanted}' web")
    assert lines(capsys) == ["net1=172.18.0.2 net2=172.19.0.9 "]
    typed(shell, "%container ps --format '{{.Names}} {{.Networks}}' --filter network=net2")
    assert lines(capsys) == ["web net1,net2"]
    typed(shell, "%network disconnect net2 web")
    typed(shell, "%network prune --force")
    assert lines(capsys) == ["Deleted Networks:", "net2"]
    typed(shell, "%network events --filter network=net1 --format '{{.Action}}'")
    assert lines(capsys) == ["create", "connect"]
    with pytest.raises(InvalidArgument, match="invalid option: mtu: it is NAME=VALUE"):
        typed(shell, "%network create -o mtu net3")


def test_ports_as_they_are_shown(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    web = typed(shell, "%container run -d --name web -p 127.0.0.1::80 --expose 443 busybox sleep 600")
    port = web.ports["80/tcp"][0][1]
    capsys.readouterr()
    for words, shown in (
        ("web", f"80/tcp -> 127.0.0.1:{port}"),
        ("web 80", f"127.0.0.1:{port}"),
        ("web 80/tcp", f"127.0.0.1:{port}"),
    ):
        typed(shell, f"%container port {words}")
        assert lines(capsys) == [shown]
    with pytest.raises(NotFound, match="no public port '443/tcp' published for web"):
        typed(shell, "%container port web 443")
    typed(shell, "%container ps --format '{{.Ports}}'")
    assert lines(capsys) == [f"127.0.0.1:{port}->80/tcp, 443/tcp"]
    typed(shell, "%container ps --filter publish=80 -q")
    assert len(lines(capsys)) == 1
    with pytest.raises(NbcontainerError, match=f"Bind for 127.0.0.1:{port} failed: port is already allocated"):
        typed(shell, f"%container run -d -p 127.0.0.1:{port}:80 busybox sleep 600")
    with pytest.raises(InvalidArgument, match="Invalid containerPort: http"):
        typed(shell, "%container run -p http busybox true")


def test_the_namespace_table(shell: Any) -> None:
    typed(shell, "%container run -d --name web busybox sleep 600")
    typed(shell, "%container run -d --name joined --network container:web busybox sleep 600")
    typed(shell, "%container run -d --name open --network host busybox sleep 600")
    table = typed(shell, "%container namespaces")
    assert [row["Name"] for row in table] == ["(the lab)", "web", "joined", "open"]
    assert [row["net"] for row in table] == ["shared: the lab", "shared: web", "shared: web", "shared: the lab"]
    assert [row["ipc"] for row in table] == ["own", "shared: web", "shared: web", "own"]
    assert {row["user"] for row in table} == {"shared: the lab"}
    assert {row["mnt"] for row in table} == {row["pid"] for row in table} == {"own"}
    assert table._repr_html_().count('class="nbc-same"') == str(table).count("shared: ")
    assert [row["Name"] for row in typed(shell, "%container namespaces joined")] == ["(the lab)", "joined"]


def test_forwarding_switched_off_is_said(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed(shell, "%container run --rm busybox true")
    shell.run_cell_magic("lab", "", "echo 0 > /proc/sys/net/ipv4/ip_forward")
    capsys.readouterr()
    typed(shell, "%container run --rm busybox true")
    assert "WARNING: IPv4 forwarding is disabled. Networking will not work." in capsys.readouterr().err
