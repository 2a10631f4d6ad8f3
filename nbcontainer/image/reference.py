"""Names of images: the distribution project's grammar, with Docker's defaults.

https://github.com/distribution/reference: reference.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbcontainer.errors import InvalidReference

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Reference:
    """An image's full name. Without a digest there is always a tag."""

    domain: str
    path: str
    tag: str | None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`text` with Docker's defaults filled in. Raises `InvalidReference`."""
        match = _REFERENCE.fullmatch(text)
        if match is None or len(match["name"]) > 255:
            lower = _REFERENCE.fullmatch(text.lower())
            why = "repository name must be lowercase" if lower is not None else f'"{text}" is no image name'
            raise InvalidReference(f"invalid reference format: {why}")
        name = match["name"]
        if re.fullmatch(r"[0-9a-f]{64}", name):
            raise InvalidReference(f"invalid reference format: {name} is an id, not a name")
        first, slash, rest = name.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
            domain, path = first, rest
        else:
            domain, path = DEFAULT_DOMAIN, name
        if domain == "index.docker.io":
            domain = DEFAULT_DOMAIN
        if domain == DEFAULT_DOMAIN and "/" not in path:
            path = f"library/{path}"
        if path != path.lower():
            raise InvalidReference("invalid reference format: repository name must be lowercase")
        tag = match["tag"] or (None if match["digest"] else DEFAULT_TAG)
        return cls(domain, path, tag, match["digest"])

    @property
    def repository(self) -> str:
        """The familiar name without tag: `busybox`, `quay.io/coreos/flannel`."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def familiar(self) -> str:
        """As Docker shows it: `busybox:latest`."""
        shown = self.repository
        if self.tag:
            shown += f":{self.tag}"
        return f"{shown}@{self.digest}" if self.digest else shown

    def __str__(self) -> str:
        return self.familiar
