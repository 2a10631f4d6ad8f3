"""Which servers are asked for an image, and how: Docker's daemon.json, its certs.d, and its defaults.

Docker documentation, "dockerd", "Daemon configuration file"; moby, registry/config.go and registry/service_v2.go.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbcontainer.errors import InvalidArgument
from nbcontainer.image.reference import DEFAULT_DOMAIN

#: Where Docker Hub's images are; its name in references is another.
HUB = "registry-1.docker.io"
#: Where Docker Hub's search is.
HUB_INDEX = "index.docker.io"
NAME = "daemon.json"


@dataclass(frozen=True)
class Endpoint:
    """A server to ask: its base URL, and whether its certificate may be anybody's."""

    url: str
    insecure: bool = False
    mirror: bool = False

    @property
    def host(self) -> str:
        """Name and port, as in the URL."""
        return urlsplit(self.url).netloc

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Settings:
    """What a daemon.json says of registries. `certs` are directories like /etc/docker/certs.d, all of which count."""

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    downloads: int = 3
    uploads: int = 5
    attempts: int = 5
    proxies: Mapping[str, str] = field(default_factory=dict)
    certs: tuple[Path, ...] = ()

    @classmethod
    def read(cls, home: Path) -> Settings:
        """From the first daemon.json there is: in `home`, Docker's own for this user, Docker's for the machine.

        Raises `InvalidArgument` naming the file when it is damaged.
        """
        places = [home, config_home() / "docker", Path("/etc/docker")]
        certs = tuple(place / "certs.d" for place in places)
        for place in places:
            try:
                text = (place / NAME).read_bytes().decode()
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            except (OSError, ValueError) as error:
                raise InvalidArgument(f"{place / NAME} cannot be read: {error}") from None
            return cls.parse(text, place / NAME, certs)
        return cls(certs=certs)

    @classmethod
    def parse(cls, text: str, path: Path = Path(NAME), certs: tuple[Path, ...] = ()) -> Settings:
        """What `text` says; what is not about registries is passed over. Raises `InvalidArgument`."""
        try:
            document = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"{path} is no JSON: {error}") from None
        if not isinstance(document, dict):
            raise InvalidArgument(f"{path} is no JSON object")

        def texts(key: str) -> tuple[str, ...]:
            found = document.get(key) or []
            if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
                raise InvalidArgument(f"{path}: {key} must be a list of strings")
            return tuple(found)

        def number(key: str, otherwise: int) -> int:
            found = document.get(key, otherwise)
            if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= 100:
                raise InvalidArgument(f"{path}: {key} must be a number from 1 to 100")
            return found

        return cls(
            tuple(_mirror(one, path) for one in texts("registry-mirrors")),
            tuple(re.sub(r"^https?://|/$", "", one) for one in texts("insecure-registries")),
            number("max-concurrent-downloads", 3),
            number("max-concurrent-uploads", 5),
            number("max-download-attempts", 5),
            _proxies(document.get("proxies") or {}, path),
            certs,
        )

    def endpoints(self, domain: str) -> Iterator[Endpoint]:
        """The servers that may have the images of `domain`, in the order to ask them."""
        if domain == DEFAULT_DOMAIN:
            for url in self.mirrors:
                yield Endpoint(url, self.is_insecure(urlsplit(url).netloc), mirror=True)
            yield Endpoint(f"https://{HUB}")
            return
        yield from self.direct(domain)

    def direct(self, domain: str) -> Iterator[Endpoint]:
        """The server itself: over TLS, and without where it is insecure."""
        host = HUB if domain == DEFAULT_DOMAIN else domain
        insecure = self.is_insecure(host)
        yield Endpoint(f"https://{host}", insecure)
        if insecure:
            yield Endpoint(f"http://{host}", insecure)

    def is_insecure(self, host: str) -> bool:
        """Whether `host` (NAME or NAME:PORT) is on this machine, or one of insecure-registries, by name or network."""
        if host in self.insecure:
            return True
        name = re.sub(r":\d+$", "", host).strip("[]")
        if name == "localhost" or name in self.insecure:
            return True
        networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
        for text in self.insecure:
            try:
                networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                continue  # a name
        for address in _addresses(name, lookup=len(networks) > 2):
            if any(address in network for network in networks):
                return True
        return False


def config_home() -> Path:
    """$XDG_CONFIG_HOME, or ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))


def _mirror(text: str, path: Path) -> str:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError as error:
        raise InvalidArgument(f"{path}: registry-mirrors has {text!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidArgument(f"{path}: registry-mirrors has {text!r}: write it as https://host[:port]")
    return text.rstrip("/")


def _proxies(found: Any, path: Path) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise InvalidArgument(f"{path}: proxies must be an object of strings")
    names = {"http-proxy": "http", "https-proxy": "https", "no-proxy": "no"}
    return {names[key]: value for key, value in found.items() if key in names and value}


def _addresses(name: str, lookup: bool) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        pass
    if not lookup:
        return []
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
