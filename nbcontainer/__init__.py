"""A container runtime inside a notebook: no daemon, no root, no Docker.

Nothing is imported until it is used: the lab's init loads this package too, and must start in milliseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nbcontainer.cgroup.cgroup import Cgroup as Cgroup
    from nbcontainer.container.container import Container as Container
    from nbcontainer.harness.sweep import sweep as sweep
    from nbcontainer.image.images import Image as Image
    from nbcontainer.network.capture.session import Capture as Capture
    from nbcontainer.network.netns import Netns as Netns
    from nbcontainer.network.overlay.cluster import Cluster as Cluster
    from nbcontainer.runtime import Lab as Lab
    from nbcontainer.topology.graph import Topology as Topology

__version__ = "0.1.0"

_HOMES = {
    "Cgroup": "nbcontainer.runtime",
    "Capture": "nbcontainer.network.capture.session",
    "Cluster": "nbcontainer.network.overlay.cluster",
    "Container": "nbcontainer.container.container",
    "Image": "nbcontainer.image.images",
    "Lab": "nbcontainer.runtime",
    "Netns": "nbcontainer.network.netns",
    "Topology": "nbcontainer.topology.graph",
    "sweep": "nbcontainer.harness.sweep",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext nbcontainer`."""
    from nbcontainer.magics import extension

    extension.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """`%unload_ext nbcontainer`."""
    from nbcontainer.magics import extension

    extension.unload(ipython)
