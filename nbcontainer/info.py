"""What `%lab` and `%lab info` tell of a lab."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbcontainer
from nbcontainer.container.look import namespaces_inside
from nbcontainer.errors import Conflict, Unavailable
from nbcontainer.syscalls import libseccomp

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab

#: Docker's warnings: the sysctl inside the lab, and the words for one that is 0 or is not there.
_WARNINGS = (
    ("net/ipv4/ip_forward", "WARNING: IPv4 forwarding is disabled. Networking will not work"),
    ("net/bridge/bridge-nf-call-iptables", "WARNING: bridge-nf-call-iptables is disabled"),
    ("net/bridge/bridge-nf-call-ip6tables", "WARNING: bridge-nf-call-ip6tables is disabled"),
)


def overview(lab: Lab) -> dict[str, Any]:
    """What a lab is, at a glance: id, namespaces (type to inode), id map, cgroup mode, storage driver, network."""
    bridge = lab.networks.get("bridge")
    assert bridge.subnet is not None
    return {
        "ID": lab.id,
        "Name": lab.name or "(ephemeral)",
        "Namespaces": lab.call(namespaces_inside, "self"),
        "Id map": ", ".join(
            f"{e.inside}-{e.inside + e.count - 1} are {e.outside}-{e.outside + e.count - 1}" for e in lab.idmap.uids
        ),
        "Cgroups": lab.cgroups.mode,
        "Storage driver": storage(lab),
        "Network": f"docker0 {bridge.gateway}/{bridge.subnet.prefixlen}, {way_out(lab)}",
    }


def storage(lab: Lab) -> str:
    """The driver that containers' roots are made with."""
    driver = lab.containers.driver
    return "overlay (userxattr)" if driver == "overlay" else f"copy (no overlay: {lab.containers.driver_refusal})"


def sysctls(names: list[str]) -> dict[str, str]:
    """Runs inside: kernel parameters as the lab's host has them; one that is not there is left out."""
    found = {}
    for name in names:
        try:
            found[name] = Path(f"/proc/sys/{name}").read_text().strip()
        except OSError:
            continue
    return found


def info_text(lab: Lab) -> str:
    """Docker-info-like text, with Docker's warnings where they apply in the lab."""
    containers = lab.containers.list(all=True)
    states = [container.status for container in containers]
    cgroups = lab.cgroups
    version = {"v1": "1", "hybrid": "1", "v2": "2"}.get(cgroups.mode, "none")
    lines = [
        f"Containers: {len(containers)}",
        f" Running: {states.count('running')}",
        f" Paused: {states.count('paused')}",
        f" Stopped: {len(states) - states.count('running') - states.count('paused')}",
        f"Images: {len(lab.images.list())}",
        f"Server Version: {nbcontainer.__version__}",
        f"Storage Driver: {storage(lab)}",
        f"Cgroup Driver: {'cgroupfs' if version != 'none' else 'none'}",
        f"Cgroup Version: {version}",
        "Plugins:",
        " Volume: local",
        f" Network: {' '.join(network.name for network in lab.networks.list())}",
        "Runtimes: nbcontainer",
        "Default Runtime: nbcontainer",
        "Security Options:",
        *((" seccomp", "  Profile: builtin") if libseccomp.available() else ()),
        " userns",
        " cgroupns",
        f"Kernel Version: {os.uname().release}",
        f"Operating System: {_system()}",
        "OSType: linux",
        f"Architecture: {platform.machine()}",
        f"CPUs: {os.cpu_count()}",
        f"Total Memory: {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.4g}GiB",
        f"Name: {lab.name or 'lab'}",
        f"ID: {lab.id}",
        f"Nbcontainer Root Dir: {lab.home.path}",
        "Rootless: true" if os.geteuid() else "Rootless: false (its root is not the machine's)",
    ]
    return "\n".join([*lines, *warnings(lab)]) + "\n"


def warnings(lab: Lab) -> list[str]:
    """What will not work, in Docker's words where Docker has them."""
    said = []
    try:
        lab.networks.ensure_bridge()  # which switches forwarding on: what is off now has been switched off
    except (Conflict, Unavailable) as error:
        said.append(f"WARNING: {error}")
    found = lab.call(sysctls, [name for name, _ in _WARNINGS])
    said += [words for name, words in _WARNINGS if found.get(name, "0") == "0"]
    missing = sorted({"cpu", "memory", "pids"} - lab.cgroups.controllers)
    names = {"cpu": "cpu cfs quota", "memory": "memory limit", "pids": "pids limit"}
    said += [f"WARNING: No {names[controller]} support" for controller in missing]
    lab.networks.uplink.wait()
    if lab.networks.uplink.refusal:
        said.append(f"WARNING: No way out of the lab: {lab.networks.uplink.refusal}")
    if lab.networks.filter_refusal:
        said.append(f"WARNING: Networks are not kept apart: {lab.networks.filter_refusal}")
    return said


def way_out(lab: Lab) -> str:
    """How the lab's containers reach the machine's network."""
    program = lab.networks.uplink.program
    return f"way out by {program}" if program else "no way out"


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
