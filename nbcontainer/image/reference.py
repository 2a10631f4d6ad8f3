"""Names of images: the distribution project's grammar, with Docker's defaults.

https://github.com/distribution/reference: reference.go, normalize.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbcontainer.errors import InvalidReference

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
#: Hexadecimal digits of the digests that there are.
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_LONGEST_NAME = 255
#: Longer than any reference can be: no need to match it.
_LONGEST = 1024

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>(?P<algorithm>[a-z0-9]+):(?P<hex>[0-9a-f]+)))?",
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
        match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            if len(text) <= _LONGEST and _REFERENCE.fullmatch(text.lower()):
                raise InvalidReference("invalid reference format: repository name must be lowercase")
            raise InvalidReference(f"invalid reference format: {text[:_LONGEST]!r} is no image name")
        name = match["name"]
        if re.fullmatch(r"[0-9a-f]{64}", name):
            raise InvalidReference(
                f"invalid reference format: invalid repository name ({name}), "
                "cannot specify 64-byte hexadecimal strings"
            )
        if match["digest"] and len(match["hex"]) != _DIGITS.get(match["algorithm"]):
            raise InvalidReference(f"invalid reference format: {match['digest']} is no digest")
        domain, path = _split(name)
        if path != path.lower():
            raise InvalidReference("invalid reference format: repository name must be lowercase")
        if len(name) > _LONGEST_NAME or len(domain) + 1 + len(path) > _LONGEST_NAME:
            raise InvalidReference(
                f"invalid reference format: repository name must not be more than {_LONGEST_NAME} characters"
            )
        return cls(domain, path, match["tag"] or (None if match["digest"] else DEFAULT_TAG), match["digest"])

    @property
    def repository(self) -> str:
        """The familiar name without tag: `busybox`, `quay.io/coreos/flannel`."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        short = self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path
        # A first part that looks like a domain would be taken for one.
        return short if _split(short) == (self.domain, self.path) else f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """As Docker shows it: `busybox:latest`."""
        shown = self.repository
        if self.tag:
            shown += f":{self.tag}"
        return f"{shown}@{self.digest}" if self.digest else shown

    def __str__(self) -> str:
        return self.familiar


def _split(name: str) -> tuple[str, str]:
    """Domain and path of a name: normalize.go, splitDockerDomain."""
    domain, slash, path = name.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost" or domain != domain.lower()):
        domain, path = DEFAULT_DOMAIN, name
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path
