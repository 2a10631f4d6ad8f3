"""Log in and out: a credential is tried, then kept where Docker keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import RegistryError
from nbcontainer.image.reference import DEFAULT_DOMAIN
from nbcontainer.image.registry.access import Access
from nbcontainer.image.registry.client import Client
from nbcontainer.image.registry.credentials import Credential, Credentials, server_key
from nbcontainer.image.registry.progress import Event, Progress, nobody
from nbcontainer.image.registry.work import Cancel, away


@dataclass(frozen=True)
class Login:
    """What came of it: the file that has the password unencrypted now, None when a credential helper keeps it."""

    server: str
    unencrypted: str | None


def domain_of(server: str | None) -> str:
    """The registry that `login` means: the hub without a name; a URL's host."""
    bare = (server or DEFAULT_DOMAIN).removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DEFAULT_DOMAIN if bare in ("index.docker.io", "registry-1.docker.io", "") else bare


def login(home: Path, server: str | None, username: str, password: str) -> Login:
    """Try the credential at `server`, then keep it. Raises `RegistryError` when it is not taken."""
    domain = domain_of(server)
    credential = Credential(username, password)

    def ask(client: Client) -> str:
        client.auth.credential = credential
        client.auth.login = True
        client.ping()
        return client.auth.identity_token

    def work(progress: Progress, cancel: Cancel) -> str:
        access = Access(home, cancel, lambda text: progress(Event(text)))
        return access.first(domain, ask, mirrors=False)

    try:
        token = away(work, nobody)
    except RegistryError as error:
        raise RegistryError(f"login to {server_key(domain)} failed: {error}") from None
    kept = Credential(username, token=token) if token else credential
    return Login(domain, Credentials(home).store(domain, kept))


def logout(home: Path, server: str | None) -> bool:
    """Forget the credential; whether there was one."""
    return Credentials(home).erase(domain_of(server))
