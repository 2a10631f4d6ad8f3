"""HTTP to one server after another: TLS, proxies, redirects, retries with back-off, and an end when called off.

Proxies come from the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), or from daemon.json. They are of HTTP,
http:// or https://, or of SOCKS 5 (RFC 1928, RFC 1929), socks5:// or socks5h://: both leave names to the proxy, as in
Go's net/http. Certificate authorities come from the system, SSL_CERT_FILE, SSL_CERT_DIR, and Docker's
certs.d/HOST[:PORT]/ (Docker documentation, "Verify repository client with certificates").
"""

from __future__ import annotations

import random
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.contrib.socks import SOCKSConnection, SOCKSProxyManager
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from nbcontainer.errors import RegistryError
from nbcontainer.image.registry.challenge import retry_after
from nbcontainer.image.registry.settings import Settings
from nbcontainer.image.registry.work import Cancel

#: Statuses that go away by themselves: RFC 9110 and RFC 6585.
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10


@dataclass(frozen=True)
class Patience:
    """Seconds: to be connected, to hear something, between attempts (doubled each time), and at most between two."""

    connect: float = 15.0
    silence: float = 60.0
    between: float = 0.5
    most: float = 60.0


class Unreachable(RegistryError):
    """Nobody answers there, or not in TLS: another endpoint may."""


class Lost(RegistryError):
    """A connection ended, or stalled, in the middle: the next attempt may do better."""


class Transport:
    """Requests with these settings. `say` is told when it waits before an attempt."""

    def __init__(
        self, settings: Settings, cancel: Cancel, say: Callable[[str], object], patience: Patience | None = None
    ) -> None:
        self.settings = settings
        self.cancel = cancel
        self.patience = patience or Patience()
        self._say = say
        self._pools: dict[tuple[str, str, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        insecure: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to one request, its body not read yet; redirects are followed, temporary failures tried again.

        Raises `Unreachable` and `Lost`.
        """
        attempt = 1
        # A piece of an upload that got lost on its way may have arrived: only its sender can find that out.
        most = 1 if method == "PATCH" else self.settings.attempts
        while True:
            wait = None
            try:
                response = self._redirected(method, url, headers or {}, body, insecure)
                if response.status not in TEMPORARY or attempt >= most:
                    return response
                wait = retry_after(response.headers.get("Retry-After"))
                if wait is not None and wait > self.patience.most:
                    return response
                response.drain_conn()
                response.release_conn()
            except Lost:
                if attempt >= most:
                    raise
            self.pause(attempt, wait)
            attempt += 1

    def pause(self, attempt: int, wait: float | None = None) -> None:
        """Wait before the next attempt: `wait` seconds, or longer each time."""
        if wait is None:
            longest = min(self.patience.between * 2 ** (attempt - 1), self.patience.most)
            wait = longest * random.uniform(0.75, 1)  # not all at once, after a registry has come back
        if wait >= 1:
            self._say(f"Retrying in {wait:.0f} second{'s' if wait >= 1.5 else ''}")
        self.cancel.wait(wait)

    def _redirected(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, insecure: bool
    ) -> urllib3.BaseHTTPResponse:
        sent = dict(headers)
        first = urlsplit(url)
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._once(method, url, sent, body, insecure)
            target = response.headers.get("Location")
            # An upload's answers name its next place in Location, too, but with other statuses.
            if response.status not in _REDIRECTS or target is None:
                return response
            response.drain_conn()
            response.release_conn()
            url = urljoin(url, target)
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise RegistryError(f"{first.netloc} redirects to {target[:200]!r}, which is no place to download from")
            if first.scheme == "https" and parts.scheme == "http" and not insecure:
                raise RegistryError(f"{first.netloc} redirects to {parts.netloc} without TLS")
            if (parts.scheme, parts.netloc) != (first.scheme, first.netloc):
                sent.pop("Authorization", None)  # it is not for others
                insecure = self.settings.is_insecure(parts.netloc)
        raise RegistryError(f'{method} "{url[:200]}": stopped after {_MOST_REDIRECTS} redirects')

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, insecure: bool
    ) -> urllib3.BaseHTTPResponse:
        self.cancel.check()
        with told(url, self.cancel):
            return self._pool(url, insecure).request(
                method,
                url,
                headers={"User-Agent": "nbcontainer", "Accept-Encoding": "identity", **headers},
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=self.patience.connect, read=self.patience.silence),
            )

    # -- connections

    def _pool(self, url: str, insecure: bool) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = self._proxy(parts.scheme, parts.hostname or "", parts.netloc)
        key = (parts.netloc if parts.scheme == "https" else "", proxy, insecure)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make_pool(parts.netloc if parts.scheme == "https" else None, proxy, insecure)
            return self._pools[key]

    def _make_pool(self, tls_host: str | None, proxy: str, insecure: bool) -> urllib3.PoolManager:
        given: dict[str, Any] = {"maxsize": 16}
        if tls_host is not None:
            given["ssl_context"] = self._context(tls_host, insecure)
            if insecure:
                given["cert_reqs"] = "CERT_NONE"
                given["assert_hostname"] = False
        pool = _proxied(proxy, given) if proxy else urllib3.PoolManager(**given)
        pool.pool_classes_by_scheme = _watched(self.cancel, isinstance(pool, SOCKSProxyManager))
        return pool

    def _context(self, host: str, insecure: bool) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for directory in self.settings.certs:
            try:
                _add_certificates(context, directory / host)
            except (OSError, ssl.SSLError) as error:
                raise RegistryError(f"the certificates in {directory / host} cannot be used: {error}") from None
        return context

    def _proxy(self, scheme: str, name: str, netloc: str) -> str:
        """The proxy for a server; "" for none. As Go's, never for this machine itself."""
        # The environment's, name by name, goes before the file's.
        proxies = {**self.settings.proxies, **urllib.request.getproxies_environment()}
        if name == "localhost" or name == "::1" or name.startswith("127."):
            return ""
        if urllib.request.proxy_bypass_environment(netloc, proxies):  # type: ignore[attr-defined]
            return ""
        found = proxies.get(scheme) or proxies.get("all") or ""
        return found if "://" in found or not found else f"http://{found}"


def _add_certificates(context: ssl.SSLContext, directory: Path) -> None:
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if path.suffix == ".crt":
            context.load_verify_locations(path)
        elif path.suffix == ".cert":
            context.load_cert_chain(path, path.with_suffix(".key"))


def _proxied(proxy: str, given: dict[str, Any]) -> urllib3.PoolManager:
    """Connections through `proxy`. Raises `RegistryError`, which does not say who may use it."""
    try:
        parts = urllib3.util.parse_url(proxy)
    except urllib3.exceptions.LocationParseError:
        raise RegistryError("the proxy's address cannot be read: write SCHEME://[USER:PASSWORD@]HOST[:PORT]") from None
    if parts.scheme not in ("http", "https", "socks5", "socks5h") or not parts.host:
        named = f"{parts.scheme}://{parts.host or ''}"
        raise RegistryError(f"the proxy {named} is none that can be used: http, https, socks5 and socks5h are")
    user, _, password = (unquote(part) for part in (parts.auth or "").partition(":"))
    if parts.scheme in ("http", "https"):
        proxy_headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
        return urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **given)
    there = parts._replace(scheme="socks5h", auth=None).url
    return SOCKSProxyManager(there, user or None, password or None, **given)


class _Socks(SOCKSConnection):
    """One whose failures say, as those through a proxy of HTTP do, that there was a proxy."""

    def _new_conn(self) -> Any:
        try:
            return super()._new_conn()
        except HTTPError as error:
            unknown = isinstance(error.__cause__, socket.gaierror)
            raise ProxyError("cannot connect", error.__cause__ if unknown else error) from error  # type: ignore[arg-type]


def _watched(cancel: Cancel, socks: bool) -> dict[str, Any]:
    """Connections whose sockets `cancel` knows."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            cancel.watch(self.sock)

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainBySocks(_Socks, Plain):
        pass

    class SecureBySocks(_Socks, Secure):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainBySocks if socks else Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureBySocks if socks else Secure

        def _validate_conn(self, conn: Any) -> None:
            # Without the warning: that nothing is verified here, somebody has asked for.
            if conn.is_closed:
                conn.connect()

    return {"http": PlainPool, "https": SecurePool}


@contextmanager
def told(url: str, cancel: Cancel) -> Iterator[None]:
    """What urllib3 raises, as our own errors. Raises `Cancelled` when it was called off."""
    host = urlsplit(url).netloc
    try:
        yield
    except (HTTPError, OSError, ValueError, AttributeError) as error:
        cancel.check()
        if isinstance(error, RegistryError):
            raise
        cause = error.original_error if isinstance(error, ProxyError) else error
        via = "through the proxy " if isinstance(error, ProxyError) else ""
        if isinstance(cause, NameResolutionError | socket.gaierror):
            raise Unreachable(f"cannot reach {host} {via}: no such host".replace(" :", ":")) from None
        if isinstance(cause, NewConnectionError):
            said = str(cause).rpartition("] ")[2].rpartition(": ")[2].lower()
            raise Unreachable(f"cannot reach {host} {via}: {said}".replace(" :", ":")) from None
        if isinstance(cause, ConnectTimeoutError):
            raise Unreachable(f"cannot reach {host} {via}: connection timed out".replace(" :", ":")) from None
        if isinstance(cause, SSLError | ssl.SSLError):
            raise Unreachable(f"cannot reach {host}: {_tls(cause)}") from None
        if isinstance(error, ProxyError):
            raise Unreachable(f"cannot reach {host} through the proxy: {_short(cause)}") from None
        if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
            raise Lost(f"{host} stalls: nothing came for a while") from None
        if isinstance(error, ValueError | urllib3.exceptions.LocationParseError):
            raise RegistryError(f"{url[:200]!r} cannot be asked: {_short(error)}") from None
        raise Lost(f"the connection to {host} was cut: {_short(error)}") from None


def _tls(error: BaseException) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0].rstrip(".")
        return (
            f"x509: certificate is not trusted ({why or 'verify failed'}); name its authority in "
            "SSL_CERT_FILE or certs.d/HOST/ca.crt"
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return "it does not speak TLS; name it in daemon.json's insecure-registries if that is meant"
    return f"TLS failed ({_short(error)})"


def _short(error: BaseException) -> str:
    found: Any = error
    while getattr(found, "args", None) and len(found.args) > 1 and isinstance(found.args[-1], BaseException):
        found = found.args[-1]
    text = str(found).splitlines()[0] if str(found) else type(found).__name__
    return text[:200]
