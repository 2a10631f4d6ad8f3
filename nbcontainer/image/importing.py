"""An image of one layer from an archive of a whole root, as `docker import` makes it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from nbcontainer.image.content import Content
from nbcontainer.image.layers import Layers
from nbcontainer.image.store import StoredLayer
from nbcontainer.image.tar_writer import write_sparse


def import_layer(layers: Layers, archive: BinaryIO, file: Path) -> StoredLayer:
    """Decompress the tar archive to `file` and unpack it; what is to be recorded of it. Raises `ImageError`."""
    content = Content(archive.read)
    with file.open("wb", buffering=0) as target:
        while piece := content.read():
            write_sparse(target.fileno(), piece)
    diff_id = content.finish()
    return StoredLayer(diff_id, diff_id, layers.unpack(diff_id, file))
