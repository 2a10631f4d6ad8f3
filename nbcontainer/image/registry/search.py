"""Search: what a registry lists. Docker Hub answers search terms; others can list their repositories, if they let us.

Docker Registry HTTP API V1, "Search"; distribution, docs/spec/api.md, "Catalog".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

from nbcontainer.errors import InvalidArgument, RegistryError
from nbcontainer.image.reference import DEFAULT_DOMAIN
from nbcontainer.image.registry.access import Access
from nbcontainer.image.registry.client import Client, Refused
from nbcontainer.image.registry.settings import HUB_INDEX, Endpoint

_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')
_MOST_PAGES = 200
LIMIT = 25


@dataclass(frozen=True)
class Found:
    """A repository that a search found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(access: Access, term: str, limit: int = LIMIT) -> list[Found]:
    """Repositories whose name has `term`: `busybox` on Docker Hub, `host:5000/busybox` elsewhere.

    Raises `RegistryError`, `InvalidArgument`.
    """
    if not 1 <= limit <= 100:
        raise InvalidArgument(f"Limit {limit} is outside the range of [1, 100]")
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return access.first(first, lambda client: _catalog(client, first, rest, limit), mirrors=False)
    if not term:
        raise InvalidArgument("search for what?")
    client = access.client(Endpoint(f"https://{HUB_INDEX}"), DEFAULT_DOMAIN)
    document = client.document(client.call("GET", f"v1/search?{urlencode({'q': term, 'n': limit})}", "", (200,)))
    results = document.get("results")
    if not isinstance(results, list):
        raise RegistryError(f"{HUB_INDEX} answered a search without results")
    return [_found(one) for one in results if isinstance(one, dict) and isinstance(one.get("name"), str)][:limit]


def _found(one: dict[str, object]) -> Found:
    stars = one.get("star_count")
    return Found(
        str(one["name"]),
        str(one.get("description") or ""),
        stars if isinstance(stars, int) else 0,
        bool(one.get("is_official")),
        bool(one.get("is_automated")),
    )


def _catalog(client: Client, domain: str, term: str, limit: int) -> list[Found]:
    found: list[Found] = []
    where = "v2/_catalog?n=1000"
    for _ in range(_MOST_PAGES):
        try:
            response = client.call("GET", where, "registry:catalog:*", (200,))
        except Refused as error:
            if error.status in (404, 405):
                raise RegistryError(f"{domain} does not list its repositories") from None
            raise
        document = client.document(response)
        names = [one for one in document.get("repositories") or [] if isinstance(one, str)]
        found += [Found(f"{domain}/{name}") for name in names if term in name]
        following = _NEXT.search(response.headers.get("Link") or "")
        if following is None or len(found) >= limit:
            return found[:limit]
        where = urljoin(f"{client.endpoint.url}/", following[1])
    return found[:limit]
