"""Runs inside the lab: named network namespaces as files below /run/netns (ip-netns(8), network_namespaces(7)).

A name is a file that the namespace is bind-mounted over, as iproute2 does it: so `ip netns` in the lab and we see the
same ones.
"""

from __future__ import annotations

import errno
import os

from nbcontainer.lab import shell
from nbcontainer.lab.host import loopback_up
from nbcontainer.lab.inside import Descriptors
from nbcontainer.syscalls import mounts, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DIRECTORY = "/run/netns"
ETC = "/etc/netns"


def directory() -> Descriptors:
    """A descriptor of `DIRECTORY`: whoever has it sees the names and opens the namespaces without asking again."""
    _share()
    _addresses_at_once()
    return Descriptors(None, [os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)])


def _share() -> None:
    """Make `DIRECTORY` a shared mount: a deleted name then goes from the mount namespaces of running programs too."""
    try:
        mounts.mount(None, DIRECTORY, None, mounts.MS_SHARED | mounts.MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mounts.mount(DIRECTORY, DIRECTORY, None, mounts.MS_BIND | mounts.MS_REC)
        mounts.mount(None, DIRECTORY, None, mounts.MS_SHARED | mounts.MS_REC)


def add(names: list[str], loopback: bool) -> int:
    """Make a namespace for each name, its loopback up or (as `ip netns add` leaves it) down.

    All or none: those made are removed when one cannot be. Raises `OSError` with the name as its filename.
    """
    _share()
    made: list[str] = []
    try:
        for name in names:
            path = f"{DIRECTORY}/{name}"
            _file(path, name)
            made.append(name)
            namespaces.unshare(namespaces.CLONE_NEWNET)
            _addresses_at_once()
            if loopback:
                loopback_up()
            mounts.mount("/proc/self/ns/net", path, None, mounts.MS_BIND)
    except BaseException:
        delete(made)
        raise
    return len(made)


def attach(name: str, *, fds: list[int]) -> None:
    """Give the namespace `fds[0]` a name (`ip netns attach`)."""
    _share()
    path = f"{DIRECTORY}/{name}"
    _file(path, name)
    try:
        mounts.mount(f"/proc/self/fd/{fds[0]}", path, None, mounts.MS_BIND)
    except BaseException:
        os.unlink(path)
        raise


def _file(path: str, name: str) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


def _addresses_at_once() -> None:
    """No duplicate address detection here: a link's own IPv6 address is then there as soon as the link is up, instead
    of "tentative" for a second or two, and what is shown of it repeats (Documentation/networking/ip-sysctl.rst)."""
    for scope in ("all", "default"):
        try:
            with open(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", "w") as file:
                file.write("0")
        except FileNotFoundError:
            return  # a kernel without IPv6


def delete(names: list[str]) -> None:
    """Take the names away; a namespace ends with its last process, socket or descriptor.

    Raises `OSError` for the first that is not there, when all others are gone.
    """
    refusal: OSError | None = None
    for name in names:
        path = f"{DIRECTORY}/{name}"
        try:
            mounts.umount(path, mounts.MNT_DETACH)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):  # a plain file: `add` was killed on the way
                refusal = refusal or OSError(error.errno, error.strerror, name)
        try:
            os.unlink(path)
        except OSError as error:
            refusal = refusal or OSError(error.errno, error.strerror, name)
    if refusal is not None:
        raise refusal


def pids(*, fds: list[int]) -> list[int]:
    """The lab's processes in the namespace `fds[0]`, this one left out (`ip netns pids`)."""
    wanted = os.fstat(fds[0])
    return [pid for pid, info in _namespaces() if (info.st_dev, info.st_ino) == (wanted.st_dev, wanted.st_ino)]


def identify(pid: int) -> list[str]:
    """The names of the namespace that a process of the lab is in (`ip netns identify`). Raises `ProcessLookupError`."""
    try:
        info = os.stat(f"/proc/{pid}/ns/net")
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid)) from None
    found = []
    for name in sorted(os.listdir(DIRECTORY)):
        known = os.stat(f"{DIRECTORY}/{name}")
        if (known.st_dev, known.st_ino) == (info.st_dev, info.st_ino):
            found.append(name)
    return found


def open_pid(pid: int) -> Descriptors:
    """The network namespace of a process of the lab, by its pid there. Raises `ProcessLookupError`."""
    try:
        return Descriptors(None, [os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)])
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid)) from None


def _namespaces() -> list[tuple[int, os.stat_result]]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                found.append((int(entry), os.stat(f"/proc/{entry}/ns/net")))
            except OSError:
                continue  # ended meanwhile, or init, which nobody may look into
    return sorted(found, key=lambda pair: pair[0])


def execute(
    argv: list[str], working_directory: str, environment: dict[str, str], name: str, *, fds: list[int]
) -> NoReturn:
    """Become `argv` in the namespace `fds[3]`, with `fds[:3]` as its standard input, output and error.

    As `ip netns exec`: a /sys that shows the links there, and the files of /etc/netns/NAME over those of /etc.
    """
    *ends, netns = fds
    try:
        namespaces.setns(netns, namespaces.CLONE_NEWNET)
        os.close(netns)
        namespaces.unshare(namespaces.CLONE_NEWNS)
        mounts.mount(None, "/", None, mounts.MS_SLAVE | mounts.MS_REC)
        _own_sys()
        _own_etc(f"{ETC}/{name}")
    except OSError as error:
        os.write(ends[-1], f"{name}: {error.filename or 'netns'}: {error.strerror}\n".encode())
        os._exit(255)
    shell.main(argv, working_directory, environment, fds=ends)


def _own_sys() -> None:
    """A sysfs of this namespace, with the machine's control groups where they were."""
    try:
        cgroups = mounts.open_tree(
            "/sys/fs/cgroup", mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | mounts.AT_RECURSIVE
        )
    except OSError:
        cgroups = -1
    mounts.mount("sysfs", "/sys", "sysfs", mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC)
    if cgroups >= 0:
        mounts.move_mount(cgroups, "/sys/fs/cgroup")
        os.close(cgroups)


def _own_etc(directory: str) -> None:
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if os.path.exists(f"/etc/{name}"):
            mounts.mount(f"{directory}/{name}", f"/etc/{name}", None, mounts.MS_BIND)
