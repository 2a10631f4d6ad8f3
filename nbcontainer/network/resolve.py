"""The texts of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, as Docker writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def files(
    *,
    hostname: str,
    domainname: str | None,
    ips: Sequence[str],
    add_host: Sequence[str],
    dns: Sequence[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    answerer: bool = False,
    otherwise: str | None = None,
) -> dict[str, str]:
    """Path and text of each. With `answerer`, names are asked of the one at 127.0.0.11.

    `otherwise` is a server for when the machine has none but on its loopback.
    """
    return {
        "/etc/hosts": hosts(hostname, domainname, ips, add_host),
        "/etc/hostname": f"{hostname}\n",
        "/etc/resolv.conf": resolv_conf(dns, search, options, answerer, otherwise),
    }


def hosts(hostname: str, domainname: str | None, ips: Sequence[str], add_host: Sequence[str]) -> str:
    """hosts(5): localhost, what `--add-host` gave, the container itself."""
    lines = [_LOCAL]
    for entry in add_host:
        name, _, address = entry.partition("=") if "=" in entry else entry.partition(":")
        lines.append(f"{gateway() if address == 'host-gateway' else address.strip('[]')}\t{name}\n")
    full = f"{hostname}.{domainname} " if domainname else ""
    lines += [f"{ip}\t{full}{hostname}\n" for ip in ips if hostname]
    return "".join(lines)


def gateway() -> str:
    """What `host-gateway` stands for: the lab's host on docker0."""
    return "172.17.0.1"


def resolv_conf(
    dns: Sequence[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    answerer: bool = False,
    otherwise: str | None = None,
) -> str:
    """resolv.conf(5): the servers asked for, else the machine's, without those on its loopback.

    With `answerer` the one server is 127.0.0.11, which asks those. `search` and `options` take the machine's place;
    a search of "." is none.
    """
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in _machines().splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] in kept and (words[0] != "nameserver" or _reachable(words[1])):
            kept[words[0]].append(line)
    if otherwise and not kept["nameserver"]:
        kept["nameserver"] = [f"nameserver {otherwise}"]
    if dns:
        kept = {"nameserver": [f"nameserver {server}" for server in dns], "search": [], "options": []}
    if search:
        kept["search"] = [] if tuple(search) == (".",) else ["search " + " ".join(search)]
    if options:
        kept["options"] = ["options " + " ".join(options)]
    if answerer:
        kept["nameserver"] = ["nameserver 127.0.0.11"]
        kept["options"] = [*kept["options"][:1], *([] if kept["options"] else ["options ndots:0"])]
    return "".join(f"{line}\n" for lines in kept.values() for line in lines)


def _machines() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return ""


def _reachable(server: str) -> bool:
    """Whether a container can ask a resolver of the machine's: one on its loopback, or none at all, it cannot."""
    try:
        return not ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False
