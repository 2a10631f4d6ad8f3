"""Runs inside the lab: what makes it look like a host. Mounts of its own, a name, a loopback."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from nbcontainer.syscalls import mounts, namespaces
from nbcontainer.syscalls.mounts import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, MS_SLAVE

#: In every lab: an empty directory that each container mounts its root on, in its own mount namespace.
ROOTFS = "/run/nbcontainer/rootfs"
#: As `ROOTFS`, for the files of its /etc.
FILES = "/run/nbcontainer/files"
#: As `ROOTFS`, for what is mounted before a container is known.
STAGE = "/run/nbcontainer/stage"
#: Where directories that the lab's ids cannot reach by their path are attached, one by number.
ATTACHED = "/run/nbcontainer/attached"

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def furnish(hostname: str, attach: list[int]) -> None:
    """Give the lab its own /proc, /sys, /run and /dev/shm, its hostname and a loopback that is up.

    `attach` are detached mounts (open_tree(2)) which appear as `ATTACHED`/0, /1, …
    """
    # Slave, not private: when the machine unmounts something, no lab keeps it busy.
    mounts.mount(None, "/", None, MS_REC | MS_SLAVE)
    mounts.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    cgroups = _detached("/sys/fs/cgroup")
    mounts.mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if cgroups is not None:
        mounts.move_mount(cgroups, "/sys/fs/cgroup")
        os.close(cgroups)
    mounts.mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    if os.path.isdir("/dev/shm"):  # the smallest machines have none
        mounts.mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777")
    for directory in ("/run/netns", "/run/lock", ROOTFS, FILES, STAGE, ATTACHED):
        os.makedirs(directory, exist_ok=True)
    for number, fd in enumerate(attach):
        os.mkdir(f"{ATTACHED}/{number}")
        mounts.move_mount(fd, f"{ATTACHED}/{number}")
    namespaces.sethostname(hostname)
    loopback_up()


def _detached(path: str) -> int | None:
    try:
        return mounts.open_tree(path, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | mounts.AT_RECURSIVE)
    except OSError as error:
        # No cgroup mounts on this machine, or locked in a way that forbids a copy: the lab does without.
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.EPERM):
            return None
        raise


def loopback_up() -> None:
    """`ip link set lo up` in the caller's network namespace (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
