"""ADD of a URL: one file from the web, as Docker downloads it."""

from __future__ import annotations

import email.message
import email.utils
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbcontainer.errors import InvalidArgument


@dataclass(frozen=True)
class Downloaded:
    """A file without a name on disk; `name` is what the server or the URL calls it, `mtime` nanoseconds since 1970."""

    fd: int
    name: str
    mtime: int


def fetch(url: str, home: Path, workspace: Path) -> Downloaded:
    """What is at `url`; `home` has the settings for proxies and certificates. Raises `InvalidArgument` when it cannot
    be had, `RegistryError` when nobody answers.
    """
    from nbcontainer.image.registry.settings import Settings
    from nbcontainer.image.registry.transport import Transport, told
    from nbcontainer.image.registry.work import Cancel

    cancel = Cancel()
    fd = os.open(workspace, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        response = Transport(Settings.read(home), cancel, lambda text: None).request("GET", url)
        with told(url, cancel):
            if response.status >= 400:
                status = f"{response.status} {response.reason or ''}".strip()
                raise InvalidArgument(f"invalid response status {status}: {url}")
            for piece in response.stream(1 << 18):
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
            disposition, modified = (response.headers.get(key) for key in ("Content-Disposition", "Last-Modified"))
        return Downloaded(fd, _name(url, disposition), _time(modified))
    except BaseException:
        os.close(fd)
        raise
    finally:
        cancel.cancel()


def _name(url: str, disposition: str | None) -> str:
    name = ""
    if disposition:
        message = email.message.Message()
        message["content-disposition"] = disposition
        name = posixpath.basename((message.get_filename() or "").replace("\\", "/"))
    name = name or posixpath.basename(unquote(urlsplit(url).path))
    return "" if name in (".", "..") or "\0" in name else name


def _time(text: str | None) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp()) * 10**9 if text else 0
    except (TypeError, ValueError):
        return 0
