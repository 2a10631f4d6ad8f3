"""Runs inside the lab: programs on the path of its shell, below `DIRECTORY`. Standard library only.

`docker` there speaks with the notebook's process, over a socket that no container sees, and that answers nobody but
what the line of a cell runs: it hands over its words and its own standard input, output and error, and ends with the
exit code it is told. What the machine lacks of the
network's classic tools, and busybox has, is there too.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

from nbcontainer.lab.inside import Descriptors

DIRECTORY = "/run/nbcontainer/bin"
SOCKET = "/run/nbcontainer/docker.sock"
#: Where the machine's own programs are looked for; init has a path without the last two.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
#: What busybox stands in for.
CLASSIC = ("arp", "brctl", "ifconfig", "ip", "netstat", "ping", "ping6", "route", "sysctl", "traceroute")
#: Busybox's ifconfig knows no ADDRESS/LENGTH.
IFCONFIG = """#!/bin/sh
for word do
    shift
    case $word in
    *.*.*.*/*)
        mask=$((0xffffffff << (32 - ${word#*/}) & 0xffffffff))
        dotted=$((mask >> 24)).$((mask >> 16 & 255)).$((mask >> 8 & 255)).$((mask & 255))
        set -- "$@" "${word%/*}" netmask "$dotted" ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec busybox ifconfig "$@"
"""

DOCKER = f"""#!/usr/bin/env python3
import json, os, signal, socket, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect({SOCKET!r})
socket.send_fds(connection, [json.dumps([sys.argv[1:], os.getcwd()]).encode()], [0, 1, 2])
try:
    code = int(connection.recv(16))
except (ConnectionError, ValueError):
    code = 125
    sys.stderr.write("docker: only what a line of a cell runs, while it does, is listened to\\n")
sys.exit(code)
"""


def install() -> Descriptors:
    """Write the programs; a listening socket for `docker` comes back."""
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    _write("docker", DOCKER)
    applets = _applets()
    for name in CLASSIC:
        if shutil.which(name, path=PATH) is None and name in applets:
            _write(name, IFCONFIG if name == "ifconfig" else f'#!/bin/sh\nexec busybox {name} "$@"\n')
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    listener.bind(SOCKET)
    os.chmod(SOCKET, 0o600)
    listener.listen(16)
    return Descriptors(None, [listener.detach()])


def _applets() -> list[str]:
    if shutil.which("busybox") is None:
        return []
    return subprocess.run(["busybox", "--list"], capture_output=True, text=True).stdout.split()


def _write(name: str, text: str) -> None:
    path = f"{DIRECTORY}/{name}"
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
