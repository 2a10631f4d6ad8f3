"""`ip tuntap`: links whose other end is a program (ip-tuntap(8), Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from nbcontainer.errors import Conflict, NbcontainerError, Unavailable, UsageError
from nbcontainer.network import opener
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context
from nbcontainer.network.ip.link import RTM_NEWLINK
from nbcontainer.network.ip.link_show import kind_of
from nbcontainer.network.ip.words import Words
from nbcontainer.syscalls import namespaces

TUNSETPERSIST = 0x400454CB
MODES = {"tun": 0x0001, "tap": 0x0002}
IFF_NO_PI = 0x1000
FLAGS = {"one_queue": 0x2000, "vnet_hdr": 0x4000, "multi_queue": 0x0100}


def tuntap(context: Context, words: Words) -> Answer | None:
    """`ip tuntap {add|del|show} [dev] NAME mode {tun|tap} [pi] [vnet_hdr] [multi_queue]`."""
    command = words.command(("add", "delete", "show", "list", "lst"), "show", "ip tuntap")
    if command in ("show", "list", "lst"):
        words.end()
        return show(context)
    name, mode, flags = "", "", IFF_NO_PI
    while words:
        word = words.next()
        if word == "mode":
            mode = words.choice(word, MODES)
        elif word in MODES and not mode:
            mode = word
        elif word == "pi":
            flags &= ~IFF_NO_PI
        elif word in FLAGS:
            flags |= FLAGS[word]
        elif word in ("user", "group"):
            raise UsageError(f'"{word}" has no meaning here: this process may use every link of its lab')
        else:
            if name:
                words.garbage(word)
            name = words.link_name(word) if word in ("name", "dev") else Words([word], words.path).link_name("name")
    if not mode:
        raise UsageError(f'You failed to specify a tunnel mode: "mode tun" or "mode tap": {words.path}')
    if command == "delete":
        context.index(name)
    fd = open_link(context, name, MODES[mode] | flags)
    try:
        fcntl.ioctl(fd, TUNSETPERSIST, int(command == "add"))
    finally:
        os.close(fd)
    context.forget_links()
    if command == "add" and mode == "tap":
        message = ifinfmsg()
        message["index"] = context.index(name)
        message["attrs"] = [["IFLA_ADDRESS", context.new_mac(name, context.place)]]
        context.request(RTM_NEWLINK, message, 0, f"link {name}")
        context.forget_links()
    return None


def open_link(context: Context, name: str, flags: int) -> int:
    """A descriptor of the program's end of a tun or tap link, which is made when there is none."""
    with context.netns.opened() as netns:
        try:
            return context.namespaces.opener.tuntap(name, flags, netns)
        except PermissionError as error:
            if os.geteuid() != 0:
                raise _refused(name, error) from None
        except OSError as error:
            raise _refused(name, error) from None
        # Only the machine's root may open the device here, and the ids of a lab made by root are others.
        try:
            return _open_as_root(name, flags, netns)
        except OSError as error:
            raise _refused(name, error) from None


def _open_as_root(name: str, flags: int, netns: int) -> int:
    """Open it in a thread of this process that is in the namespace, and ends there."""

    def there() -> int:
        namespaces.setns(netns, namespaces.CLONE_NEWNET)
        return opener.open_tuntap(name, flags)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(there).result()


def _refused(name: str, error: OSError) -> NbcontainerError:
    said = f"ioctl(TUNSETIFF): {error.strerror}: link {name}"
    if error.errno in (errno.EBUSY, errno.EEXIST):
        return Conflict(said)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.EACCES):
        return Unavailable(f"open: {error.strerror}: /dev/net/tun: this machine has no tun and tap links (CONFIG_TUN)")
    return UsageError(f"{said}: one of another kind has the name")


def show(context: Context) -> Answer:
    """`ip tuntap show`."""
    rows: list[dict[str, Any]] = []
    lines = []
    for _, link in sorted(context.links.items()):
        if kind_of(link) != "tun":
            continue
        data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
        flags = [next(name for name, number in MODES.items() if number == data.get_attr("IFLA_TUN_TYPE"))]
        flags += ["pi"] if data.get_attr("IFLA_TUN_PI") else []
        flags += ["vnet_hdr"] if data.get_attr("IFLA_TUN_VNET_HDR") else []
        flags += ["multi_queue"] if data.get_attr("IFLA_TUN_MULTI_QUEUE") else []
        flags += ["persist"] if data.get_attr("IFLA_TUN_PERSIST") else []
        rows.append({"ifname": link.get_attr("IFLA_IFNAME"), "flags": flags})
        lines.append(f"{rows[-1]['ifname']}: {' '.join(flags)}")
    return answer("tuntap", rows, lines)
