"""The image `busybox`, made from the machine's own static busybox: an honest copy, no download."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from nbcontainer.errors import Unavailable
from nbcontainer.image.image import architecture
from nbcontainer.image.store import digest

TAG = "busybox:latest"
#: Where Debian and others put it.
BINARIES = ("/bin/busybox", "/usr/bin/busybox", "/usr/bin/busybox.static", "/bin/busybox.static")
#: The time in the image: a fixed one, so that the same busybox gives the same image.
EPOCH = 1_000_000_000
CREATED = "2001-09-09T01:46:40Z"
REMEDY = "apt-get install busybox-static"

#: As in the image on Docker Hub, whose root is Buildroot's.
_PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
cdrom:x:11:
dialout:x:18:
floppy:x:19:
tape:x:26:
video:x:28:
audio:x:29:
www-data:x:33:
operator:x:37:
utmp:x:43:
plugdev:x:46:
staff:x:50:
lock:x:54:
netdev:x:82:
users:x:100:
nogroup:x:65534:
"""
PT_INTERP = 3
_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/spool": 0o755,
    "var/spool/mail": 0o755,
    "var/www": 0o755,
}


def find(binary: Path | None = None) -> Path:
    """The machine's static busybox, or `binary` if it is one. Raises `Unavailable`."""
    candidates = [binary] if binary else [Path(name) for name in BINARIES]
    for candidate in candidates:
        if candidate.is_file() and is_static(candidate):
            return candidate
    if binary is not None and binary.is_file():
        raise Unavailable(f"{binary} is no static program, and would lack its libraries in an image: {REMEDY}")
    raise Unavailable(f"{binary or 'a static busybox'} is not on this machine: {REMEDY}")


def is_static(path: Path) -> bool:
    """Whether it is an ELF program, of 64 bits as this machine, that asks for no interpreter (elf(5), PT_INTERP)."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
            return False
        offset = int.from_bytes(head[32:40], "little")
        size, count = int.from_bytes(head[54:56], "little"), int.from_bytes(head[56:58], "little")
        file.seek(offset)
        table = file.read(size * count)
    return all(int.from_bytes(table[n * size : n * size + 4], "little") != PT_INTERP for n in range(count))


def busybox(binary: Path | None = None) -> tuple[bytes, bytes]:
    """The image's one layer, as a tar archive, and its config: the same for the same program."""
    path = find(binary)
    applets = _said_by(path, "--list").split()
    version = _said_by(path).partition("\n")[0]
    if "sh" not in applets:
        raise Unavailable(f"{path} is no busybox with a shell: {REMEDY}")
    layer = _layer(path.read_bytes(), sorted(set(applets) - {"busybox"}))
    document: dict[str, Any] = {
        "architecture": architecture(),
        "os": "linux",
        "created": CREATED,
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [
            {
                "created": CREATED,
                "created_by": "nbcontainer image bootstrap busybox # this machine's own static busybox",
                "comment": version,
            },
            {"created": CREATED, "created_by": 'CMD ["sh"]', "empty_layer": True},
        ],
    }
    return layer, json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _said_by(path: Path, *arguments: str) -> str:
    try:
        # By its own name, whatever its file is called: busybox is the applet that it is called by.
        done = subprocess.run(
            ["busybox", *arguments],
            executable=path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{path} cannot be run: {error}; {REMEDY}") from None
    return done.stdout or done.stderr


def _layer(program: bytes, applets: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode))
        for name, data, mode in (
            ("bin/busybox", program, 0o755),
            ("etc/group", _GROUP.encode(), 0o644),
            ("etc/passwd", _PASSWD.encode(), 0o644),
        ):
            entry = _entry(name, tarfile.REGTYPE, mode)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for applet in applets:
            entry = _entry(f"bin/{applet}", tarfile.LNKTYPE, 0o755)
            entry.linkname = "bin/busybox"
            tar.addfile(entry)
        # Scripts ask for it by this name.
        env = _entry("usr/bin/env", tarfile.SYMTYPE, 0o777)
        env.linkname = "../../bin/env"
        tar.addfile(env)
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, EPOCH
    return entry
