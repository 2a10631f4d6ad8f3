"""The same archive in Docker and here gives the same files."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import NotFound
from tests.image.build import entry, layer
from tests.peers import Docker

#: What a container prints of every file of its root: type and mode, owner, links, size, name and where links lead.
LIST = (
    "cd / && find . -xdev \\( -path ./proc -o -path ./sys -o -path ./dev -o -path ./etc/hosts"
    " -o -path ./etc/hostname"
    " -o -path ./etc/resolv.conf -o -path ./etc/mtab -o -path ./.dockerenv \\) -prune -o -print"
    " | sort | grep -v '^.$' |"
    ' while read -r f; do case $(stat -c %F "$f") in'
    " directory) stat -c '%A %u:%g %Y %n' \"$f\";;"
    " *link) stat -c '%A %u:%g %s %Y %N' \"$f\";;"
    ' *) stat -c \'%A %u:%g %h %s %Y %n\' "$f"; test -p "$f" || md5sum < "$f";; esac; done'
)

STEPS = """
mkdir -p /d/sub /opaque/old /deep/a/b; echo one > /d/one; echo two > /d/two; ln /d/one /d/hard; ln -s ../one /d/sub/link
echo old > /opaque/file; echo gone > /gone; mkfifo /d/fifo; chmod 4755 /d/one; chmod 1777 /d/sub; chown 12:34 /d/two
dd if=/dev/zero of=/sparse bs=1 count=1 seek=3000000 2>/dev/null
touch -d '2001-02-03 04:05:06' /d/two /d
===
rm /gone; rm -r /opaque; mkdir /opaque; echo new > /opaque/new; rm /d/two
echo three > /d/three
chown -h 5:6 /d/sub/link; rm -r /deep/a; echo now a file > /deep/a; touch -d '2011-02-03 04:05:06' /d /opaque /deep
===
ln /d/three /d/again; chmod 700 /opaque; mkdir -p /gone/is/a/dir; rm /d/hard; touch -d '2012-02-03 04:05:06' /d /gone
"""


@pytest.fixture(scope="module")
def made(dockerd: Docker) -> str:
    """An image of four layers, made by commits."""
    image = "busybox"
    for number, step in enumerate(STEPS.split("===")):
        name = f"step{number}"
        dockerd.docker("run", "--network", "none", "--name", name, image, "sh", "-ec", step)
        image = f"made:{number}"
        dockerd.docker("commit", "--change", "ENV STEP=1", name, image)
    return image


def files(text: str) -> list[str]:
    """The listing, without the times of directories that starting a container changes."""
    return [line for line in text.splitlines() if not line.endswith((" ./etc", " ./.", " ./tmp"))]


@pytest.mark.parametrize("packed", [False, True])
def test_a_loaded_image_has_the_files_that_docker_saved(
    dockerd: Docker, made: str, home: Path, lab: Any, tmp_path: Path, packed: bool
) -> None:
    archive = tmp_path / "made.tar"
    dockerd.docker("save", "--output", str(archive), made, "busybox")
    if packed:
        archive.write_bytes(gzip.compress(archive.read_bytes()))
    loaded = {image.tags[0]: image for image in lab.images.load(archive)}
    assert set(loaded) == {made, "busybox:latest"}
    theirs = json.loads(dockerd.docker("image", "inspect", made))[0]
    ours = loaded[made].inspect()
    for key in ("Id", "RepoTags", "Created", "Architecture", "Os", "Size", "RootFS"):
        assert ours[key] == theirs[key], key
    for key in ("Cmd", "Env"):
        assert ours["Config"][key] == theirs["Config"][key]
    expected = files(dockerd.docker("run", "--rm", "--network", "none", made, "sh", "-c", LIST))
    found = files(lab.containers.run(made, ["sh", "-c", LIST]).logs())
    assert len(expected) > 250
    assert found == expected


def test_attributes_that_docker_keeps(dockerd: Docker, home: Path, lab: Any, tmp_path: Path) -> None:
    program = entry("program", mode=0o755)
    program.pax_headers = {
        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20" + "\0" * 14,
        "SCHILY.xattr.user.mine": "kept",
    }
    packed = layer((program, b"x"), (entry("long/" * 40 + "name"), b"y"))
    dockerd.docker("import", "-", "attributes", input=packed)
    dockerd.docker("save", "--output", str(tmp_path / "archive"), "attributes")
    (image,) = lab.images.load(tmp_path / "archive")
    (lower,) = image.overlays()[0].lowers
    assert os.getxattr(f"{lower}/program", "user.mine") == b"kept"
    assert "security.capability" in os.listxattr(f"{lower}/program")
    assert Path(lower, "long/" * 40 + "name").read_bytes() == b"y"


def test_removing_says_what_docker_says(dockerd: Docker, made: str, home: Path, lab: Any, tmp_path: Path) -> None:
    dockerd.docker("save", "--output", str(tmp_path / "archive"), made)
    lab.images.load(tmp_path / "archive")
    lab.images.tag(made, "other:tag")
    said = lab.images.remove("other:tag")
    dockerd.docker("tag", made, "other:tag")
    assert "\n".join(said) == dockerd.docker("rmi", "other:tag").strip()
    lines = lab.images.remove(made)
    assert lines[:2] == [f"Untagged: {made}", f"Deleted: {json.loads(dockerd.docker('inspect', made))[0]['Id']}"]
    assert len(lines) == 2 + 4
    for name in ("nothing", "nothing:1", "a/b/c:d"):
        theirs = dockerd.run("rmi", name, check=False).stderr.decode().strip()
        with pytest.raises(NotFound) as raised:
            lab.images.remove(name)
        assert theirs == f"Error: {raised.value}"


def test_the_archive_is_what_we_think(dockerd: Docker, made: str, tmp_path: Path) -> None:
    """So that the hand-made archives of the other tests are like Docker's."""
    dockerd.docker("save", "--output", str(tmp_path / "archive"), made)
    with tarfile.open(tmp_path / "archive") as tar:
        names = tar.getnames()
        manifest = json.load(io.TextIOWrapper(tar.extractfile("manifest.json")))  # type: ignore[arg-type]
        content = b"".join(
            tar.extractfile(one).read()  # type: ignore[union-attr]
            for one in tar
            if one.name.endswith("layer.tar") and one.isfile()
        )
    assert "manifest.json" in names
    assert manifest[0]["RepoTags"] == [made]
    assert b".wh.gone" in content
