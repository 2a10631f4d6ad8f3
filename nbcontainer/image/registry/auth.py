"""Basic authentication and bearer tokens: what a server asks for in WWW-Authenticate, with the credential we have.

distribution, docs/spec/auth/token.md ("Requesting a Token") and oauth.md; RFC 7617.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from nbcontainer.errors import RegistryError
from nbcontainer.image.registry.challenge import Challenge, challenges
from nbcontainer.image.registry.credentials import Credential
from nbcontainer.image.registry.settings import Endpoint
from nbcontainer.image.registry.transport import Transport

_CLIENT = "nbcontainer"
_LARGEST = 1 << 20
#: Seconds a token is good for when its server does not say; and before their end that a new one is asked for.
_LIFETIME, _MARGIN = 60.0, 10.0


class Auth:
    """What goes into Authorization for one server. `credential` is sent there, and to the token server it names."""

    def __init__(self, transport: Transport, endpoint: Endpoint, credential: Credential | None) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._challenges: list[Challenge] = []
        self._tokens: dict[str, tuple[str, float]] = {}
        self.credential = credential
        #: Whether this is about the credential itself, which the token server may exchange for a lasting token.
        self.login = False
        #: What the token server gave in exchange for a password, if it did.
        self.identity_token = ""

    def header(self, scope: str) -> str | None:
        """Authorization for a request that needs `scope`; None as long as the server has not asked for any.

        Raises `RegistryError`.
        """
        with self._lock:
            for challenge in self._challenges:
                if challenge.scheme == "bearer":
                    return f"Bearer {self._token(challenge, scope)}"
                if challenge.scheme == "basic" and self.credential is not None and self.credential.username:
                    pair = f"{self.credential.username}:{self.credential.password}"
                    return f"Basic {base64.b64encode(pair.encode()).decode()}"
            return None

    def challenged(self, header: str, scope: str) -> bool:
        """A server has answered 401 with this WWW-Authenticate; whether it is worth asking again."""
        found = [one for one in challenges(header) if one.scheme in ("basic", "bearer")]
        found.sort(key=lambda one: one.scheme != "bearer")
        with self._lock:
            known, self._challenges = bool(self._challenges), found
            stale = self._tokens.pop(scope, None) is not None
        if not found:
            return False
        if found[0].scheme == "bearer":
            return stale or not known
        return not known and self.credential is not None

    # -- tokens

    def _token(self, challenge: Challenge, scope: str) -> str:
        token, until = self._tokens.get(scope, ("", 0.0))
        if not token or time.monotonic() > until - _MARGIN:
            answer = self._ask(challenge, scope)
            token = answer.get("token") or answer.get("access_token") or ""
            if not isinstance(token, str) or not token or not token.isprintable():
                raise RegistryError(f"the token server of {self._endpoint.host} answered without a token")
            lifetime = answer.get("expires_in")
            seconds = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else _LIFETIME
            self._tokens[scope] = (token, time.monotonic() + max(seconds, _LIFETIME))
            if isinstance(answer.get("refresh_token"), str):
                self.identity_token = answer["refresh_token"]
        return token

    def _ask(self, challenge: Challenge, scope: str) -> dict[str, Any]:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RegistryError(f"{self._endpoint.host} names no token server: its realm is {realm[:200]!r}")
        if self._endpoint.url.startswith("https://") and parts.scheme == "http" and not self._endpoint.insecure:
            raise RegistryError(f"{self._endpoint.host} wants our password sent to {parts.netloc} without TLS")
        query = {"service": challenge.parameters["service"]} if challenge.parameters.get("service") else {}
        scopes = scope.split()
        credential = self.credential
        insecure = self._endpoint.insecure and self._transport.settings.is_insecure(parts.netloc)
        if credential is not None and credential.token:
            form = {
                "grant_type": "refresh_token", "refresh_token": credential.token, "client_id": _CLIENT,
                **query, **({"scope": " ".join(scopes)} if scopes else {}),
            }  # fmt: skip
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._transport.request("POST", realm, headers, urlencode(form).encode(), insecure)
        else:
            headers = {}
            if credential is not None:
                pair = f"{credential.username}:{credential.password}"
                headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
                query |= {"account": credential.username, "client_id": _CLIENT}
                if self.login:
                    query["offline_token"] = "true"
            asked = urlencode([*query.items(), *(("scope", one) for one in scopes)])
            joined = "&" if parts.query else "?"
            response = self._transport.request("GET", f"{realm}{joined}{asked}", headers, None, insecure)
        data = response.read(_LARGEST)
        response.release_conn()
        if response.status in (401, 403):
            raise RegistryError("unauthorized: incorrect username or password" if credential else "unauthorized")
        if response.status != 200:
            raise RegistryError(
                f"the token server {parts.netloc} answered {response.status} {response.reason or ''}".rstrip()
            )
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise RegistryError(f"the token server {parts.netloc} answered no JSON object")
        return answer
