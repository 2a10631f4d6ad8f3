"""The fixtures: a lab of each test's own, and what a test wants in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbcontainer.container.container import Container
    from nbcontainer.network.netns import Netns
    from nbcontainer.network.network import Network
    from nbcontainer.runtime import Lab
    from nbcontainer.topology.graph import Topology
    from nbcontainer.topology.network import TopologyNetwork


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A new lab for this test alone. It fails the test when anything of it is left after its end."""
    from nbcontainer.harness import leaks
    from nbcontainer.runtime import Lab

    with Lab() as lab:
        traces = leaks.Traces(lab)
        yield lab
    left = traces.left()
    assert not left, f"the lab has left: {'; '.join(left)}"


@pytest.fixture
def container(lab: Lab) -> Callable[..., Container]:
    """`container("busybox", ["sleep", "1000"], memory="64m")`: a container that runs, until the test ends."""

    def start(image: str = "busybox", command: Sequence[str] = ("sleep", "1000000"), **options: Any) -> Container:
        have(lab, image)
        return lab.containers.run(image, command, detach=True, **options)

    return start


def have(lab: Lab, image: str) -> None:
    """Make the image busybox where it is asked for and not there yet."""
    from nbcontainer.errors import NotFound

    if image == "busybox":
        try:
            lab.images.get(image)
        except NotFound:
            lab.images.bootstrap_busybox()


@pytest.fixture
def netns(lab: Lab) -> Callable[[str], Netns]:
    """`netns("r1")`: a new network namespace with that name."""
    return lab.netns.add


@pytest.fixture
def network(lab: Lab) -> Callable[..., Network]:
    """`network("backend", subnet="10.5.0.0/24")`: a new network of the lab's."""
    return lab.networks.create


@pytest.fixture
def topology(lab: Lab) -> Iterator[Callable[[Topology], TopologyNetwork]]:
    """`topology(Topology.tree(2, 2))`: the network it describes, up until the test ends."""
    with ExitStack() as stack:

        def up(described: Topology) -> TopologyNetwork:
            return stack.enter_context(described.up(lab))

        yield up
