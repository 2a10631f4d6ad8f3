"""Where a command acts, and how: a network namespace, its links, and the options before the object."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from nbcontainer.errors import Conflict, InvalidArgument, NbcontainerError, NotFound, Unavailable
from nbcontainer.network.ip.words import Words
from nbcontainer.network.netlink import Netlink, Refused
from nbcontainer.network.netns import Netns
from nbcontainer.network.wire import link_message, name_attribute

RTM_GETLINK = 18
#: Links that the kernel gives a MAC address by chance: ours have one that repeats.
WITH_MAC = {"veth", "bridge", "vxlan", "macvlan", "macvtap", "dummy", "ifb", "geneve", "gretap", "tap"}


@dataclass
class Options:
    """`ip [OPTIONS] OBJECT`: the address family asked for (0 for any), and how much of what is shown."""

    family: int = 0
    details: bool = False
    stats: bool = False
    brief: bool = False
    oneline: bool = False
    json: bool = False
    everything: bool = False


class Context:
    """One command's hold on a network namespace."""

    def __init__(self, netns: Netns, options: Options) -> None:
        self.netns = netns
        self.namespaces = netns.namespaces
        self.options = options
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def netlink(self) -> Netlink:
        """A netlink socket there."""
        return self._stack.enter_context(self.netns.netlink())

    def request(self, kind: int, message: Any, flags: int, what: str, needs: str = "") -> list[Any]:
        """`Netlink.request`, a refusal in iproute2's words; `needs` is what a kernel must be built with for it."""
        try:
            return self.netlink.request(kind, message, flags, what)
        except Refused as error:
            made = refusal(error, what)
            if needs and isinstance(made, Unavailable):
                made = Unavailable(f"{made} (this kernel has no {needs})")
            raise made from None

    # -- links

    @cached_property
    def links(self) -> dict[int, Any]:
        """Every link by index, as they were when the command first asked."""
        return {message["index"]: message for message in self.netlink.dump(RTM_GETLINK, ifinfmsg())}

    def forget_links(self) -> None:
        """Ask again next time."""
        self.__dict__.pop("links", None)

    def index(self, name: str, words: str = 'Cannot find device "{name}"') -> int:
        """The index of a link. Raises `NotFound`."""
        if "links" not in self.__dict__:
            found = self._asked(name)
            if found:
                return found
        for index, link in self.links.items():
            if link.get_attr("IFLA_IFNAME") == name or name in altnames(link):
                return index
        raise NotFound(f"{words.format(name=name)}{self._hint(name)}")

    def _asked(self, name: str) -> int:
        """The index of one link, without reading all of them; 0 when there is none."""
        try:
            (reply,) = self.netlink.request(RTM_GETLINK, link_message() + name_attribute(name))
        except (OSError, ValueError):
            return 0  # the kernel takes no such name, or knows none
        return int(struct.unpack_from("i", reply, 20)[0])

    def _hint(self, name: str) -> str:
        where = "on the lab's host" if not self.netns.name else f"in {self.netns.name}"
        known = ", ".join(str(link.get_attr("IFLA_IFNAME")) for link in self.links.values())
        return f" ({where} there are {known})"

    def name_of(self, index: int) -> str:
        """A link's name, or `if7` for one that is not here."""
        link = self.links.get(index)
        return str(link.get_attr("IFLA_IFNAME")) if link is not None else f"if{index}"

    def new_mac(self, name: str, place: str) -> str:
        """The MAC address of a new link: the same each time the lab's commands come in the same order."""
        count = self.namespaces.count((place, name))
        seed = f"{self.netns.lab.seed}/{place}/{name}/{count}"
        return "02:44:" + hashlib.sha256(seed.encode()).digest()[:4].hex(":")

    @property
    def place(self) -> str:
        """A word for the namespace."""
        return self.netns.name

    # -- other namespaces

    def netns_fd(self, word: str, words: Words) -> int:
        """A descriptor of a namespace by name or by a pid of the lab; it lives as long as the command."""
        if word.isdigit() and word not in self.namespaces.names():
            fd = self.namespaces.open_pid(int(word))
        else:
            try:
                fd = self.namespaces.open(word)
            except NotFound:
                known = ", ".join(self.namespaces.names()) or "none"
                raise NotFound(f'argument "{word}" is wrong: Invalid "netns" value (there are {known})') from None
        self._stack.callback(os.close, fd)
        return fd

    @cached_property
    def names_by_id(self) -> dict[int, str]:
        """What the numbers of `link-netnsid` are called below /run/netns."""
        found: dict[int, str] = {}
        for name in self.namespaces.names():
            try:
                fd = self.namespaces.open(name)
            except NbcontainerError:
                continue
            try:
                number = self.netlink.netns_id(fd)
            except OSError:
                continue  # `ip netns add` was killed on the way: a plain file
            finally:
                os.close(fd)
            if number is not None:
                found.setdefault(number, name)
        return found


def altnames(link: Any) -> list[str]:
    """A link's other names."""
    properties = link.get_attr("IFLA_PROP_LIST")
    return list(properties.altnames()) if properties is not None else []


_KINDS: dict[int, type[NbcontainerError]] = {
    errno.EEXIST: Conflict,
    errno.EBUSY: Conflict,
    errno.EADDRINUSE: Conflict,
    errno.ENODEV: NotFound,
    errno.ENOENT: NotFound,
    errno.ESRCH: NotFound,
    errno.EADDRNOTAVAIL: NotFound,
    errno.ENXIO: NotFound,
    errno.EOPNOTSUPP: Unavailable,
    errno.EPERM: Unavailable,
}


def refusal(error: Refused, what: str) -> NbcontainerError:
    """What the kernel refused, in iproute2's words, and what it was about."""
    said = error.said or f"RTNETLINK answers: {error.strerror}"
    return _KINDS.get(error.errno or 0, InvalidArgument)(f"{said.rstrip('.')}: {what}")
