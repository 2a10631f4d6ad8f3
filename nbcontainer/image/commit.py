"""What a new image says of itself: its parent's config and history, with one step more.

OCI image-spec, config.md, "Properties". https://reproducible-builds.org/specs/source-date-epoch/
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbcontainer.errors import InvalidArgument, InvalidReference
from nbcontainer.image import host
from nbcontainer.image.config import checked
from nbcontainer.image.image import architecture
from nbcontainer.image.reference import Reference
from nbcontainer.image.store import digest

if TYPE_CHECKING:
    from nbcontainer.image.image import Image

#: The digest of an archive of nothing, which is no layer.
EMPTY = digest(bytes(1024))
#: Names the time that new images say they are from, in seconds since 1970.
SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"


def name(text: str) -> str:
    """A new image's name, with the default tag. Raises `InvalidReference`."""
    reference = Reference.parse(text)
    if reference.digest:
        raise InvalidReference("refusing to create a tag with a digest reference")
    return reference.familiar


def epoch() -> int | None:
    """The time that the environment wants new images to be from. Raises `InvalidArgument`."""
    text = os.environ.get(SOURCE_DATE_EPOCH)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise InvalidArgument(f"{SOURCE_DATE_EPOCH} is {text!r}: it must be a number of seconds since 1970")
    return int(text)


def moment(epoch: int | None) -> str:
    """`epoch`, or now, as image configs have it (RFC 3339)."""
    time = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(epoch, UTC)
    # As Go writes it: no zeros at the end of a fraction.
    return re.sub(r"(\.\d*?)0+$", r"\1", time.isoformat().removesuffix("+00:00")) + "Z"


def document(
    parent: Image | None,
    diff_id: str | None,
    step: dict[str, Any],
    config: dict[str, Any] | None,
    epoch: int | None,
) -> bytes:
    """The config of an image that is `parent` with the layer `diff_id` on top, or none. Raises `ImageError`."""
    before = parent.document if parent is not None else {"architecture": architecture(), "os": "linux"}
    made: dict[str, Any] = {key: before[key] for key in ("architecture", "variant", "os", host.BASE) if key in before}
    if parent is not None and host.TAG in parent.tags:
        made[host.BASE] = host.NAME
    entry = {"created": moment(epoch), **step}
    if diff_id is None:
        entry["empty_layer"] = True
    made["created"] = entry["created"]
    if entry.get("author"):
        made["author"] = entry["author"]
    made["config"] = (before.get("config") or {}) if config is None else config
    diff_ids = [*(parent.diff_ids if parent is not None else []), *([diff_id] if diff_id else [])]
    made["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    made["history"] = [*(before.get("history") or []), entry]
    return json.dumps(checked(made), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
