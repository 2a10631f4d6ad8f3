"""Manifests and platforms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument, RegistryError
from nbcontainer.image.registry import manifest
from nbcontainer.image.registry.manifest import DOCKER, DOCKER_CONFIG, DOCKER_LAYER, Descriptor, Platform
from tests.image.build import sha256

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([sha256(b""), DOCKER_CONFIG, DOCKER_LAYER, "linux", "amd64"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "platform",
                         "os", "architecture", "variant", "urls"]), inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_any_json_is_a_manifest_or_one_error(document: Any) -> None:
    content = json.dumps(document).encode()
    try:
        found = manifest.read(content, sha256(content), DOCKER, "host")
    except RegistryError:
        return
    assert found.config is not None or found.layers == ()
    found.choose(Platform.here())


@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    with pytest.raises(RegistryError, match="host sent"):
        manifest.read(content, sha256(content), "", "host")


DESCRIPTORS = st.builds(
    Descriptor, st.binary(max_size=4).map(sha256), st.integers(0, 1 << 40),
    st.sampled_from([DOCKER_LAYER, "application/vnd.oci.image.layer.v1.tar+zstd"]),
)  # fmt: skip


@given(st.lists(DESCRIPTORS, max_size=4), st.integers(0, 1 << 20))
def test_what_is_written_is_read(layers: list[Descriptor], size: int) -> None:
    content = manifest.write(Descriptor(sha256(b"c"), size, DOCKER_CONFIG), layers)
    found = manifest.read(content, sha256(content), "", "host")
    assert found.config is not None
    assert (found.config.digest, found.config.size) == (sha256(b"c"), size)
    assert [(one.digest, one.size) for one in found.layers] == [(one.digest, one.size) for one in layers]
    assert found.media_type == json.loads(content)["mediaType"]


def index(*platforms: str | None) -> manifest.Fetched:
    """An index whose manifests are numbered by their size."""
    entries = []
    for number, text in enumerate(platforms):
        entry: dict[str, Any] = {"digest": sha256(str(number).encode()), "size": number, "mediaType": DOCKER}
        if text is not None:
            os, arch, *variant = text.split("/")
            entry["platform"] = {"os": os, "architecture": arch, **({"variant": variant[0]} if variant else {})}
        entries.append(entry)
    content = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return manifest.read(content, sha256(content), "", "host")


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64", "linux/amd64"], 1),
        ("linux/amd64", ["unknown/unknown", "windows/amd64"], None),
        ("linux/amd64", [None], 0),
        ("linux/amd64", [None, "linux/amd64"], 1),
        ("amd64", ["linux/amd64"], 0),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], 1),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], 1),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v7"], 1),
        ("linux/arm64", ["linux/arm64/v8", "linux/amd64"], 0),
        ("linux/arm64/v8", ["linux/arm64"], 0),
        ("linux/x86_64", ["linux/amd64"], 0),
        ("linux/aarch64", ["linux/arm64"], 0),
        ("linux/s390x", ["linux/amd64"], None),
    ],
)
def test_platforms(wanted: str, offered: list[str | None], chosen: int | None) -> None:
    found = index(*offered).choose(Platform.parse(wanted))
    if chosen is None:
        assert found is None
    else:
        # What says "unknown" is no image and is passed over.
        assert found is not None
        assert found.size == chosen


@given(st.text())
def test_any_text_is_a_platform_or_an_error(text: str) -> None:
    try:
        found = Platform.parse(text)
    except InvalidArgument:
        return
    assert Platform.parse(str(found)) == found
