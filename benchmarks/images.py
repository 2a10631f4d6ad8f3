"""An image of 290 MB and 11,000 files, loaded and pulled, beside Docker: python -m benchmarks.images

The files are the machine's own, so that they compress as files do. It is pulled from Debian's docker-registry on
loopback: Docker's has a network namespace of its own, so its registry is a second one, with the same files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import QUIET, Row, Samples, compared, limit, proportional, seconds_of, table
from nbcontainer.runtime import Lab, current_lab
from tests.peers import Docker, missing
from tests.registries import PROGRAM, Registry

NAME = "benchmark:1"
BYTES, FILES, LAYERS = 290_000_000, 11_000, 5
#: Files smaller than this are many, those above it make up the size.
SMALL = 60_000
COUNT = 3
_PLACES = ("/usr/lib/python3", "/usr/share", "/usr/include", "/usr/lib", "/usr/bin", "/opt")


def machine_files() -> list[tuple[str, int]]:
    """Files of this machine, and their bytes: as many, and as large together, as wanted, as far as there are."""
    seen: dict[str, int] = {}
    for place in _PLACES:
        for directory, _, names in os.walk(place):
            for name in names:
                path = f"{directory}/{name}"
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    seen[path] = os.path.getsize(path)
    small = sorted(path for path, size in seen.items() if size < SMALL)
    random.Random(1).shuffle(small)
    chosen = small[: FILES - 400]
    rest = BYTES - sum(seen[path] for path in chosen)
    for path in sorted((path for path, size in seen.items() if size >= SMALL), key=lambda path: (-seen[path], path)):
        if seen[path] <= rest // 4 and len(chosen) < FILES:
            chosen.append(path)
            rest -= seen[path]
    return [(path, seen[path]) for path in chosen]


def archive(target: Path) -> tuple[int, int]:
    """Write the image as `docker save` would; how many files and bytes it has."""
    files = machine_files()
    layers = [target.with_name(f"layer{number}") for number in range(LAYERS)]
    for number, path in enumerate(layers):
        made = set()
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, size in sorted(files[number::LAYERS]):
                parts = name.split("/")[1:-1]
                for depth in range(1, len(parts) + 1):
                    directory = "/".join(parts[:depth])
                    if directory not in made:
                        made.add(directory)
                        entry = tarfile.TarInfo(directory)
                        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                        tar.addfile(entry)
                entry = tarfile.TarInfo(name[1:])
                entry.size = size
                with open(name, "rb") as file:
                    tar.addfile(entry, file)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
    }).encode()  # fmt: skip
    names = [f"{one}/layer.tar" for one in digests]
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": names}]
    with tarfile.open(target, "w") as tar:
        for name, path in zip(names, layers, strict=True):
            tar.add(path, arcname=name)
            path.unlink()
        for name, data in (("config.json", config), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return len(files), sum(size for _, size in files)


class Memory:
    """The most memory that this process and its lab have had, beyond what they had before: `with Memory(lab) as m`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before = self._now()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def _now(self) -> int:
        namespace = os.readlink(f"/proc/{self._lab.pid}/ns/user")
        total = proportional(os.getpid())
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "ns/user") == namespace:
                    total += proportional(int(process.name))
            except OSError:
                continue  # ended meanwhile
        return total

    def _watch(self) -> None:
        while not self._stopped.wait(0.02):
            self.most = max(self.most, self._now() - self._before)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def beside(what: str, ours: Side, peer: str, theirs: Side | str, goal: int) -> Row:
    """Both in turn, COUNT times after one that does not count; what undoes them is not timed.

    Each begins with a disk that has nothing left to write: neither waits for what the other has written.
    """
    mine: list[float] = []
    others: list[float] = []
    for _ in range(COUNT + 1):
        for side, seconds in ((ours, mine), (theirs, others)):
            if isinstance(side, str):
                continue
            os.sync()
            time.sleep(QUIET)
            seconds.append(seconds_of(side[0]))
            side[1]()
    if isinstance(theirs, str):
        return Row(what, str(Samples(mine[1:])), f"{peer}: {theirs}", f"≤ 1/{goal}", "not compared")
    return compared(what, Samples(mine[1:]), peer, Samples(others[1:]), goal)


#: What is timed, and what undoes it.
Side = tuple[Callable[[], object], Callable[[], object]]


def images(lab: Lab, docker: Docker | str) -> list[Row]:
    """Loads and pulls, and the memory they take."""
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="nbcontainer-images-", dir="/var/tmp"))
        stack.callback(shutil.rmtree, place)
        plain, packed = place / "image.tar", place / "image.tar.gz"
        count, size = archive(plain)
        with packed.open("wb") as file:
            subprocess.run(["gzip", "--stdout", plain], check=True, stdout=file)
        what = f"{size / 1e6:.0f} MB, {count} files"
        rows = []
        for name, path in (("plain", plain), ("gzip", packed)):
            theirs: Side | str = docker
            if isinstance(docker, Docker):
                theirs = (
                    lambda path=path: docker.docker("load", "--input", str(path)),  # type: ignore[misc]
                    lambda: docker.docker("rmi", NAME),
                )
            ours: Side = (lambda path=path: lab.images.load(path), lambda: lab.images.remove(NAME))  # type: ignore[misc]
            rows.append(beside(f"load of {what}, {name}", ours, "docker load", theirs, 4))
        return [*rows, *pulls(lab, docker, plain, what, place, stack)]


def pulls(lab: Lab, docker: Docker | str, archive: Path, what: str, place: Path, stack: ExitStack) -> list[Row]:
    """The same from a registry."""
    what = f"pull of {what}, from loopback"
    if PROGRAM is None:
        return [Row(what, "", "", "≤ 1/3", "not installed: docker-registry")]
    registry = stack.enter_context(Registry(place / "registry"))
    name = f"{registry.host}/{NAME}"
    lab.images.load(archive)
    lab.images.tag(NAME, name)
    lab.images.push(name)
    theirs: Side | str = docker
    if isinstance(docker, Docker):
        netns = ("nsenter", f"--net=/proc/{docker.pid}/ns/net")
        subprocess.run([*netns, "ip", "link", "set", "lo", "up"], check=True)
        (place / "theirs").mkdir()
        (place / "theirs/data").symlink_to(place / "registry/data")
        stack.enter_context(Registry(place / "theirs", port=registry.port, netns=netns))
        theirs = (lambda: docker.docker("pull", name), lambda: docker.docker("rmi", name))
        time.sleep(1)
    image = lab.images.get(name)

    def forget() -> None:
        lab.images.remove(image.id, force=True)

    forget()
    row = beside(what, (lambda: lab.images.pull(name), forget), "docker pull", theirs, 3)
    with Memory(lab) as memory:
        lab.images.pull(name)
    forget()
    return [row, limit("memory that a pull takes, all of ours together", memory.most / 1e6, "MB", 100)]


def main() -> None:
    """Measure and print."""
    with current_lab() as lab:
        why = missing("docker", "dockerd", "busybox")
        if why:
            print(table(images(lab, why)))
            return
        with Docker() as docker:
            print(table(images(lab, docker)))


if __name__ == "__main__":
    main()
