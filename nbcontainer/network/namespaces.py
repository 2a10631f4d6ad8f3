"""The network namespaces of a lab that have names: what `ip netns` keeps."""

from __future__ import annotations

import builtins
import errno
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any, cast

from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.lab.handle import Handle
from nbcontainer.network import netns_files
from nbcontainer.network.monitor import Monitor
from nbcontainer.network.netns import HostNetns, Netns, ProcessNetns
from nbcontainer.network.sockets import Opener

RTM_GETADDR = 22
#: Everybody's own, so nobody's name.
LOOPBACK = ("127.0.0.1", "::1")
#: NAME_MAX: a name is a file's.
LONGEST = 255


def check_name(name: str) -> str:
    """`name`, or `InvalidArgument` when no file below /run/netns can have it."""
    bad = not name or name in (".", "..") or "/" in name or not name.isprintable()
    if bad or len(os.fsencode(name)) > LONGEST:
        raise InvalidArgument(
            f"Invalid netns name {name!a}: it becomes a file, so 1 to {LONGEST} bytes, no slash, no control character"
        )
    return name


class Namespaces:
    """The named network namespaces of `lab`: `lab.netns`.

    The names are looked up in the lab's /run/netns each time, so whatever `ip netns` does there is seen here.
    """

    def __init__(self, lab: Handle, execute: Callable[..., Any]) -> None:
        self.lab = lab
        #: Runs a program in a namespace: `on_host.run`, which is the room's above.
        self.execute = execute
        self.opener = Opener(lab)
        self._lock = threading.Lock()
        self._counts: Counter[Hashable] = Counter()
        self._directory = -1
        #: What goes on until the lab ends, such as captures: each has `stop()`.
        self.running: weakref.WeakSet[Any] = weakref.WeakSet()

    def close(self) -> None:
        """The lab ends: nothing of this process may keep its namespaces alive."""
        for one in list(self.running):
            one.stop()
        self.opener.close()
        with self._lock:
            directory, self._directory = self._directory, -1
        if directory >= 0:
            os.close(directory)

    def _files(self) -> int:
        with self._lock:
            if self._directory < 0:
                _, fds = cast("tuple[None, builtins.list[int]]", self.lab.call(netns_files.directory))
                self._directory = fds[0]
            return self._directory

    # -- make and remove

    def add(self, name: str, *, loopback: bool = False) -> Netns:
        """`ip netns add`. Its lo is down unless `loopback`. Raises `InvalidArgument`, `Conflict` for a taken name."""
        return self.add_all([name], loopback=loopback)[0]

    def add_all(self, names: Iterable[str], *, loopback: bool = False) -> builtins.list[Netns]:
        """Many at once, all or none: a thousand take less than a second."""
        wanted = [check_name(name) for name in names]
        try:
            self.lab.call(netns_files.add, wanted, loopback)
        except OSError as error:
            raise _refused("create", error) from None
        return [Netns(name, self.lab) for name in wanted]

    def attach(self, name: str, pid: int) -> Netns:
        """`ip netns attach`: a name for the namespace that a process of the lab is in."""
        fd = self.open_pid(pid)
        try:
            return self.name(name, fd)
        finally:
            os.close(fd)

    def name(self, name: str, fd: int) -> Netns:
        """A name for the namespace behind a descriptor, such as a container's: `opener.netns(pidfd)` is one."""
        try:
            self.lab.call(netns_files.attach, check_name(name), fds=[fd])
        except OSError as error:
            raise _refused("create", error) from None
        return Netns(name, self.lab)

    def delete(self, *names: str) -> None:
        """`ip netns delete`. Raises `NotFound` for the first that is not there, when all others are gone."""
        for name in names:
            check_name(name)
        try:
            self.lab.call(netns_files.delete, list(names))
        except OSError as error:
            raise _refused("remove", error) from None

    # -- look

    def list(self) -> builtins.list[Netns]:
        """Every one, by name."""
        return [Netns(name, self.lab) for name in self.names()]

    def names(self) -> builtins.list[str]:
        """Every name, sorted."""
        return sorted(os.listdir(self._files()))

    def get(self, name: str) -> Netns:
        """The one of this name. Raises `NotFound`."""
        self.inode(name)
        return Netns(name, self.lab)

    def open(self, name: str) -> int:
        """A new descriptor of it. Raises `NotFound`."""
        directory = self._files()
        try:
            fd = os.open(check_name(name), os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            raise _refused("open", OSError(error.errno, error.strerror, name)) from None
        if os.fstat(fd).st_dev == os.fstat(directory).st_dev:
            os.close(fd)
            raise NotFound(
                f'Cannot open network namespace "{name}": Invalid argument: {netns_files.DIRECTORY}/{name} is a plain '
                f"file, which a broken `ip netns add` leaves; `%netns delete {name}` removes it"
            )
        return fd

    def open_pid(self, pid: int) -> int:
        """A new descriptor of the namespace that a process of the lab is in. Raises `NotFound`."""
        _, (fd,) = cast("tuple[None, builtins.list[int]]", self._of_pid(netns_files.open_pid, pid))
        return fd

    @property
    def host(self) -> Netns:
        """That of the lab's host."""
        return HostNetns(self.lab)

    def of_process(self, pidfd: int, name: str) -> Netns:
        """That of a process, by a pidfd of it; `name` is for showing."""
        return ProcessNetns(name, self.lab, pidfd)

    def inode(self, name: str) -> int:
        """The inode number of it. Raises `NotFound`."""
        try:
            return os.stat(check_name(name), dir_fd=self._files()).st_ino
        except OSError as error:
            raise _refused("open", OSError(error.errno, error.strerror, name)) from None

    def pids(self, fd: int) -> builtins.list[int]:
        """The lab's processes in the namespace behind a descriptor."""
        return self.lab.call(netns_files.pids, fds=[fd])

    def identify(self, pid: int) -> builtins.list[str]:
        """`ip netns identify`: the names of the namespace a process of the lab is in. Raises `NotFound`."""
        return cast("builtins.list[str]", self._of_pid(netns_files.identify, pid))

    def _of_pid(self, target: Callable[[int], Any], pid: int) -> Any:
        try:
            return self.lab.call(target, pid)
        except ProcessLookupError:
            raise NotFound(f"Could not stat netns of pid {pid}: the lab has no such process") from None
        except PermissionError:
            raise InvalidArgument(f"the netns of pid {pid} cannot be seen: nobody may look into that process") from None

    def addresses(self, more: Iterable[Netns] = ()) -> dict[str, str]:
        """Whose an address is, by the names of all and of `more`: `{"10.1.0.2": "r1"}`; none that several have."""
        from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

        found: dict[str, str] = {}
        twice: set[str] = set()
        for netns in (*self.list(), *more):
            try:
                with netns.netlink() as netlink:
                    hosts = [one.get_attr("IFA_ADDRESS") for one in netlink.dump(RTM_GETADDR, ifaddrmsg())]
            except (NotFound, OSError):
                continue  # deleted meanwhile
            for host in hosts:
                twice |= {host} & found.keys()
                found[host] = netns.name or "host"
        return {host: name for host, name in found.items() if host not in twice and host not in LOOPBACK}

    def monitor(self, on_line: Callable[[str], object] | None = None) -> Monitor:
        """Watch names come and go, from now on."""
        made = Monitor(self.lab, self._files(), on_line)
        self.running.add(made)
        return made

    def count(self, what: Hashable) -> int:
        """How often this lab has asked for `what` before."""
        with self._lock:
            self._counts[what] += 1
            return self._counts[what] - 1

    # -- ids

    def id_of(self, fd: int) -> int | None:
        """What the lab's host calls the namespace behind a descriptor, or None."""
        from nbcontainer.network.netlink import Netlink

        with Netlink(self.opener.netlink()) as netlink:
            return netlink.netns_id(fd)

    def set(self, name: str, nsid: int | None = None) -> int:
        """`ip netns set`: the number the lab's host calls it by, the lowest free one without `nsid`.

        Raises `Conflict` when it has one already, or another has this.
        """
        from nbcontainer.network.netlink import Netlink

        fd = self.open(name)
        try:
            with Netlink(self.opener.netlink()) as netlink:
                netlink.set_netns_id(fd, -1 if nsid is None else nsid)
                found = netlink.netns_id(fd)
        except FileExistsError:
            raise Conflict(f"Cannot set nsid of {name}: it has one already, or {nsid} is another's") from None
        finally:
            os.close(fd)
        assert found is not None
        return found


def _refused(what: str, error: OSError) -> Exception:
    """iproute2's words for what the files said."""
    said = f'Cannot {what} namespace file "{netns_files.DIRECTORY}/{error.filename}": {error.strerror}'
    if what == "open":
        said = f'Cannot open network namespace "{error.filename}": {error.strerror}'
    if error.errno == errno.EEXIST:
        return Conflict(said)
    if error.errno == errno.ENOENT:
        return NotFound(said)
    return error
