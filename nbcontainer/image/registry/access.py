"""How the registry of a name is reached: its servers in order, each with the credential we have for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from nbcontainer.errors import NotFound, RegistryError
from nbcontainer.image import bootstrap
from nbcontainer.image.reference import DEFAULT_DOMAIN, Reference
from nbcontainer.image.registry.client import Client, Refused
from nbcontainer.image.registry.credentials import Credential, Credentials
from nbcontainer.image.registry.settings import Endpoint, Settings
from nbcontainer.image.registry.transport import Patience, Transport, Unreachable
from nbcontainer.image.registry.work import Cancel

T = TypeVar("T")


class Access:
    """The servers for images, with the settings and the credentials of `home`."""

    def __init__(
        self,
        home: Path,
        cancel: Cancel | None = None,
        say: Callable[[str], object] = lambda text: None,
        patience: Patience | None = None,
    ) -> None:
        self.settings = Settings.read(home)
        self.credentials = Credentials(home)
        self.transport = Transport(self.settings, cancel or Cancel(), say, patience)

    def client(self, endpoint: Endpoint, domain: str, credential: Credential | None = None) -> Client:
        """One of them. A mirror gets what was stored for itself, never what is for the registry it stands in for."""
        known = credential or self.credentials.find(endpoint.host if endpoint.mirror else domain)
        return Client(self.transport, endpoint, known)

    def first(self, domain: str, ask: Callable[[Client], T], mirrors: bool = True) -> T:
        """What the first server answers that can: mirrors first, and each that is insecure also without TLS.

        Raises the `RegistryError` of the last one, which is the registry itself.
        """
        failed: RegistryError | None = None
        for endpoint in self._endpoints(domain, mirrors):
            # Without TLS only if there was none: a registry that has refused has answered.
            if isinstance(failed, RegistryError) and not isinstance(failed, Unreachable) and not self._was_mirror:
                break
            self._was_mirror = endpoint.mirror
            try:
                return ask(self.client(endpoint, domain))
            except RegistryError as error:
                failed = _kinder(failed, error)
        raise failed or RegistryError(f"{domain} has no servers")

    _was_mirror = False

    def _endpoints(self, domain: str, mirrors: bool) -> Iterator[Endpoint]:
        return self.settings.endpoints(domain) if mirrors else self.settings.direct(domain)


def _kinder(before: RegistryError | None, error: RegistryError) -> RegistryError:
    """Of the errors over TLS and without, the one that says more."""
    if isinstance(error, Unreachable) and isinstance(before, Unreachable) and str(before) == str(error):
        return before
    return error


def explained(error: Exception, reference: Reference) -> Exception:
    """An error of the registry about an image, in Docker's words; any other as it is."""
    text = str(error)
    if isinstance(error, Unreachable):
        name = "Docker Hub" if reference.domain == DEFAULT_DOMAIN else reference.domain
        ours = reference.familiar == bootstrap.TAG
        return RegistryError(
            f"{reference} cannot be had from {name}: {text}; "
            "it takes a network, a proxy (HTTPS_PROXY) or a mirror (daemon.json)"
            + ("; `%image bootstrap busybox` makes one from this machine's own" if ours else "")
        )
    if isinstance(error, Refused):
        if error.status == 404 and "name unknown" not in text:
            return NotFound(f"manifest for {reference} not found: {error.said}")
        if error.status in (401, 403) or "name unknown" in text:
            return RegistryError(
                f"pull access denied for {reference.repository}, repository does not exist or may require "
                f"'%image login': {error.said}"
            )
    return error
