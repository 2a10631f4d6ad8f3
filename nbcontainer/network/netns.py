"""A network namespace as the notebook's process uses it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from socket import socket as Socket
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbcontainer.errors import Conflict, NotFound
from nbcontainer.network import within

if TYPE_CHECKING:
    from nbcontainer.lab.handle import Handle
    from nbcontainer.network.namespaces import Namespaces
    from nbcontainer.network.netlink import Netlink


class Netns:
    """A network namespace by its name below /run/netns of the lab; `Netns("r1")` is one that exists.

    >>> r1 = lab.netns.add("r1")
    >>> with r1:
    ...     server = socket.create_server(("10.1.0.2", 80))

    It is found anew by its name each time, so nothing here keeps a deleted one alive but an open `fd`. What is asked
    of one that is gone raises `NotFound`.
    """

    def __init__(self, name: str, lab: Handle | None = None) -> None:
        if lab is None:
            from nbcontainer.runtime import current_lab  # only a script that names no lab needs to look up there

            lab = current_lab()
        self.name = name
        self.lab = lab
        self.namespaces: Namespaces = lab.netns  # type: ignore[attr-defined]
        self._fd = -1
        self._within: list[AbstractContextManager[None]] = []

    def __repr__(self) -> str:
        return f"<Netns {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Netns) and (self.name, self.lab) == (other.name, other.lab)

    def __hash__(self) -> int:
        return hash((self.name, id(self.lab)))

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give up `fd`; the next use opens it again."""
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    # -- the namespace itself

    def open(self) -> int:
        """A new descriptor of the namespace, for setns(2), IFLA_NET_NS_FD and the like; the caller closes it."""
        return self.namespaces.open(self.name)

    @property
    def fd(self) -> int:
        """A descriptor of the namespace that stays this object's own: it is kept, and keeps the namespace alive."""
        inode = self.inode
        if self._fd >= 0 and os.fstat(self._fd).st_ino != inode:
            self.close()  # deleted, and made anew by the same name
        if self._fd < 0:
            self._fd = self.open()
        return self._fd

    @property
    def inode(self) -> int:
        """The number that tells namespaces apart (lsns(8), NS)."""
        return self.namespaces.inode(self.name)

    @property
    def exists(self) -> bool:
        """Whether there is one of that name now."""
        try:
            return self.inode > 0
        except NotFound:
            return False

    @property
    def id(self) -> int | None:
        """What the lab's host calls it in netlink (`link-netnsid`), or None (`ip netns list-id`)."""
        with self.opened() as fd:
            return self.namespaces.id_of(fd)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """`open()` for the length of a block."""
        fd = self.open()
        try:
            yield fd
        finally:
            os.close(fd)

    def delete(self) -> None:
        """`ip netns delete`: the name goes at once, the namespace with its last process, socket or descriptor."""
        self.namespaces.delete(self.name)
        self.close()

    def pids(self) -> list[int]:
        """The lab's processes in it, by their numbers in the lab."""
        with self.opened() as fd:
            return self.namespaces.pids(fd)

    # -- sockets

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> Socket:
        """A socket that lives there; this process uses it as any other. Raises `OSError` as socket(2)."""
        with self.opened() as fd:
            return self.namespaces.opener.new(family, type, proto, netns=fd)

    def connect(self, address: tuple[str, int], timeout: float | None = None) -> Socket:
        """`socket.create_connection` from there: a TCP connection to `(address, port)`."""
        with self:
            return socket.create_connection(address, timeout)

    def listen(self, address: tuple[str, int]) -> Socket:
        """`socket.create_server` there."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with self:
            return socket.create_server(address, family=family)

    async def open_connection(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """`asyncio.open_connection` from there."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = await asyncio.to_thread(self.socket, family)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise

    async def start_server(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str,
        port: int,
    ) -> asyncio.Server:
        """`asyncio.start_server` there."""
        return await asyncio.start_server(serve, sock=await asyncio.to_thread(self.listen, (host, port)))

    def netlink(self) -> Netlink:
        """A rtnetlink connection of the namespace: links, addresses, routes, as pyroute2's messages."""
        from nbcontainer.network.netlink import Netlink

        with self.opened() as fd:
            return Netlink(self.namespaces.opener.netlink(netns=fd))

    def __enter__(self) -> Self:
        """Within the block, the Python sockets that this thread (or this asyncio task) makes live there.

        Only those that `socket.socket` makes: a library that calls socket(2) by itself, in C, does not notice; nor
        does getaddrinfo(3), so names are looked up where this process is.
        """
        fd = self.open()
        block = within.sockets_of(self.namespaces.opener, fd)
        block.__enter__()
        self._within.append(block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._within.pop().__exit__(kind, error, trace)

    # -- programs

    def exec(self, argv: Sequence[str], **streams: Any) -> Any:
        """Run a program of the machine there as root of the lab, as `ip netns exec`; `on_host.run` says how.

        Gives an `ExecResult`: exit_code, stdout, stderr. `stdin` is bytes; `stdout` and `stderr` are sinks of bytes.
        """
        with self.opened() as fd:
            return self.namespaces.execute(self.lab, argv, netns=(self.name, fd), **streams)


class HostNetns(Netns):
    """The network namespace of the lab's host, which has no name."""

    def __init__(self, lab: Handle) -> None:
        super().__init__("", lab)

    def __repr__(self) -> str:
        return "<Netns of the lab's host>"

    def open(self) -> int:
        return self.namespaces.opener.netns()

    @property
    def inode(self) -> int:
        with self.opened() as fd:
            return os.fstat(fd).st_ino

    def delete(self) -> None:
        raise Conflict("the network namespace of the lab's host goes with the lab: `%lab reset` makes a new one")

    def exec(self, argv: Sequence[str], **streams: Any) -> Any:
        return self.namespaces.execute(self.lab, argv, **streams)


class ProcessNetns(Netns):
    """The network namespace of a process, such as a container's, by a pidfd: `name` is only for showing."""

    def __init__(self, name: str, lab: Handle, pidfd: int) -> None:
        super().__init__(name, lab)
        self._pidfd = os.dup(pidfd)

    def __del__(self) -> None:
        super().__del__()
        pidfd = getattr(self, "_pidfd", -1)
        if pidfd >= 0:
            os.close(pidfd)

    def open(self) -> int:
        try:
            return self.namespaces.opener.netns(self._pidfd)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise NotFound(f"{self.name} has no network namespace: it is not running") from None
            raise

    @property
    def inode(self) -> int:
        with self.opened() as fd:
            return os.fstat(fd).st_ino

    def delete(self) -> None:
        raise Conflict(f"the network namespace of {self.name} goes with it")
