"""%topology as it is typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from nbcontainer.errors import NbcontainerError
from nbcontainer.magics.completion import complete
from nbcontainer.magics.live import LIVE
from nbcontainer.magics.topology import TOPOLOGY
from nbcontainer.runtime import current_lab


@pytest.fixture
def shell(ipython: Any) -> Iterator[Any]:
    yield ipython
    current_lab().close()


def cell(shell: Any, text: str) -> str:
    """What a cell shows, as text."""
    with capture_output() as captured:
        shell.run_cell(text).raise_error()
    return str(captured.stdout) + "".join(output.data["text/plain"] + "\n" for output in captured.outputs)


OFFICE = """%%topology
name: office
hosts: [h1, h2]
switches: [s1]
links:
  - h1 -- s1
  - h2 -- s1: {rate: 5mbit}
"""


def test_a_cell_and_what_is_asked_of_it(shell: Any) -> None:
    assert cell(shell, OFFICE) == (
        "office: 2 hosts, 1 switch, 2 links\n"
        "NODE      KIND      ADDRESS      LINKS\n"
        "h1        host      10.0.0.1/8   eth0:s1-eth1\n"
        "h2        host      10.0.0.2/8   eth0:s1-eth2\n"
        "s1        switch                 s1-eth1:h1-eth0 s1-eth2:h2-eth0\n"
    )
    reached = "    h1  h2\nh1  -   ok\nh2  ok  -\nResults: 0% dropped (2/2 received)\n"
    assert cell(shell, "%topology ping") == reached
    assert cell(shell, "r = %topology pingall h1 h2\nassert r.loss == 0") == reached
    assert cell(shell, "%topology trace h1 h2") == "HOP   NODE   ADDRESS    THROUGH\n1     h2     10.0.0.2   s1\n"
    assert "Mbit/s" in cell(shell, "flow = %topology iperf h1 h2")
    assert 1 < shell.user_ns["flow"].mbit < 6
    assert cell(shell, "%topology iperf").startswith("h1 -> h2: ")
    assert cell(shell, "%topology link h1 s1 down\n%topology link h1 s1 up\n%topology ping") == reached
    assert complete(TOPOLOGY, ["ping", "h"], LIVE) == ["h1", "h2"]
    assert complete(TOPOLOGY, ["up", "t"], LIVE) == ["tree"]
    assert cell(shell, "%topology") == (
        "NAME      HOSTS     SWITCHES   ROUTERS   LINKS\noffice    2         1          0         2\n"
    )
    assert cell(shell, "%topology down") == "office\n"
    assert current_lab().netns.names() == []


def test_shapes_in_a_line(shell: Any) -> None:
    assert cell(shell, "%topology up tree 1 3 --name t --rate 10mbit").startswith("t: 3 hosts, 1 switch, 3 links\n")
    assert cell(shell, "%%topology up\nshape: line 1 0\nname: other").startswith("other: 1 switch\n")
    with pytest.raises(NbcontainerError, match="which topology"):
        cell(shell, "%topology ping")
    assert "6/6 received" in cell(shell, "%topology ping --name t")
    assert cell(shell, "%topology down --all") == "other\nt\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("%topology up", "which shape"),
        ("%topology up blob 3", "invalid shape 'blob 3'"),
        ("%topology up star 2 --rate 5", "it needs a unit"),
        ("%topology ping", "no topology is up"),
        ("%topology down", "no topology is up"),
        ("%topology link a b sideways", "a link is up or down"),
        ("%%topology\nhosts: ]", "this is no YAML: line 1"),
        ("%%topology up star 2\nhosts: [h1]", "a cell describes the whole topology"),
    ],
)
def test_one_line_says_what_is_wrong(shell: Any, line: str, why: str) -> None:
    with pytest.raises(NbcontainerError, match=why):
        cell(shell, line)


def test_a_figure_and_a_matrix(shell: Any) -> None:
    with capture_output() as captured:
        shell.run_cell("%topology up line 2\n%topology ping").raise_error()
    figure, matrix = (output.data["text/html"] for output in captured.outputs)
    assert 'aria-label="Topology line: 2 hosts, 2 switches, 3 links"' in figure
    assert figure.count("<line ") == 3
    assert '<th scope="row">h1</th>' in matrix
    assert "Results: 0% dropped (2/2 received)" in matrix
