"""A running capture: the background loop reads, anyone looks."""

from __future__ import annotations

import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nbcontainer.errors import NbcontainerError
from nbcontainer.network.capture.packet import Packet
from nbcontainer.network.capture.pcapng import pcapng
from nbcontainer.network.capture.talk import Talk, talk
from nbcontainer.network.capture.tap import Tap

if TYPE_CHECKING:
    from nbcontainer.lab.handle import Handle
    from nbcontainer.network.netns import Netns

#: As many packets as a capture keeps unless told otherwise.
LIMIT = 100_000


class Capture:
    """The packets of a link from now until `stop()`: `Capture("docker0", "icmp")`.

    `link` is in `netns`, by default the lab's host; `any` is all links there. `filter` is pcap-filter(7)'s. After
    `limit` packets no more are kept. `names` are what to call addresses in the diagram, besides those of named network
    namespaces. Raises `NotFound` for a link that is not there, `InvalidArgument` for a filter that cannot be.

    >>> with Capture("veth1.1", "icmp", netns=Netns("r2")) as c:
    ...     Netns("r2").exec(["ping", "-c", "1", "10.1.0.2"])
    >>> print(c.diagram)
    """

    def __init__(
        self,
        link: str,
        filter: str = "",
        *,
        netns: Netns | None = None,
        lab: Handle | None = None,
        limit: int = LIMIT,
        names: Callable[[], Mapping[str, str]] | Mapping[str, str] | None = None,
    ) -> None:
        if netns is None:
            if lab is None:
                from nbcontainer.runtime import current_lab  # only where no lab is named

                lab = current_lab()
            netns = lab.netns.host  # type: ignore[attr-defined]
        assert netns is not None
        self.link, self.filter, self.netns, self.limit = link, filter, netns, limit
        #: Packets that the kernel dropped since we did not read fast enough.
        self.dropped = 0
        #: Whether it takes packets still.
        self.running = True
        self._names = names
        self._known: dict[str, str] | None = None
        self._packets: list[Packet] = []
        self._changed = threading.Condition()
        self._tap = Tap(link, filter, netns)
        self._loop = netns.lab.loop
        # By a weak reference: a capture that nobody has any more is not kept running by the loop.
        read = weakref.WeakMethod(self._read)
        self._loop.do(self._loop.asyncio.add_reader, self._tap.sock.fileno(), lambda: _call(read))
        netns.namespaces.running.add(self)

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        count = len(self.packets)
        return f"<Capture {self.link}: {count} packet{'' if count == 1 else 's'}, {state}>"

    def __len__(self) -> int:
        return len(self.packets)

    # -- on the loop's thread

    def _read(self) -> None:
        if not self.running:
            return
        taken = self._tap.read()
        if taken is None:  # the link was deleted
            self._end()
            return
        with self._changed:
            for one in taken[: self.limit - len(self._packets)]:
                self._packets.append(
                    Packet(
                        number=len(self._packets) + 1,
                        time=one.time,
                        link=one.link or self.link,
                        data=one.data,
                        outgoing=one.outgoing,
                        linktype=one.linktype,
                        length=one.length,
                    )
                )
            self._changed.notify_all()
        if len(self._packets) >= self.limit:
            self._end()

    def _drain(self) -> None:
        before = -1
        while self.running and before != len(self._packets):
            before = len(self._packets)
            self._read()

    def _end(self) -> None:
        if self.running:
            self.dropped += self._tap.dropped()
            self._loop.asyncio.remove_reader(self._tap.sock.fileno())
            self._tap.close()
            self.running = False
            with self._changed:
                self._changed.notify_all()

    def _finish(self) -> None:
        self._drain()
        self._end()

    # -- for everybody

    @property
    def packets(self) -> list[Packet]:
        """The packets so far, oldest first."""
        if self.running:
            self._loop.do(self._drain)
        return list(self._packets)

    def wait(self, count: int, timeout: float = 10.0) -> list[Packet]:
        """The packets, when there are `count` at least, or it has stopped. Raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._packets) >= count or not self.running, timeout):
                raise TimeoutError(f"{len(self._packets)} of {count} packets on {self.link} after {timeout} seconds")
        return self.packets

    def stop(self) -> Self:
        """Take no more; what had come by then is kept. Again does nothing."""
        self._loop.do(self._finish)
        if self._known is None:
            self._known = self._find_names()
        return self

    def save(self, path: str | Path) -> Path:
        """Write a pcapng file for Wireshark or tcpdump; its path. Raises `OSError`."""
        place = Path(path)
        place.write_bytes(pcapng(self.packets, self.filter))
        return place

    @property
    def diagram(self) -> Talk:
        """Who talked to whom, in order."""
        return talk(self.packets, self._known if self._known is not None else self._find_names())

    def _find_names(self) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            found.update(self.netns.namespaces.addresses())
            if self._names is not None:
                found.update(self._names() if callable(self._names) else self._names)
        except (NbcontainerError, OSError):
            pass  # names are only a help: the lab may have ended meanwhile
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __del__(self) -> None:
        if "_loop" in self.__dict__ and self.running:
            try:
                self._loop.soon(_let_go, self._loop.asyncio, self._tap)
            except RuntimeError:
                pass  # the loop has ended with the process


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()


def _let_go(loop: AbstractEventLoop, tap: Tap) -> None:
    loop.remove_reader(tap.sock.fileno())
    tap.close()
