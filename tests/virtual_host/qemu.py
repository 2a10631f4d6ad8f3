"""A machine inside this one with a whole kernel: QEMU, Debian's cloud kernel, this machine's own root.

Beside user-mode-linux (`host`) it has what that kernel leaves out: several processors and so cpusets, pressure stall
information, block io weights, overlayfs. The root is seen read-only, through virtiofs. QEMU
translates: it needs nothing of the machine, where nested KVM may be missing or broken, and is slow.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from tests.virtual_host.host import BOOT, Done, kept

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
KERNELS = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))
#: What the kernel needs before it sees the root.
MODULES = ("virtio_pci", "virtiofs", "virtio_blk")

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /root
/bin/busybox mount -t proc proc /proc
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod /lib/$module; done
/bin/busybox mount -t virtiofs -o ro root /root
/bin/busybox mount -t devtmpfs devtmpfs /root/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /root {boot}
"""


def missing() -> str:
    """Why it cannot be booted here; empty when it can."""
    if os.geteuid() != 0:
        return "the virtual host is booted by root"
    for program in ("qemu-system-x86_64", VIRTIOFSD, "busybox", "modprobe"):
        if shutil.which(program) is None:
            return f"not installed: {os.path.basename(program)}"
    return "" if KERNELS else "not installed: linux-image-cloud-amd64"


def initramfs(release: str) -> bytes:
    """A root for the first second: busybox, the modules, and a script that goes on to the real root."""
    needed: list[str] = []
    for module in MODULES:
        shown = subprocess.run(
            ["modprobe", "--show-depends", "--set-version", release, module], capture_output=True, text=True, check=True
        )
        needed += [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("insmod")]
    paths = list(dict.fromkeys(needed))
    files = {
        "bin/busybox": Path(str(shutil.which("busybox"))).read_bytes(),
        "init": INIT.format(boot=BOOT).encode(),
        "modules": "\n".join(os.path.basename(path) for path in paths).encode(),
        **{f"lib/{os.path.basename(path)}": Path(path).read_bytes() for path in paths},
    }
    archive = b"".join(_entry(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "lib", "dev"))
    archive += _entry("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
    archive += b"".join(_entry(name, stat.S_IFREG | 0o755, data) for name, data in files.items())
    return archive + _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    """One member of an archive in cpio's newc format (cpio(5))."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(head + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def run(script: str, timeout: float = 280, processors: int = 2) -> Done:
    """Boot, run `script` as root with sh, power off. Raises `AssertionError` when the host did not come through."""
    kernel = KERNELS[-1]
    with (
        tempfile.NamedTemporaryFile("w", dir="/var/lib", prefix="nbcontainer-job-", suffix=".sh") as job,
        tempfile.TemporaryDirectory(prefix="nbcontainer-qemu-") as place,
    ):
        job.write(script)
        job.flush()
        Path(place, "initramfs").write_bytes(initramfs(kernel.name.removeprefix("vmlinuz-")))
        # A disk to be limited; its blocks are holes.
        with open(f"{place}/disk", "wb") as disk:
            disk.truncate(64 << 20)
        socket = f"{place}/virtiofs"
        served = subprocess.Popen(
            [VIRTIOFSD, f"--socket-path={socket}", "-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=auto"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        arguments = f"console=ttyS0 quiet panic=-1 job={job.name} keep={':'.join(kept())}"
        command = [
            *("qemu-system-x86_64", "-machine", "q35,accel=tcg,memory-backend=memory", "-cpu", "max", "-m", "1536M"),
            *("-object", "memory-backend-memfd,id=memory,size=1536M,share=on", "-smp", str(processors)),
            *("-chardev", f"socket,id=root,path={socket}", "-device", "vhost-user-fs-pci,chardev=root,tag=root"),
            *("-drive", f"file={place}/disk,format=raw,if=virtio"),
            *("-kernel", str(kernel), "-initrd", f"{place}/initramfs", "-append", arguments),
            *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
        ]
        try:
            booted = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        finally:
            served.terminate()
            served.wait()
    text = booted.stdout.decode(errors="replace").replace("\r", "")
    found = re.search(r"^virtual host: exit (\d+)$", text, re.MULTILINE)
    assert found is not None, text
    return Done(text[: found.start()], int(found[1]))
