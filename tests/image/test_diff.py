"""Layers made of what containers wrote: by overlayfs and by the copying driver, read back by others' readers."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files
from nbcontainer.errors import ImageError, InvalidReference
from nbcontainer.image import commit, diff
from tests.image.build import sha256


@pytest.fixture(params=["overlay", "copy"])
def driver(request: pytest.FixtureRequest, lab: Any) -> str:
    """Both drivers, where there is overlayfs."""
    if lab.containers.driver == "copy" and request.param == "overlay":
        pytest.skip("no overlayfs in a user namespace on this kernel")
    lab.containers._driver = request.param
    return str(request.param)


def changed(lab: Any, image: Any, script: str) -> Any:
    """A container that has run `script`."""
    c = lab.containers.run(image, ["sh", "-euc", script], network="none", check=False)
    assert c.exit_code == 0, c.logs()
    return c


def archive(lab: Any, container: Any, latest: int | None = None) -> bytes:
    """What it wrote, as a layer's archive."""
    with (lab.directory / "archive").open("w+b") as file:
        done = lab.call(diff.write, files.written(container), lab.containers.driver, latest, fds=[file.fileno()])
        file.seek(0)
        data = file.read()
    assert done["diff_id"] == sha256(data)
    return data


def entries(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def test_nothing_written_is_no_layer(lab: Any, busybox: Any, driver: str) -> None:
    assert sha256(archive(lab, changed(lab, "busybox", "true"))) == commit.EMPTY


def test_what_was_removed(lab: Any, busybox: Any, driver: str) -> None:
    base = lab.images.commit_layer(
        busybox, files.written(changed(lab, busybox, "mkdir -p /d/e; touch /d/e/f /d/g /h")), {}, driver=driver
    )
    c = changed(lab, base, "rm -r /d; mkdir /d; touch /d/new; rm /h; rm /bin/vi; touch /gone; rm /gone")
    found = entries(archive(lab, c))
    hidden = {"d/.wh..wh..opq"} if driver == "overlay" else {"d/.wh.e", "d/.wh.g"}
    assert set(found) == {"bin", "bin/.wh.vi", "d", "d/new", ".wh.h", *hidden}
    image = lab.images.commit_layer(base, files.written(c), {"created_by": "rm"}, driver=driver)
    after = changed(lab, image, "ls /d; test ! -e /h; test ! -e /bin/vi; test -e /bin/sh")
    assert after.logs() == "new\n"


def test_kinds_modes_owners_and_names(lab: Any, busybox: Any, driver: str) -> None:
    owners = "" if lab.idmap.single else "chown 1000:2000 /w/file; chown -h 7:8 /w/link;"
    name = "/w/" + "n" * 150
    script = f"""
    mkdir /w; cd /w; echo content >file; ln file hard; ln -s /nowhere link; mkfifo pipe
    mkdir sticky; {owners} chmod 4751 file; chmod 1777 sticky; touch -h -d @1000000000 link
    touch -d @1234567890 file pipe sticky; mkdir -p {name}; touch {name}/{"m" * 120} ü "$(printf 'raw\\377')"
    """
    data = archive(lab, changed(lab, busybox, script))
    found = entries(data)
    assert list(found) == sorted(found, key=os.fsencode)
    assert (found["w/file"].mode, found["w/file"].size, found["w/file"].mtime) == (0o4751, 8, 1234567890)
    assert (found["w/hard"].islnk(), found["w/hard"].linkname) == (True, "w/file")
    assert (found["w/link"].issym(), found["w/link"].linkname, found["w/link"].mtime) == (True, "/nowhere", 10**9)
    assert found["w/pipe"].isfifo()
    assert found["w/sticky"].mode == 0o1777
    assert f"{name[1:]}/{'m' * 120}" in found
    assert {"w/ü", os.fsdecode(b"w/raw\xff")} <= set(found)
    if not lab.idmap.single:
        assert (found["w/file"].uid, found["w/file"].gid) == (1000, 2000)
        assert (found["w/link"].uid, found["w/link"].gid) == (7, 8)
    assert all(not member.uname and not member.gname for member in found.values())
    # What another container of the new image sees is what this one wrote.
    image = lab.images.commit_layer(busybox, files.written(changed(lab, busybox, script)), {}, driver=driver)
    again = changed(lab, image, "cd /w; ls -1 | wc -l; stat -c '%a %u %s %h %Y' file hard; readlink link")
    stat = f"4751 {0 if lab.idmap.single else 1000} 8 2 1234567890\n"
    assert again.logs() == f"8\n{stat}{stat}/nowhere\n"


def test_attributes(lab: Any, busybox: Any, driver: str, tmp_path: Path) -> None:
    c = changed(lab, busybox, "mkdir /a; echo x >/a/f; touch /b")
    upper = Path(c.overlays[0]["upper"])
    lab.call(_set_attributes, str(upper / "a"))
    with tarfile.open(fileobj=io.BytesIO(archive(lab, c))) as tar:
        headers = {member.name: member.pax_headers for member in tar}
    kept = {"SCHILY.xattr.user.note": "said"}
    assert {key: value for key, value in headers["a"].items() if "xattr" in key} == kept
    xattrs = {key for key in headers["a/f"] if "xattr" in key}
    assert xattrs == {"SCHILY.xattr.user.note", "SCHILY.xattr.security.capability"}


def _set_attributes(directory: str) -> None:
    for path in (directory, f"{directory}/f"):
        os.setxattr(path, "user.note", b"said")
    # cap_net_raw+ep, version 2 (linux/capability.h, vfs_cap_data)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(f"{directory}/f", "security.capability", capability)


def test_holes_stay_holes(lab: Any, busybox: Any, driver: str, tmp_path: Path) -> None:
    script = """
    truncate -s 100M /empty
    for at in 0 70 150; do echo block | dd of=/parts bs=1M seek=$at conv=notrunc; done; truncate -s 200M /parts
    """
    if driver == "copy":
        script = script.replace("100M", "30M").replace("70 150", "7 15").replace("200M", "20M")
    c = changed(lab, busybox, script)
    size = 200 << 20 if driver == "overlay" else 20 << 20
    path = tmp_path / "layer.tar"
    with path.open("wb") as file:
        lab.call(diff.write, files.written(c), driver, None, fds=[file.fileno()])
    # In the archive they are zeros, as Docker and Podman have it; on the disk they take no place.
    assert path.stat().st_size > size
    assert path.stat().st_blocks * 512 < 4 << 20
    with tarfile.open(path) as tar:
        member = tar.getmember("parts")
        assert (member.size, bool(member.sparse)) == (size, False)
        content = tar.extractfile(member)
        assert content is not None
        assert content.read(10) == b"block\n\0\0\0\0"
    image = lab.images.commit_layer(busybox, files.written(c), {}, driver=driver)
    if driver == "overlay":
        look = "stat -c %s /empty; test $(du -m /parts | cut -f1) -lt 8; tail -c +157286401 /parts | head -c 5"
        again = changed(lab, image, look)
        assert again.logs() == f"{100 << 20}\nblock"


def test_the_same_changes_give_the_same_digest(lab: Any, busybox: Any, driver: str, monkeypatch: Any) -> None:
    script = "mkdir -p /srv/x; for i in 3 1 2; do echo $i >/srv/x/$i; ln -s $i /srv/x/l$i; done; rm /bin/vi"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    one, other = (
        lab.images.commit_layer(
            busybox, files.written(changed(lab, busybox, script)), {"created_by": "x"}, driver=driver
        )
        for _ in range(2)
    )
    assert one.id == other.id
    assert one.created == "2023-11-14T22:13:20Z"
    # Both drivers see the same changes.
    monkeypatch.setattr(lab.containers, "_driver", "copy")
    copied = changed(lab, busybox, script)
    assert sha256(archive(lab, copied, 1700000000 * 10**9)) == one.diff_ids[-1]


def test_nothing_outside_is_read(lab: Any, busybox: Any, driver: str) -> None:
    c = changed(lab, busybox, "ln -s /etc/hostname /a; ln -s / /root2; mkdir /d; ln -s /usr /d/usr")
    found = entries(archive(lab, c))
    assert {name for name in found if name.startswith(("root2", "d", "a"))} == {"a", "d", "d/usr", "root2"}


def test_what_no_layer_can_say(lab: Any, busybox: Any, driver: str) -> None:
    c = changed(lab, busybox, "touch /srv.wh; mkdir /x; touch /x/.wh.y")
    with pytest.raises(ImageError, match=r'"/x/\.wh\.y" cannot be in a layer'):
        lab.images.commit_layer(busybox, files.written(c), {}, driver=driver)
    c = changed(lab, busybox, "for i in $(seq 300); do mkdir d; cd d; done")
    with pytest.raises(ImageError, match="lies below 256 directories"):
        lab.images.commit_layer(busybox, files.written(c), {}, driver=driver)


def test_a_running_container(lab: Any, busybox: Any, driver: str) -> None:
    c = lab.containers.run(
        "busybox",
        ["sh", "-c", "mkdir /w; while :; do echo more >>/w/log; touch /w/$((i=i+1)); rm /w/$i; done"],
        detach=True,
        network="none",
    )
    while not any(path == "/w/log" for _, path in c.diff()):
        pass
    image = lab.images.commit_layer(busybox, files.written(c), {}, driver=driver)
    c.remove(force=True)
    assert changed(lab, image, "test -s /w/log").exit_code == 0


def test_config_history_and_names(lab: Any, busybox: Any) -> None:
    image = lab.images.commit_layer(
        busybox, None, {"created_by": "CMD x", "author": "me"}, {"Cmd": ["x"]}, names=["made/it", "made/it:2"]
    )
    assert image.config == {"Cmd": ["x"]}
    assert image.history[-1]["empty_layer"] is True
    assert image.document["author"] == "me"
    assert image.diff_ids == busybox.diff_ids
    assert image.tags == ["made/it:2", "made/it:latest"]
    scratch = lab.images.commit_layer(None, None, {"created_by": "nothing"})
    assert (scratch.diff_ids, scratch.os) == ([], "linux")
    with pytest.raises(InvalidReference):
        lab.images.commit_layer(busybox, None, {}, names=["Upper"])


def test_what_has_ended_may_be_taken(lab: Any, busybox: Any) -> None:
    c = changed(lab, busybox, "mkdir /w; echo x >/w/f; rm /bin/vi")
    image = lab.images.commit_layer(busybox, files.written(c), {}, take=True)
    taken = lab.containers.driver == "overlay"
    assert Path(c.overlays[0]["upper"]).exists() is not taken
    c.remove()
    assert changed(lab, image, "cat /w/f; test ! -e /bin/vi").logs() == "x\n"


def test_on_top_of_host(lab: Any) -> None:
    if lab.containers.driver != "overlay":
        pytest.skip("no overlayfs in a user namespace on this kernel")
    c = changed(lab, "host", "mkdir -p /srv/x /usr/made; echo a >/etc/made; echo b >/usr/made/b; rm -f /etc/issue")
    image = lab.images.commit_layer(lab.images.get("host"), files.written(c), {"created_by": "x"}, names=["on-host"])
    found = set(entries(archive(lab, c)))
    assert {"srv/x", "etc/made", "usr", "usr/made/b"} <= found
    again = changed(lab, image, "cat /etc/made /usr/made/b; test -d /srv/x; test ! -e /etc/issue")
    assert again.logs() == "a\nb\n"
    once_more = lab.images.commit_layer(image, files.written(changed(lab, image, "rm /etc/made; echo c >/srv/c")), {})
    assert changed(lab, once_more, "cat /srv/c /usr/made/b; test ! -e /etc/made").logs() == "c\nb\n"
    for name in (once_more.id, "on-host"):
        lab.images.remove(name, force=True) if not lab.images.users(lab.images.get(name).id) else None


@pytest.mark.skipif(shutil.which("bsdtar") is None, reason="not installed: libarchive-tools")
def test_libarchive_reads_it(lab: Any, busybox: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(lab, changed(lab, busybox, "mkdir /d; echo x >/d/ü; ln /d/ü /d/z")))
    listed = subprocess.run(["bsdtar", "-tf", tmp_path / "a.tar"], check=True, capture_output=True)
    assert listed.stdout.split()[0] == b"d/"
