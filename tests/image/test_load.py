"""Archives: what is loaded, and what is refused with nothing half-done left."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbcontainer.errors import Conflict, ImageError
from nbcontainer.image.archive import Archive
from nbcontainer.image.image import architecture
from tests.image.build import config, docker, entry, layer, oci, sha256, tree

LAYERS = [
    tree({"etc": None, "etc/a": b"lower", "etc/b": b"lower", "gone": b"lower", "d": None, "d/old": b""}),
    tree({"etc": None, "etc/a": b"upper", ".wh.gone": b"", "d": None, "d/.wh..wh..opq": b"", "d/new": b"x"}),
]


def save(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "archive.tar"
    path.write_bytes(data)
    return path


def left(lab: Any) -> list[str]:
    """All that the store has on disk, but the database and the files that say who uses it."""
    top = lab.home.images
    return sorted(str(path.relative_to(top)) for part in ("blobs/sha256", "ingest", "layers/*")
                  for path in top.glob(f"{part}/*"))  # fmt: skip


@pytest.mark.parametrize("form", ["docker", "docker, gzip", "docker, layers gzip", "oci", "oci, nested"])
def test_load(home: Path, lab: Any, tmp_path: Path, form: str) -> None:
    data = docker(LAYERS, compress="layers" in form)
    if form.startswith("oci"):
        data = oci(LAYERS)
    if form == "oci, nested":
        data = nested(oci(LAYERS, "ignored"))
    if form == "docker, gzip":
        data = gzip.compress(data)
    (image,) = lab.images.load(save(tmp_path, data))
    assert image.tags == ["made:1"]
    assert image.id == sha256(config(LAYERS))
    assert image.size == len(b"lower" * 3 + b"upper" + b"x")
    assert [one.diff_id for one in image.layers] == [sha256(one) for one in LAYERS]
    (overlay,) = image.overlays()
    assert overlay.prefix == "/"
    assert [Path(lower).name for lower in overlay.lowers] == [sha256(one)[7:31] for one in reversed(LAYERS)]
    assert lab.images.get("made:1") is lab.images.get(image.short_id)


def nested(inner: bytes) -> bytes:
    """The same images, below an index of several platforms, one of them an attestation that must be passed over."""
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])
    index["manifests"][0]["platform"] = {"os": "linux", "architecture": architecture()}
    for other in ({"os": "unknown", "architecture": "unknown"}, {"os": "linux", "architecture": "s390x"}):
        index["manifests"].append({"digest": sha256(b"absent"), "size": 6, "platform": other})
    middle = json.dumps(index).encode()
    files["blobs/sha256/" + sha256(middle)[7:]] = middle
    name = {"io.containerd.image.name": "docker.io/library/made:1", "org.opencontainers.image.ref.name": "1"}
    top = {"digest": sha256(middle), "size": len(middle), "annotations": name}
    files["index.json"] = json.dumps({"manifests": [top]}).encode()
    return tree(files)


def test_from_a_stream(home: Path, lab: Any) -> None:
    packed = gzip.compress(docker(LAYERS))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        assert cat.stdout is not None
        cat.stdin.write(packed)
        cat.stdin.close()
        (image,) = lab.images.load(cat.stdout)
    assert image.tags == ["made:1"]


def test_layers_that_docker_linked(home: Path, lab: Any, tmp_path: Path) -> None:
    names = [f"{sha256(one)[7:]}/layer.tar" for one in LAYERS]
    document = config([LAYERS[0], LAYERS[1], LAYERS[0]])
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": [*names, "copy/layer.tar"]}]
    data = layer(
        (entry("manifest.json"), json.dumps(manifest).encode()),
        (entry("c.json"), document),
        entry("copy/layer.tar", tarfile.SYMTYPE, linkname=f"../{names[0]}"),
        *((entry(name), one) for name, one in zip(names, LAYERS, strict=True)),
        (entry("repositories"), b"{}"),
    )
    (image,) = lab.images.load(save(tmp_path, data))
    assert image.tags == []
    assert len(image.layers) == 3
    (overlay,) = image.overlays()
    # overlayfs takes no directory twice; the topmost of two equal layers hides the other whole.
    assert [Path(lower).name for lower in overlay.lowers] == [sha256(LAYERS[n])[7:31] for n in (0, 1)]


def test_several_images_come_together_or_not_at_all(home: Path, lab: Any, tmp_path: Path) -> None:
    two = [tree({"only": b"here"})]
    manifest = [
        {"Config": "1.json", "RepoTags": ["one:1"], "Layers": ["1.tar"]},
        {"Config": "2.json", "RepoTags": ["two:1", "two:2"], "Layers": ["2.tar"]},
    ]
    files: dict[str, bytes | None] = {
        "manifest.json": json.dumps(manifest).encode(), "1.json": config(LAYERS[:1]), "1.tar": LAYERS[0],
        "2.json": config(two), "2.tar": two[0],
    }  # fmt: skip
    with pytest.raises(ImageError):
        lab.images.load(save(tmp_path, tree({**files, "2.tar": b"damaged"})))
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]
    assert left(lab) == []
    loaded = lab.images.load(save(tmp_path, tree(files)))
    assert [image.tags for image in loaded] == [["one:1"], ["two:1", "two:2"]]


def test_a_new_image_takes_the_name(home: Path, lab: Any, tmp_path: Path) -> None:
    (old,) = lab.images.load(save(tmp_path, docker(LAYERS[:1])))
    (new,) = lab.images.load(save(tmp_path, docker(LAYERS)))
    assert (old.tags, new.tags) == ([], ["made:1"])
    assert lab.images.load(save(tmp_path, docker(LAYERS))) == [new]


LIES = {
    "no archive": (b"x" * 5000, "not a tar archive"),
    "empty": (b"", "no image"),
    "no manifest": (docker(LAYERS, replaced={"manifest.json": None}), "neither manifest.json nor index.json"),
    "no layer": (docker(LAYERS, replaced={f"{sha256(LAYERS[1])[7:]}/layer.tar": None}), "incomplete"),
    "another layer": (
        docker(LAYERS, replaced={f"{sha256(LAYERS[1])[7:]}/layer.tar": LAYERS[0]}), "not what its image says"
    ),
    "another config": (docker(LAYERS, replaced={f"{sha256(config(LAYERS))[7:]}.json": config([])}), "is sha256:"),
    "too few layers": (docker(LAYERS, document=config(LAYERS[:1])), "names 2 layers, its config 1"),
    "no json": (docker(LAYERS, replaced={"manifest.json": b"{]"}), "no JSON"),
    "deep json": (docker(LAYERS, replaced={"manifest.json": b"[" * 200_000}), "no JSON"),
    "no list": (docker(LAYERS, replaced={"manifest.json": b"{}"}), "no list"),
    "no entry": (docker(LAYERS, replaced={"manifest.json": b"[]"}), "no image"),
    "entry of text": (docker(LAYERS, replaced={"manifest.json": b'["x"]'}), "no object"),
    "a bad name": (docker(LAYERS, ["Not A Name"]), "invalid reference format"),
    "a loop": (
        layer((entry("manifest.json"), b'[{"Config": "a", "Layers": []}]'),
              entry("a", tarfile.SYMTYPE, linkname="b"), entry("b", tarfile.SYMTYPE, linkname="a")),
        "incomplete",
    ),
    "for windows": (docker([], document=json.dumps({"os": "windows"}).encode()), "for windows"),
    "config of another shape": (docker([], document=config([], Env={"A": "b"})), "config.Env"),
    "health of another shape": (docker([], document=config([], Healthcheck={"Test": "true"})), "Healthcheck"),
    "an oci blob of another digest": (oci(LAYERS, digest=sha256(b"")), "incomplete"),
    "an oci blob of another size": (oci(LAYERS, size=1), "not 1"),
    "an oci path for a digest": (oci(LAYERS, digest="sha256:../../index.json"), "no sha256 digest"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_what_is_wrong_is_refused(home: Path, lab: Any, tmp_path: Path, lie: str) -> None:
    data, why = LIES[lie]
    with pytest.raises(ImageError, match=why) as raised:
        lab.images.load(save(tmp_path, data))
    assert "\n" not in str(raised.value)
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]
    assert left(lab) == []


def test_an_archive_cut_off_anywhere(home: Path, lab: Any, tmp_path: Path) -> None:
    whole = docker(LAYERS)
    end = whole.index(b"manifest.json")
    for data in (whole[:end], gzip.compress(whole)):
        for length in range(1, len(data) - 9, len(data) // 7):
            with pytest.raises(ImageError):
                lab.images.load(save(tmp_path, data[:length]))
    assert left(lab) == []


def test_the_name_of_the_machine_is_not_to_be_had(home: Path, lab: Any, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="the name host is taken"):
        lab.images.load(save(tmp_path, docker(LAYERS, ["host"])))
    assert left(lab) == []


def test_no_such_file(lab: Any, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^open .*/nothing: no such file or directory$"):
        lab.images.load(tmp_path / "nothing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["c.json", "l.tar", sha256(b"")]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Config", "Layers", "RepoTags", "manifests", "digest", "size", "rootfs", "diff_ids", "config",
                         "Env", "platform", "annotations", "history", "Healthcheck", "Test"]), inner, max_size=4,
    ),
    max_leaves=15,
)  # fmt: skip


@given(JSON, JSON, st.sampled_from(["manifest.json", "index.json"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_an_archive_or_one_error(tmp_path: Path, manifest: Any, document: Any, name: str) -> None:
    files: dict[str, bytes | None] = {name: json.dumps(manifest).encode(), "c.json": json.dumps(document).encode()}
    docker_one = [{"Config": "c.json", "Layers": [], "RepoTags": manifest if isinstance(manifest, list) else None}]
    for each in (files, {**files, "manifest.json": json.dumps(docker_one).encode()}):
        with suppress(ImageError):
            Archive(io.BytesIO(tree(each)).read, tmp_path).images()
