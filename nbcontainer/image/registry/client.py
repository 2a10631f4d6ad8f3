"""One server, asked as the OCI distribution-spec says: manifests, blobs, uploads, tags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urljoin

import urllib3

from nbcontainer.errors import RegistryError
from nbcontainer.image.registry import manifest
from nbcontainer.image.registry.auth import Auth
from nbcontainer.image.registry.credentials import Credential
from nbcontainer.image.registry.manifest import Descriptor, Fetched
from nbcontainer.image.registry.settings import Endpoint
from nbcontainer.image.registry.transport import Transport, told
from nbcontainer.image.store import digest

#: The most bytes of an answer that is not a blob.
LARGEST = 4 << 20
#: More tags than anybody wants to pull.
_MOST_PAGES = 1000
#: Once to learn what the server wants, once more because a token has run out.
_MOST_CHALLENGES = 2
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')


class Refused(RegistryError):
    """The server answered, but not with what was asked for."""

    def __init__(self, host: str, said: str, status: int) -> None:
        super().__init__(f"{host}: {said}")
        self.said = said
        self.status = status


class Client:
    """The registry at `endpoint`."""

    def __init__(self, transport: Transport, endpoint: Endpoint, credential: Credential | None = None) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.auth = Auth(transport, endpoint, credential)

    def call(
        self,
        method: str,
        path: str,
        scope: str,
        expected: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to one request, with Authorization, if its status is as `expected`. Raises `RegistryError`."""
        url = urljoin(f"{self.endpoint.url}/", path.removeprefix("/") if not path.startswith("http") else path)
        for asked_again in range(_MOST_CHALLENGES + 1):
            sent = dict(headers or {})
            authorization = self.auth.header(scope) if url.startswith(f"{self.endpoint.url}/") else None
            if authorization:
                sent["Authorization"] = authorization
            response = self.transport.request(method, url, sent, body, self.endpoint.insecure)
            if response.status in expected:
                return response
            text = self.text(response)
            if response.status == 401:
                asked = ", ".join(response.headers.getlist("WWW-Authenticate"))
                if asked_again < _MOST_CHALLENGES and self.auth.challenged(asked, scope):
                    continue
            raise Refused(self.endpoint.host, _said(response, text), response.status)
        raise AssertionError("the last round returns or raises")

    def text(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole of a small answer. Raises `RegistryError` when it is not small."""
        parts, size = [], 0
        with told(response.url or self.endpoint.url, self.transport.cancel):
            while data := response.read(1 << 16):
                size += len(data)
                if size > LARGEST:
                    response.close()
                    raise RegistryError(f"{self.endpoint.host} answered with more than {LARGEST >> 20} MiB")
                parts.append(data)
        response.release_conn()
        return b"".join(parts)

    def ping(self) -> None:
        """Whether it is a registry that lets us in: GET /v2/."""
        self.text(self.call("GET", "v2/", "", (200,)))

    # -- manifests

    def manifest(self, path: str, reference: str) -> Fetched:
        """The manifest or index with this tag or digest, found to be what its digest says."""
        headers = {"Accept": ", ".join(manifest.ACCEPTED)}
        scope = f"repository:{path}:pull"
        response = self.call("GET", f"v2/{path}/manifests/{quote(reference, safe=':')}", scope, (200,), headers)
        content = self.text(response)
        found = digest(content)
        said = response.headers.get("Docker-Content-Digest")
        wanted = reference if ":" in reference else said if (said or "").startswith("sha256:") else None
        if wanted is not None and found != wanted:
            raise RegistryError(f"{self.endpoint.host} sent a manifest that is {found[:19]}, not {wanted[:19]}")
        kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        return manifest.read(content, found, kind, self.endpoint.host)

    def put_manifest(self, path: str, reference: str, content: bytes, media_type: str) -> None:
        """Store a manifest under a tag or a digest."""
        scope = f"repository:{path}:pull,push"
        where = f"v2/{path}/manifests/{quote(reference, safe=':')}"
        response = self.call("PUT", where, scope, (201, 202), {"Content-Type": media_type}, content)
        self.text(response)
        said = response.headers.get("Docker-Content-Digest")
        if said is not None and said.startswith("sha256:") and said != digest(content):
            raise RegistryError(f"{self.endpoint.host} has stored another manifest than ours: {said[:19]}")

    def has_manifest(self, path: str, reference: str) -> bool:
        """Whether it is there."""
        headers = {"Accept": ", ".join(manifest.ACCEPTED)}
        response = self.call(
            "HEAD", f"v2/{path}/manifests/{quote(reference, safe=':')}", f"repository:{path}:pull", (200, 404), headers
        )
        response.release_conn()
        return response.status == 200

    def tags(self, path: str) -> list[str]:
        """All tags of a repository, as the server sorts them."""
        found: list[str] = []
        where = f"v2/{path}/tags/list"
        for _ in range(_MOST_PAGES):
            response = self.call("GET", where, f"repository:{path}:pull", (200,))
            document = self.document(response)
            found += [tag for tag in document.get("tags") or [] if isinstance(tag, str)]
            following = _NEXT.search(response.headers.get("Link") or "")
            if following is None:
                return found
            where = urljoin(f"{self.endpoint.url}/", following[1])
        raise RegistryError(f"{self.endpoint.host} lists tags without an end")

    def document(self, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        """A JSON object."""
        data = self.text(response)
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise RegistryError(f"{self.endpoint.host} answered {_kind(response, data)}, not a JSON object")
        return found

    # -- blobs

    def blob(self, path: str, descriptor: Descriptor, start: int = 0) -> urllib3.BaseHTTPResponse:
        """The bytes of a blob from `start` on (status 206), or all of them where the server has no ranges (200)."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        where = f"v2/{path}/blobs/{descriptor.digest}"
        try:
            return self.call("GET", where, f"repository:{path}:pull", (200, 206), headers)
        except Refused as error:
            if error.status != 404:
                raise
            raise RegistryError(
                f"{self.endpoint.host} has a manifest of it, but not its blob {descriptor.digest[:19]}: {error.said}"
            ) from None

    def has_blob(self, path: str, digest: str) -> bool:
        """Whether it is there."""
        response = self.call("HEAD", f"v2/{path}/blobs/{digest}", f"repository:{path}:pull,push", (200, 404))
        response.release_conn()
        return response.status == 200


def _said(response: urllib3.BaseHTTPResponse, text: bytes) -> str:
    """An error answer in one line, as Docker has it: `code: message`, distribution-spec, "Error Codes"."""
    try:
        errors = json.loads(text)["errors"]
        first = errors[0]
        code, message = str(first.get("code", "")).lower().replace("_", " "), str(first.get("message") or "")
        detail = f"{code}: {message}" if code and message else code or message
        if detail:
            return " ".join(detail.split())[:300]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        pass
    plain = f"{response.status} {response.reason or ''}".strip()
    if response.status == 429:
        after = response.headers.get("Retry-After")
        return f"toomanyrequests: {plain}" + (f"; it wants to be asked again after {after[:40]}" if after else "")
    if response.status == 401:
        return "unauthorized: authentication required"
    return f"it answered {plain}, with {_kind(response, text)}" if text else f"it answered {plain}"


def _kind(response: urllib3.BaseHTTPResponse, text: bytes) -> str:
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
    if text.lstrip()[:1] == b"<":
        return "an HTML page"
    return kind[:60] or "something of no known type"
