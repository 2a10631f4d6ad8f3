"""Who we are to a registry: Docker's config.json and credential helpers, read and written as Docker does.

docker/cli, cli/config/configfile and cli/config/credentials; docker-credential-helpers, README, "Development".
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbcontainer.errors import InvalidArgument, RegistryError, Unavailable
from nbcontainer.image.reference import DEFAULT_DOMAIN

#: Docker Hub's name in config.json.
HUB_KEY = "https://index.docker.io/v1/"
#: What a helper calls a user whose secret is an identity token.
TOKEN_USER = "<token>"
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
#: Seconds a helper may take: it may ask the user.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Credential:
    """A user with a password, or an identity token (OAuth2's refresh token)."""

    username: str = ""
    password: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"Credential({self.username!r})"  # never the secret


def server_key(domain: str) -> str:
    """What config.json calls the registry of a reference's `domain`."""
    return HUB_KEY if domain in (DEFAULT_DOMAIN, "index.docker.io", "registry-1.docker.io") else domain


def _bare(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


class Credentials:
    """Our own config.json in `home`, if there is one, then Docker's. Raises `InvalidArgument` for a damaged one."""

    def __init__(self, home: Path) -> None:
        docker = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))
        self._files = (home / "config.json", docker / "config.json")

    @property
    def path(self) -> Path:
        """The file that `store` writes: our own if it is there, else Docker's."""
        ours, docker = self._files
        return ours if ours.exists() else docker

    def find(self, domain: str) -> Credential | None:
        """For the registry of `domain`; None when nobody has logged in."""
        key = server_key(domain)
        for path in self._files:
            document = _read(path)
            helper = _helper(document, key)
            found = _ask(helper, key) if helper else _written(document, key)
            if found is not None:
                return found
        return None

    def store(self, domain: str, credential: Credential) -> str | None:
        """Keep it; the path of the file that has it unencrypted now, None when a helper has it."""
        key, path = server_key(domain), self.path
        document = _read(path)
        helper = _helper(document, key)
        auths = document.setdefault("auths", {})
        if helper:
            secret = {"Username": credential.username, "Secret": credential.password}
            if credential.token:
                secret = {"Username": TOKEN_USER, "Secret": credential.token}
            _run(helper, "store", json.dumps({"ServerURL": key, **secret}))
            auths[key] = {}
        else:
            text = f"{credential.username}:{'' if credential.token else credential.password}"
            auths[key] = {"auth": base64.b64encode(text.encode()).decode()}
            if credential.token:
                auths[key]["identitytoken"] = credential.token
        _write(path, document)
        return None if helper else str(path)

    def erase(self, domain: str) -> bool:
        """Forget it, wherever it is; whether there was one."""
        key = server_key(domain)
        found = False
        for path in self._files:
            document = _read(path)
            helper = _helper(document, key)
            if helper and _ask(helper, key) is not None:
                _run(helper, "erase", key)
                found = True
            auths = document.get("auths") or {}
            known = [other for other in auths if other == key or _bare(other) == _bare(key)]
            for other in known:
                del auths[other]
            if known:
                found = True
                _write(path, document)
        return found


def decode(text: str) -> tuple[str, str] | None:
    """User and password of an `auth` field: base64 of `user:password`."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password.strip("\0")) if colon else None


def _written(document: dict[str, Any], key: str) -> Credential | None:
    auths: dict[str, Any] = document.get("auths") or {}
    # As Docker: by the key itself, then by anything that names the same host.
    for name in [key, *(other for other in auths if other != key and _bare(other) == _bare(key))]:
        entry = auths.get(name)
        if not isinstance(entry, dict):
            continue
        token = entry.get("identitytoken") or ""
        auth = entry.get("auth")
        pair = decode(auth) if isinstance(auth, str) else (entry.get("username"), entry.get("password"))
        if pair and isinstance(pair[0], str) and isinstance(pair[1], str) and (pair[0] or token):
            return Credential(pair[0], pair[1], token if isinstance(token, str) else "")
        if isinstance(token, str) and token:
            return Credential(token=token)
    return None


# -- the file


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes().decode() or "{}")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("auths") or {}, dict):
        raise InvalidArgument(f"{path} is no Docker configuration: its auths is no object")
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    # A link to the file, as dotfiles often are, stays one.
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".config-", delete=False) as file:
            try:
                json.dump(document, file, indent="\t")
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, target)  # mode 0600, as mkstemp(3) makes it
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from None


# -- helpers


def _helper(document: dict[str, Any], key: str) -> str | None:
    helpers = document.get("credHelpers") or {}
    named = (helpers.get(key) or helpers.get(_bare(key))) if isinstance(helpers, dict) else None
    name = named or document.get("credsStore")
    if not name:
        return None
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise InvalidArgument(f"{name!r} is no name of a credential helper")
    return f"docker-credential-{name}"


def _ask(helper: str, key: str) -> Credential | None:
    for candidate in _spellings(key):
        answer = _run(helper, "get", candidate, absent_is_fine=True)
        if answer is None:
            continue
        try:
            document = json.loads(answer)
            user, secret = document["Username"], document["Secret"]
        except (ValueError, KeyError, TypeError):
            raise RegistryError(f"{helper} did not answer with a credential") from None
        if not isinstance(user, str) or not isinstance(secret, str):
            raise RegistryError(f"{helper} did not answer with a credential")
        return Credential(token=secret) if user == TOKEN_USER else Credential(user, secret)
    return None


def _spellings(key: str) -> Iterator[str]:
    yield key
    if "://" not in key:
        yield f"https://{key}"


def _run(helper: str, action: str, given: str, absent_is_fine: bool = False) -> str | None:
    program = shutil.which(helper)
    if program is None:
        if absent_is_fine:
            return None
        raise Unavailable(f"{helper}, which config.json names as credential helper, is not installed")
    try:
        done = subprocess.run([program, action], input=given, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"{helper} {action}: {error}") from None
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        if absent_is_fine and said and "credentials not found" in said[0]:
            return None
        raise RegistryError(f"{helper} {action}: {said[0] if said else f'exit code {done.returncode}'}")
    return done.stdout
