"""Names that exist now, for Tab. Only images may start the lab: they are what a notebook names first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping

from nbcontainer import runtime
from nbcontainer.errors import NbcontainerError
from nbcontainer.network.drivers import DRIVERS
from nbcontainer.topology.shapes import SHAPES

CAPABILITIES = (
    "ALL", "AUDIT_WRITE", "BPF", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK",
    "KILL", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE", "SYS_TIME",
)  # fmt: skip


def containers() -> Iterable[str]:
    """Every container's name."""
    lab = runtime.lab_running()
    return [container.name for container in lab.containers.list(all=True)] if lab else []


def running() -> Iterable[str]:
    """The names of those that run."""
    lab = runtime.lab_running()
    return [container.name for container in lab.containers.list()] if lab else []


def images() -> Iterable[str]:
    """Every tag, and the short form of those that end in :latest."""
    try:
        tags = [tag for image in runtime.current_lab().images.list() for tag in image.tags]
    except NbcontainerError:
        return []  # Tab is no place for an error: the command itself will say it
    return sorted({*tags, *(tag.removesuffix(":latest") for tag in tags)})


def volumes() -> Iterable[str]:
    """Every volume's name."""
    lab = runtime.lab_running()
    return [volume.name for volume in lab.volumes.list()] if lab else []


def cgroups() -> Iterable[str]:
    """The names of the lab's control groups."""
    lab = runtime.lab_running()
    return [group.name for group in lab.cgroup_tree.list()] if lab else []


def networks() -> Iterable[str]:
    """Every network's name."""
    lab = runtime.lab_running()
    return [network.name for network in lab.networks.list()] if lab else ["bridge", "host", "none"]


def network_modes() -> Iterable[str]:
    """What `--network` takes besides the three that every lab has."""
    own = [name for name in networks() if name not in ("bridge", "host", "none")]
    return [*own, *(f"container:{name}" for name in running())]


def labs() -> Iterable[str]:
    """The labs that have a name."""
    lab = runtime.lab_running()
    return sorted(path.name for path in lab.home.labs.iterdir() if not path.name.startswith("~")) if lab else []


def netns() -> Iterable[str]:
    """The named network namespaces, then the containers that run."""
    lab = runtime.lab_running()
    return [*lab.netns.names(), *running()] if lab else []


def links() -> Iterable[str]:
    """The links of the lab's host."""
    from nbcontainer.network.ip.command import ip

    lab = runtime.lab_running()
    return [row["ifname"] for row in ip(lab.netns.host, ["link"]) or ()] if lab else []


def topologies() -> Iterable[str]:
    """The topologies that are up."""
    lab = runtime.lab_running()
    return [up.name for up in lab.topologies.list()] if lab else []


def nodes() -> Iterable[str]:
    """The nodes of those topologies."""
    lab = runtime.lab_running()
    return [name for up in lab.topologies.list() for name in up.topology.nodes] if lab else []


LIVE: Mapping[str, Callable[[], Iterable[str]]] = {
    "bootstrap": lambda: ["busybox"],
    "capability": lambda: CAPABILITIES,
    "cgroup": cgroups,
    "container": containers,
    "image": images,
    "driver": lambda: sorted(DRIVERS),
    "lab": labs,
    "link": links,
    "netns": netns,
    "network": networks,
    "network-mode": network_modes,
    "node": nodes,
    "path": lambda: [f"{name}:" for name in containers()],
    "running": running,
    "signal": lambda: sorted(known.name.removeprefix("SIG") for known in signal.Signals),
    "shape": lambda: list(SHAPES),
    "topology": topologies,
    "updown": lambda: ["up", "down"],
    "volume": volumes,
}
