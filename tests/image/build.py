"""Layers and archives made by hand, right ones and wrong ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any


def sha256(data: bytes) -> str:
    """The digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    """One header."""
    made = tarfile.TarInfo(name)
    made.type, made.mtime = kind, 1_000_000_000
    made.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def layer(*entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of these entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for one in entries:
            header, data = one if isinstance(one, tuple) else (one, b"")
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def tree(files: Mapping[str, bytes | None]) -> bytes:
    """A layer of plain files; a name with None is a directory."""
    return layer(
        *(entry(name, tarfile.DIRTYPE) if data is None else (entry(name), data) for name, data in files.items())
    )


def config(layers: Iterable[bytes], **fields: Any) -> bytes:
    """The config of an image of these layers."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], **fields},
        "rootfs": {"type": "layers", "diff_ids": [sha256(one) for one in layers]},
    }
    return json.dumps(document).encode()


def docker(
    layers: list[bytes],
    names: list[str] | None = None,
    *,
    document: bytes | None = None,
    compress: bool = False,
    replaced: Mapping[str, bytes | None] | None = None,
) -> bytes:
    """An archive as Docker 20.10 saves it. `replaced` takes the place of files in it, or, with None, drops them."""
    document = document or config(layers)
    name = f"{hashlib.sha256(document).hexdigest()}.json"
    paths = [f"{hashlib.sha256(one).hexdigest()}/layer.tar" for one in layers]
    manifest = [{"Config": name, "RepoTags": names if names is not None else ["made:1"], "Layers": paths}]
    files: dict[str, bytes | None] = {
        name: document,
        **{path: gzip.compress(one) if compress else one for path, one in zip(paths, layers, strict=True)},
        "manifest.json": json.dumps(manifest).encode(),
    }
    files.update(replaced or {})
    return tree({name: data for name, data in files.items() if data is not None})


def oci(layers: list[bytes], name: str = "made:1", **descriptor: Any) -> bytes:
    """An OCI layout in one tar file, its layers gzip."""
    document = config(layers)
    packed = [gzip.compress(one) for one in layers]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"digest": sha256(document), "size": len(document)},
            "layers": [{"digest": sha256(one), "size": len(one)} for one in packed],
        }
    ).encode()
    reference = {
        "digest": sha256(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": name},
        **descriptor,
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [reference]}).encode()
    blobs = {f"blobs/sha256/{sha256(one)[7:]}": one for one in (document, manifest, *packed)}
    return tree({"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index, **blobs})
