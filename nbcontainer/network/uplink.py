"""A way out of the lab: pasta or slirp4netns, run on the machine and attached to the lab's host.

Either gives the lab's host a tap link and carries what comes there over sockets of its own, as any program of the user
would: containers reach what the machine reaches, but for its loopback, and the machine is not changed.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from nbcontainer.errors import InvalidArgument
from nbcontainer.lab.handle import Handle
from nbcontainer.lab.interpreter import PACKAGE, Interpreter
from nbcontainer.network import machine_link
from nbcontainer.network.machine_link import MachineLink
from nbcontainer.network.wire import RTA_OIF, Rtnetlink, attributes

#: The link on the lab's host, its address there, and what answers at the other end; slirp4netns's own numbers.
LINK, ADDRESS, PREFIXLEN, GATEWAY, RESOLVER = "uplink0", "10.0.2.100", 24, "10.0.2.2", "10.0.2.3"
#: Programs that can be one, the faster first.
PROGRAMS = ("pasta", "slirp4netns")
#: Seconds that one may take to come up.
PATIENCE = 5.0
#: Seconds between two looks whether it has.
PAUSE = 0.004
VARIABLE = "NBCONTAINER_UPLINK"
NONE = (
    "containers reach each other and the lab's host, not the machine's network; as root: apt-get install passt, "
    "or `%lab uplink`"
)

RTM_GETROUTE = 26


class Uplink:
    """The way out of a lab. `namespaces` gives descriptors of its network and its user namespace."""

    def __init__(
        self,
        lab: Handle,
        host: Callable[[], AbstractContextManager[socket.socket]],
        namespaces: Callable[[], tuple[int, int]],
    ) -> None:
        self.lab = lab
        self.host = host
        self.namespaces = namespaces
        #: What carries packets now, "" when nothing does, and why nothing does.
        self.program = ""
        self.refusal = NONE
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._errors = self._told = -1
        self._waited = True
        self._link: MachineLink | None = None

    def __del__(self) -> None:
        for fd in (getattr(self, "_pidfd", -1), getattr(self, "_errors", -1)):
            if fd >= 0:
                os.close(fd)

    @property
    def resolver(self) -> str | None:
        """Where the machine's resolvers can be asked when the machine has them on its loopback only."""
        return RESOLVER if self.program in PROGRAMS else None

    def start(self) -> None:
        """Start what is installed; `wait` sees whether it works. Nothing happens where nothing is."""
        wanted = os.environ.get(VARIABLE, "auto")
        if wanted not in ("auto", "none", *PROGRAMS):
            raise InvalidArgument(f"{VARIABLE}={wanted}: it is auto, none, {' or '.join(PROGRAMS)}")
        names = [wanted] if wanted in PROGRAMS else PROGRAMS if wanted == "auto" else ()
        if wanted == "none":
            self.refusal = f"{VARIABLE} is none: {NONE.partition(';')[0]}"
        found = next((name for name in names if shutil.which(name)), None)
        if found is None or not os.path.exists("/dev/net/tun"):
            return
        with self._lock:
            self._start(found)

    def _start(self, program: str) -> None:
        net, user = self.namespaces()
        self._errors = os.memfd_create("uplink", os.MFD_CLOEXEC)
        owner = os.pidfd_open(os.getpid())
        told, say = os.pipe2(os.O_CLOEXEC)
        argv = _pasta(net, user) if program == "pasta" else _slirp4netns(net, user)
        fds = [owner, self.lab.pidfd, net, user, say]
        code = f"main({[owner, self.lab.pidfd]}, {say}, {argv!r})"
        try:
            self._keeper = subprocess.Popen(
                [
                    Interpreter.current().executable,
                    *("-I", "-S", "-c"),
                    f"import sys; sys.path.append({PACKAGE!r}); from nbcontainer.network.keeper import main; {code}",
                ],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(owner)
            os.close(say)
        self._told = told
        self.program, self._waited = program, False

    def wait(self) -> None:
        """Until the way out can be used, or has turned out not to work."""
        if self._waited:
            return
        with self._lock:
            if self._waited:
                return
            self._waited = True
            deadline = time.monotonic() + PATIENCE
            with os.fdopen(self._told, "rb") as told:
                ready, _, _ = select.select([told], [], [], PATIENCE)
                text = os.read(told.fileno(), 32) if ready else b""
            try:
                self._pidfd = os.pidfd_open(int(text or 0))
            except (ProcessLookupError, ValueError, OSError):
                deadline = 0.0
            assert self._keeper is not None
            while time.monotonic() < deadline and self._keeper.poll() is None:
                if self._routed():
                    self.refusal = ""
                    return
                time.sleep(PAUSE)
            said = os.pread(self._errors, 4096, 0).decode(errors="replace").strip().splitlines()
            program = self.program
            self._stop()
            self.refusal = f"{program} did not come up{f' ({said[-1]})' if said else ''}: {NONE}"

    def link(self) -> MachineLink:
        """`%lab uplink`: a pair of links to the machine in the place of a program. Takes root; once is enough.

        Raises `Unavailable`, `Conflict`.
        """
        self.wait()
        with self._lock:
            if self._link is None:
                machine_link.check()  # before the way out there is now is given up
                self._stop()
                self._link = machine_link.make(self.lab, self.host, self.namespaces()[0], LINK)
                self.program, self.refusal = f"veth {self._link.name}", ""
            return self._link

    def _routed(self) -> bool:
        with self.host() as sock:
            rtnetlink = Rtnetlink(sock)
            index = next((link["index"] for link in rtnetlink.links() if link["name"] == LINK), None)
            if index is None:
                return False
            for _, message in rtnetlink.dump(RTM_GETROUTE, struct.pack("BBBBBBBBI", socket.AF_INET, *[0] * 8)):
                found = dict(attributes(message, 12))
                if message[1] == 0 and RTA_OIF in found and struct.unpack("i", found[RTA_OIF])[0] == index:
                    return True
        return False

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.remove()
            self.program, self.refusal = "", NONE
        if self._keeper is None:
            return
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(self._pidfd)
            self._pidfd = -1
            self._keeper.wait()  # it sees the end of its program, or of the lab
        else:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper = None
        self.program, self.refusal = "", NONE


def _pasta(net: int, user: int) -> list[str]:
    """passt(1): no ports of the machine's into the lab nor the other way, and no way to its loopback."""
    return [
        *("pasta", "--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw"),
        *(("--runas", "0:0") if os.geteuid() == 0 else ()),
        *("--ns-ifname", LINK, "--ns-mac-addr", "02:44:0a:00:02:64"),
        *("--address", ADDRESS, "--netmask", str(PREFIXLEN), "--gateway", GATEWAY, "--dns-forward", RESOLVER),
        *("--no-dhcp", "--no-ndp", "--no-dhcpv6", "--no-ra"),
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none"),
        *("--userns", f"/proc/self/fd/{user}", "--netns", f"/proc/self/fd/{net}"),
    ]


def _slirp4netns(net: int, user: int) -> list[str]:
    """slirp4netns(1)."""
    return [
        *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--macaddress=02:44:0a:00:02:64"),
        *(f"--userns-path=/proc/self/fd/{user}", "--netns-type=path", f"/proc/self/fd/{net}", LINK),
    ]
