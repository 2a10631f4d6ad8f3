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
    *, hostname: str, domainname: str | None, ip: str | None, add_host: Sequence[str], dns: Sequence[str]
) -> dict[str, str]:
    """Path and text of each."""
    return {
        "/etc/hosts": hosts(hostname, domainname, ip, add_host),
        "/etc/hostname": f"{hostname}\n",
        "/etc/resolv.conf": resolv_conf(dns),
    }


def hosts(hostname: str, domainname: str | None, ip: str | None, add_host: Sequence[str]) -> str:
    """hosts(5): localhost, what `--add-host` gave, the container itself."""
    lines = [_LOCAL]
    for entry in add_host:
        name, _, address = entry.partition("=") if "=" in entry else entry.partition(":")
        lines.append(f"{gateway() if address == 'host-gateway' else address.strip('[]')}\t{name}\n")
    if ip is not None and hostname:
        full = f"{hostname}.{domainname} " if domainname else ""
        lines.append(f"{ip}\t{full}{hostname}\n")
    return "".join(lines)


def gateway() -> str:
    """What `host-gateway` stands for: the lab's host on docker0."""
    return "172.17.0.1"


def resolv_conf(dns: Sequence[str]) -> str:
    """resolv.conf(5): the servers asked for, else the machine's, without those on its loopback."""
    if dns:
        return "".join(f"nameserver {server}\n" for server in dns)
    try:
        text = Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        text = ""
    kept = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                if ipaddress.ip_address(words[1].partition("%")[0]).is_loopback:
                    continue
            except ValueError:
                continue
            kept.append(line)
        elif words and words[0] in ("search", "options"):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)
