"""The store with many processes at once, and with kills at any moment."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbcontainer.errors import ImageError
from nbcontainer.image.store import NewImage, Store, StoredLayer, digest
from nbcontainer.runtime import Lab
from tests.image.build import config, docker, sha256, tree


def put(store: Store, data: bytes, *names: str) -> str:
    """Record an image of one layer; its id."""
    image = NewImage(config([data]), (sha256(data),), names)
    with store.workspace() as workspace:
        (workspace / "layer").write_bytes(data)
        store.add([image], [StoredLayer(sha256(data), sha256(data), 1)], {sha256(data): workspace / "layer"})
    return image.id


def whole(store: Store) -> None:
    """Every image has its layers, every layer its blob, every blob the content that its name says."""
    with sqlite3.connect(store.path / "images.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT name FROM tags WHERE image NOT IN (SELECT id FROM images)").fetchall() == []
    for image_id in store.ids():
        text = store.config(image_id)
        assert text is not None
        assert digest(text.encode()) == image_id
        layer = store.layer(text.partition('"diff_ids": ["')[2][:71])
        assert layer is not None
        assert digest(store.blob(layer.blob).read_bytes()) == layer.blob


@contextmanager
def processes(count: int, code: str, *arguments: object) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Several that run `code` at once, with the test modules at hand."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{code}"]
    started = [subprocess.Popen([*command, *map(str, arguments), str(number)]) for number in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


STORM = """
import random, sys
from pathlib import Path
from nbcontainer.errors import ImageError
from nbcontainer.image.store import Store
from tests.image.build import tree
from tests.image.test_store import put
store, turns, chance = Store(Path(sys.argv[1])), int(sys.argv[2]), random.Random(sys.argv[3])
for turn in range(turns):
    which = chance.randrange(6)
    if chance.random() < 0.6:
        put(store, tree({str(which): bytes(50_000)}), f"n:{which}")
    else:
        for image_id in store.ids()[which:which + 1]:
            store.delete(image_id)
"""


def test_many_processes_add_and_remove(tmp_path: Path) -> None:
    with processes(4, STORM, tmp_path, 60) as started:
        assert [process.wait(timeout=120) for process in started] == [0] * 4
    store = Store(tmp_path)
    whole(store)
    store.collect()
    assert len(list((tmp_path / "blobs/sha256").iterdir())) == len(store.ids())
    assert list((tmp_path / "ingest").iterdir()) == []


def test_kills_at_any_moment(tmp_path: Path) -> None:
    kept = put(Store(tmp_path), tree({"kept": b"x"}), "kept:1")
    chance = random.Random(7)
    for _ in range(12):
        with processes(2, STORM.replace("store.ids()", "[i for i in store.ids() if i not in sys.argv]"), tmp_path,
                       10_000, "x", kept) as started:  # fmt: skip
            time.sleep(0.15 + chance.random() * 0.25)
            for process in started:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        store = Store(tmp_path)
        assert store.image_of("kept:1") == kept
        whole(store)
    assert list((tmp_path / "ingest").iterdir()) == []
    store.collect()
    assert len(list((tmp_path / "blobs/sha256").iterdir())) == len(store.ids())


def test_an_archive_being_loaded_is_nothing_until_it_is_all(home: Path, tmp_path: Path) -> None:
    """A notebook that is killed while loading leaves nothing that can be seen, or that the next one cannot remove."""
    layers = [tree({f"{n}/{m}": os.urandom(400) for m in range(3000)}) for n in "abc"]
    (tmp_path / "archive").write_bytes(docker(layers))
    code = "from nbcontainer.runtime import Lab; from pathlib import Path; Lab().images.load(Path(sys.argv[1]))"
    for wait in (0.3, 0.6, 0.9, 1.2):
        with processes(1, code, tmp_path / "archive") as (process,):
            time.sleep(wait)
            process.kill()
        with Lab() as lab:
            assert [image.tags for image in lab.images.list()] in ([["made:1"], ["host:latest"]], [["host:latest"]])
            if lab.images.list()[0].tags == ["made:1"]:
                lab.images.remove("made:1")
            assert list(home.glob("images/layers/*/*")) == []
            assert list(home.glob("images/ingest/*")) == []


def test_processes_that_load_the_same_at_once(home: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(docker([tree({f"{n}/{m}": b"x" for m in range(500)}) for n in "ab"]))
    code = (
        "from nbcontainer.runtime import Lab; from pathlib import Path\n"
        "with Lab() as lab:\n    lab.images.load(Path(sys.argv[1]))[0].overlays()"
    )
    with processes(4, code, tmp_path / "archive") as started:
        assert [process.wait(timeout=60) for process in started] == [0] * 4
    with Lab() as lab:
        (lower, _) = lab.images.get("made:1").overlays()[0].lowers
        assert len(os.listdir(f"{lower}/b")) == 500
        assert len(list(home.glob("images/layers/*/*"))) == 2


def test_a_workspace_goes_with_its_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.workspace() as mine:
        (mine / "half").write_text("done")
        code = (
            "from nbcontainer.image.store import Store; from pathlib import Path; import os\n"
            "with Store(Path(sys.argv[1])).workspace() as w: os.kill(os.getpid(), 9)"
        )
        with processes(1, code, tmp_path) as (other,):
            other.wait()
        assert len(list((tmp_path / "ingest").iterdir())) == 2
        Store(tmp_path)
        assert list((tmp_path / "ingest").iterdir()) == [mine], "who lives keeps what is theirs"
    assert list((tmp_path / "ingest").iterdir()) == []


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "images.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(ImageError, match=r"image store .* cannot be used: file is not a database"):
        Store(tmp_path).ids()


FULL = """
import os, sys
from pathlib import Path
from nbcontainer.errors import ImageError
from nbcontainer.runtime import Lab
from tests.image.build import docker, tree
archive = Path(sys.argv[1]) / "archive"
with Lab() as lab:
    for size in (5 << 20, 12 << 20):
        archive.write_bytes(docker([tree({"small": b"x"}), tree({"large": os.urandom(size)})]))
        try:
            lab.images.load(archive)
        except ImageError as error:
            print(error)
        print([image.tags for image in lab.images.list()])
        print([p for part in ("ingest/*", "layers/*/*", "blobs/sha256/*") for p in lab.home.images.glob(part)])
    archive.write_bytes(docker([tree({"large": os.urandom(1 << 20)})]))
    print(lab.images.load(archive)[0].size)
"""


def test_a_full_disk(home: Path, tmp_path: Path) -> None:
    """Room for the archive but not for its layer too, for neither, and then for all."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system of its own")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(9 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", disk], check=True)
    # In a mount namespace of its own: the machine never sees this disk.
    script = 'mount -o loop "$1" "$2" && chmod 711 "$2" && exec "$3" -c "$4" "$5"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", disk, home, sys.executable,
         f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{FULL}", tmp_path],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 7
    for told in (lines[0], lines[3]):
        assert "no space left on device" in told
    assert lines[1:3] == lines[4:6] == ["[['host:latest']]", "[]"]
    assert lines[6] == str(1 << 20)
