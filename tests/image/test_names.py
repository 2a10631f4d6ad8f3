from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import Conflict, InvalidArgument, InvalidReference, NotFound
from nbcontainer.image.store import Manifest
from nbcontainer.runtime import Lab
from tests.image.build import docker, sha256, tree

BASE, TOP, OTHER = tree({"base": b"b"}), tree({"top": b"t"}), tree({"other": b"o"})


@pytest.fixture
def made(home: Path, lab: Any, tmp_path: Path) -> Any:
    """The image `made:1` of two layers."""
    return load(lab, tmp_path, [BASE, TOP], ["made:1"])


def load(lab: Any, tmp_path: Path, layers: list[bytes], names: list[str]) -> Any:
    (tmp_path / "archive").write_bytes(docker(layers, names))
    return lab.images.load(tmp_path / "archive")[0]


def unpacked(lab: Any) -> set[str]:
    return {path.name for path in lab.home.images.glob("layers/*/*")}


def short(*layers: bytes) -> set[str]:
    return {sha256(one)[7:31] for one in layers}


def test_get(made: Any, lab: Any) -> None:
    for name in ("made:1", "docker.io/library/made:1", made.id, made.short_id, made.id[7:], made.id[:15]):
        assert lab.images.get(name) is made
    for name in ("made", "nothing:here", "0" * 64, "sha256:zz"):
        with pytest.raises(NotFound, match=f"^No such image: {name}$"):
            lab.images.get(name)
    with pytest.raises(InvalidReference):
        lab.images.get("Made:1")


def test_a_name_comes_before_an_id(made: Any, lab: Any, tmp_path: Path) -> None:
    other = load(lab, tmp_path, [OTHER], [f"{made.short_id}:latest"])
    assert lab.images.get(made.short_id) is other
    assert lab.images.get(made.id) is made


def test_an_id_that_begins_several(home: Path, lab: Any, tmp_path: Path) -> None:
    images = [load(lab, tmp_path, [tree({str(n): b""})], [f"n:{n}"]) for n in range(20)]
    digits = [image.id[7] for image in images] + [lab.images.get("host").id[7]]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(Conflict, match=f"multiple IDs found with provided prefix: {twice}"):
        lab.images.get(twice)


def test_list_is_newest_first(made: Any, lab: Any, busybox: Any) -> None:
    assert [image.tags for image in lab.images.list()] == [["made:1"], ["busybox:latest"], ["host:latest"]]


def test_tag_and_untag(made: Any, lab: Any, tmp_path: Path) -> None:
    lab.images.tag("made:1", "quay.io/x/y")
    lab.images.tag(made.short_id, "again:2")
    assert made.tags == ["again:2", "made:1", "quay.io/x/y:latest"]
    assert lab.images.remove("made:1") == ["Untagged: made:1"]
    other = load(lab, tmp_path, [OTHER], ["other:1"])
    lab.images.tag("other:1", "again:2")
    assert (made.tags, other.tags) == (["quay.io/x/y:latest"], ["again:2", "other:1"])
    with pytest.raises(NotFound, match="No such image: nothing"):
        lab.images.tag("nothing", "some:1")
    for bad in ("Bad", "a:b:c", f"a@{made.id}"):
        with pytest.raises(InvalidReference):
            lab.images.tag("other:1", bad)


def test_remove(made: Any, lab: Any, tmp_path: Path) -> None:
    made.overlays()
    second = load(lab, tmp_path, [BASE, OTHER], ["second:1"])
    assert unpacked(lab) == short(BASE, TOP, OTHER)
    chain = sha256(f"{sha256(BASE)} {sha256(TOP)}".encode())
    assert lab.images.remove("made:1") == ["Untagged: made:1", f"Deleted: {made.id}", f"Deleted: {chain}"]
    assert unpacked(lab) == short(BASE, OTHER)
    assert {path.name for path in lab.home.images.glob("blobs/sha256/*")} == {sha256(x)[7:] for x in (BASE, OTHER)}
    with pytest.raises(NotFound):
        lab.images.get(made.id)
    with pytest.raises(NotFound):
        made.overlays()
    assert lab.images.remove(second.short_id)[-1] == f"Deleted: {sha256(BASE)}"
    assert unpacked(lab) == set()
    assert list(lab.home.images.glob("blobs/sha256/*")) == []
    again = load(lab, tmp_path, [BASE, TOP], ["made:1"])
    assert again.id == made.id
    assert len(again.overlays()[0].lowers) == 2


def test_remove_by_id(made: Any, lab: Any) -> None:
    lab.images.tag("made:1", "made:2")
    lab.images.tag("made:1", "other:1")
    with pytest.raises(
        Conflict,
        match=rf"^conflict: unable to delete {made.short_id} \(must be forced\) - image is referenced in multiple",
    ):
        lab.images.remove(made.short_id)
    lab.images.remove("other:1")
    lines = lab.images.remove(made.short_id)
    assert lines[:3] == ["Untagged: made:1", "Untagged: made:2", f"Deleted: {made.id}"]


def test_an_image_in_use(made: Any, lab: Any) -> None:
    made.overlays()
    lab.images.users = lambda image_id: ["0123456789ab"] if image_id == made.id else []
    with pytest.raises(
        Conflict,
        match=r'^conflict: unable to remove repository reference "made:1" \(must force\) - container 0123456789ab is '
        rf"using its referenced image {made.short_id}$",
    ):
        lab.images.remove("made:1")
    with pytest.raises(Conflict, match=rf"unable to delete {made.short_id} \(cannot be forced\) - image is being used"):
        lab.images.remove(made.short_id, force=True)
    assert made.tags == ["made:1"]
    assert lab.images.remove("made:1", force=True) == ["Untagged: made:1"]
    assert lab.images.get(made.id).tags == []
    assert unpacked(lab) == short(BASE, TOP)


def test_host_stays(lab: Any) -> None:
    for name in ("host", "host:latest", lab.images.get("host").short_id):
        with pytest.raises(Conflict, match="the image host cannot be removed"):
            lab.images.remove(name, force=True)
    with pytest.raises(InvalidArgument):
        lab.images.tag("host", "mine")


def test_host_is_nobody_elses_name(made: Any, lab: Any) -> None:
    with pytest.raises(Conflict, match="the name host is taken"):
        lab.images.tag("made:1", "host")


def test_names_by_digest_go_with_the_last_tag_of_their_repository(made: Any, lab: Any) -> None:
    name = f"far/away@{sha256(b'manifest')}"
    lab.images._store.keep_manifest(made.id, Manifest(sha256(b"manifest"), "x", b"{}"), name)
    lab.images.tag("made:1", "far/away:1")
    lab.images.tag("made:1", "far/away:2")
    assert lab.images.remove("far/away:1") == ["Untagged: far/away:1"]
    assert lab.images.remove("far/away:2") == ["Untagged: far/away:2", f"Untagged: {name}"]
    assert lab.images.get("made:1").digests == []


def test_inspect(made: Any, lab: Any) -> None:
    shown = made.inspect()
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["Id"], shown["RepoTags"], shown["RepoDigests"]) == (made.id, ["made:1"], [])
    assert (shown["Os"], shown["Architecture"], shown["Size"]) == ("linux", "amd64", 2)
    assert shown["Config"]["Cmd"] == ["sh"]
    assert shown["RootFS"] == {"Type": "layers", "Layers": [sha256(BASE), sha256(TOP)]}
    assert shown["Created"] == "2024-01-02T03:04:05Z"
    upper, lower = (Path(shown["GraphDriver"]["Data"][key]) for key in ("UpperDir", "LowerDir"))
    assert (upper.name, lower.name) == (sha256(TOP)[7:31], sha256(BASE)[7:31])
    assert lab.images.get("host").inspect()["RepoTags"] == ["host:latest"]


@pytest.fixture
def neighbour(home: Path, lab: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process with a lab in the same home, which runs the lines it is given; a line ends with its answer."""
    code = (
        "import sys\nfrom nbcontainer.runtime import Lab\nlab = Lab()\nprint('ready', flush=True)\n"
        "for line in sys.stdin:\n    print(eval(line), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def ask(process: subprocess.Popen[str], expression: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(expression + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_layers_that_another_kernel_uses_stay_until_it_ends(
    made: Any, lab: Any, neighbour: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert ask(neighbour, "len(lab.images.get('made:1').overlays()[0].lowers)") == "2"
    assert lab.images.remove("made:1")[0] == "Untagged: made:1"
    assert unpacked(lab) == short(BASE, TOP)
    assert ask(neighbour, "[i.tags for i in lab.images.list()]") == "[['host:latest']]"
    ask(neighbour, "lab.close()")
    ask(neighbour, "exit()")
    neighbour.wait()
    with Lab() as later:
        assert [image.tags for image in later.images.list()] == [["host:latest"]]
        assert unpacked(later) == set()
