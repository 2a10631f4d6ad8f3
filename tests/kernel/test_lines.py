"""Which lines are commands and which are Python."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from nbcontainer_kernel.lines import COMMANDS, command_of, plain, transformer

COMMAND_LINES = (
    "docker run -it --name busy1 busybox",
    "docker network inspect bridge",
    "docker ps -a",
    "docker -v",
    "docker",
    "ip  # which there are",
    "docker images | grep busy",
    'docker commit -c \'CMD ["/bin/httpd","-f","-h","/data/html"]\' -p b1 mowang/httpd:v0.2',
    "docker rm -f $(docker ps -aq)",
    "ip netns add r1",
    "ip -br link",
    "ip link add name veth1.1 type veth peer name veth1.2",
    "ip netns exec r1 ifconfig -a",
    "ifconfig veth1.1 10.1.0.1/24 up",
    "brctl show",
    "ping -c 1 10.1.0.2",
    "sysctl -w net.ipv4.ip_forward=1",
)
PYTHON_LINES = (
    "ip = 3",
    "ip=3",
    "ip += 1",
    "ip: int = 3",
    "ip, port = 1, 2",
    "docker.x",
    "docker.containers.list()",
    "ping('10.1.0.2')",
    "ping ('10.1.0.2')",
    "route[0]",
    "ip == other",
    "ip is None",
    "ip in addresses",
    "ip not in addresses",
    "ip if ip else None",
    "ip <= 3",
    "print(ip)",
    "for ip in range(3): pass",
)


def nothing(name: str) -> bool:
    return False


def everything(name: str) -> bool:
    return True


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands(line: str) -> None:
    assert command_of(line, nothing) == line.split()[0]


@pytest.mark.parametrize("line", PYTHON_LINES)
def test_python(line: str) -> None:
    assert command_of(line, nothing) is None
    assert command_of(line, everything) is None


def test_a_name_with_a_value_is_python_where_it_can_be() -> None:
    assert command_of("ip", everything) is None
    assert command_of("ip - x", nothing) is None
    assert command_of("ip -x", everything) is None
    assert command_of("ip netns list", everything) == "ip"


def transformed(cell: str) -> str:
    manager = TransformerManager()
    manager.token_transformers.append(transformer(nothing))
    return manager.transform_cell(cell)


def test_a_cell_of_both() -> None:
    cell = (
        "ip = 3\n"
        "for name in ('r1', 'r2'):\n"
        "    ip netns add {name}\n"
        "docker run --rm busybox \\\n"
        "    echo hi\n"
        "docker ps | wc -l\n"
        "text = '''\n"
        "docker ps\n"
        "'''\n"
        "print(ip)\n"
    )
    assert transformed(cell) == (
        "ip = 3\n"
        "for name in ('r1', 'r2'):\n"
        "    get_ipython().run_line_magic('on_host', 'ip netns add {name}')\n"
        "get_ipython().run_line_magic('docker', 'run --rm busybox echo hi')\n"
        "get_ipython().run_line_magic('on_host', 'docker ps | wc -l')\n"
        "text = '''\n"
        "docker ps\n"
        "'''\n"
        "print(ip)\n"
    )


def test_here_documents_belong_to_their_line() -> None:
    cell = "docker build -t made - <<'EOF'\nFROM scratch\nEOF\nx = 1\n"
    assert transformed(cell) == (
        "get_ipython().run_line_magic('on_host', \"docker build -t made - <<'EOF'\\nFROM scratch\\nEOF\")\nx = 1\n"
    )


def test_what_needs_no_shell_keeps_its_rich_output() -> None:
    assert plain("docker ps --filter name=x --format '{{.Names}} | {{.ID}}'")
    assert not plain("docker ps > file")
    assert not plain('docker run busybox echo "$HOME"')


def test_the_standard_library_is_python() -> None:
    """Code that nobody wrote with us in mind passes through as it is."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:80]
    assert len(paths) == 80
    for path in paths:
        source = path.read_text()
        manager = TransformerManager()
        assert transformed(source) == manager.transform_cell(source), path


@given(st.sampled_from(sorted(COMMANDS)), st.text(max_size=40))
def test_any_text_is_one_or_the_other(name: str, rest: str) -> None:
    found = command_of(f"{name} {rest}", nothing)
    assert found in (None, name)
    if found:
        plain(rest)
        transformed(f"{name} {rest}\n")
