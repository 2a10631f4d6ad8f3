"""What the instructions that only describe an image make of its config: ENV, LABEL, CMD, …. Nothing is run or copied.

OCI image-spec, config.md; moby, image/spec/spec.md, for Healthcheck, Shell and OnBuild; the Dockerfile reference.
`docker commit --change` takes the same instructions.
"""

from __future__ import annotations

import copy
import json
import posixpath
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbcontainer.errors import DockerfileError, InvalidArgument
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.parse import parse
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.statements import read
from nbcontainer.image.dockerfile.words import Words
from nbcontainer.image.dockerfile.wrong import Wrong

Config = dict[str, Any]
#: What runs the shell form.
SHELL = ("/bin/sh", "-c")
#: The instructions that `commit --change` takes.
CHANGES = (
    "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME",
    "WORKDIR",
)  # fmt: skip
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/([a-z]+))?", re.IGNORECASE)
_PROTOCOLS = ("tcp", "udp", "sctp")


def changed(config: Mapping[str, Any], changes: Sequence[str]) -> Config:
    """`config` after `commit --change`: each of `changes` is one instruction. Raises `InvalidArgument`."""
    description = Description(config)
    for change in changes:
        try:
            statements = read(Source("--change", change))
            for statement in statements.statements:
                if statement.name not in CHANGES:
                    raise Wrong(f"{statement.name} is not a valid change command")
                description.apply(parse(statement, statements.escape), description.env, statements.escape)
        except (DockerfileError, ValueError) as error:
            reason = str(error).partition("dockerfile parse error on line 1: ")[2] or error
            raise InvalidArgument(f'invalid change "{change}": {reason}') from None
    return description.config


class Description:
    """The config of an image while instructions change it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config: Config = copy.deepcopy(dict(config))
        self._cmd_given = False

    @property
    def env(self) -> dict[str, str]:
        """Its environment."""
        return dict(_split(entry) for entry in self.config.get("Env") or [])

    @property
    def shell(self) -> list[str]:
        """The program and options that the shell form is run by."""
        return list(self.config.get("Shell") or SHELL)

    def apply(self, instruction: i.Instruction, env: Mapping[str, str], escape: str = "\\") -> str:
        """Do what `instruction` says, its variables being `env`; what the image's history says of it.

        Raises `ExpansionError`, and `Wrong` when a value cannot be.
        """
        words = Words(escape)
        if isinstance(instruction, i.Expose):
            return self._expose(words.split(instruction.text, env))
        found = instruction.expanded(lambda word: words.expand(word, env))
        return _APPLY[type(found)](self, found)

    def workdir(self, path: str) -> str:
        """Where WORKDIR `path` leads from where it is now."""
        joined = posixpath.join("/", self.config.get("WorkingDir") or "/", path)
        return "/" + posixpath.normpath(joined).lstrip("/")

    # -- one by one

    def _env(self, found: i.Env) -> str:
        entries = dict(_split(entry) for entry in self.config.get("Env") or [])
        for key, value in found.pairs:
            if not key or "=" in key:
                raise Wrong("ENV names can not be blank")
            entries[key] = value
        self.config["Env"] = [f"{key}={value}" for key, value in entries.items()]
        return "ENV " + " ".join(f"{key}={value}" for key, value in found.pairs)

    def _label(self, found: i.Label) -> str:
        self.config["Labels"] = {**(self.config.get("Labels") or {}), **dict(found.pairs)}
        return "LABEL " + " ".join(f"{key}={value}" for key, value in found.pairs)

    def _cmd(self, found: i.Cmd) -> str:
        self.config["Cmd"] = self._command(found.words, found.shell)
        self._cmd_given = True
        return f"CMD {_quoted(self.config['Cmd'])}"

    def _entrypoint(self, found: i.Entrypoint) -> str:
        made = self._command(found.words, found.shell) if found.words else []
        self.config["Entrypoint"] = made or None
        if not self._cmd_given:
            # A command that comes from the base image was meant for the base image's entry point.
            self.config["Cmd"] = None
        return f"ENTRYPOINT {_quoted(made)}"

    def _command(self, words: tuple[str, ...], shell: bool) -> list[str]:
        return [*self.shell, " ".join(words)] if shell else list(words)

    def _healthcheck(self, found: i.Healthcheck) -> str:
        self.config["Healthcheck"] = dict(found.check)
        return found.statement.text

    def _expose(self, words: list[str]) -> str:
        ports: dict[str, dict[str, Any]] = dict(self.config.get("ExposedPorts") or {})
        new = sorted({port for word in words for port in _ports(word)})
        ports.update((port, {}) for port in new)
        self.config["ExposedPorts"] = ports
        return f"EXPOSE map[{' '.join(f'{port}:{{}}' for port in new)}]"

    def _volume(self, found: i.Volume) -> str:
        if not all(path.strip() for path in found.paths):
            raise Wrong("VOLUME specified can not be an empty string")
        self.config["Volumes"] = {**(self.config.get("Volumes") or {}), **{path: {} for path in found.paths}}
        return f"VOLUME [{' '.join(found.paths)}]"

    def _user(self, found: i.User) -> str:
        self.config["User"] = found.user
        return f"USER {found.user}"

    def _workdir(self, found: i.Workdir) -> str:
        self.config["WorkingDir"] = self.workdir(found.path)
        return f"WORKDIR {self.config['WorkingDir']}"

    def _shell(self, found: i.Shell) -> str:
        self.config["Shell"] = list(found.words)
        return f"SHELL {_quoted(found.words)}"

    def _stopsignal(self, found: i.StopSignal) -> str:
        _check_signal(found.signal)
        self.config["StopSignal"] = found.signal
        return f"STOPSIGNAL {found.signal}"

    def _onbuild(self, found: i.OnBuild) -> str:
        self.config["OnBuild"] = [*(self.config.get("OnBuild") or []), found.text]
        return f"ONBUILD {found.text}"


_APPLY: dict[type[i.Instruction], Callable[[Description, Any], str]] = {
    i.Env: Description._env,
    i.Label: Description._label,
    i.Cmd: Description._cmd,
    i.Entrypoint: Description._entrypoint,
    i.Healthcheck: Description._healthcheck,
    i.Volume: Description._volume,
    i.User: Description._user,
    i.Workdir: Description._workdir,
    i.Shell: Description._shell,
    i.StopSignal: Description._stopsignal,
    i.OnBuild: Description._onbuild,
}


def _split(entry: str) -> tuple[str, str]:
    key, _, value = entry.partition("=")
    return key, value


def _quoted(words: Sequence[str]) -> str:
    """As Go prints a list of strings, which is what histories have."""
    return f"[{' '.join(json.dumps(word, ensure_ascii=False) for word in words)}]"


def _ports(word: str) -> list[str]:
    """`80`, `80/udp`, `8000-8010`: each port with its protocol. Raises `Wrong`."""
    match = _PORTS.fullmatch(word)
    if match is None:
        raise Wrong(f"invalid containerPort: {word}")
    first, last, protocol = int(match[1]), int(match[2] or match[1]), (match[3] or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise Wrong(f"invalid proto: {protocol}")
    if not first <= last <= 65535:
        raise Wrong(f"invalid containerPort: {word}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _check_signal(text: str) -> None:
    """Raises `Wrong` for what is no signal, by number or by name."""
    name = text.upper().removeprefix("SIG")
    real_time = re.fullmatch(r"RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?", name)
    named = bool(real_time) or f"SIG{name}" in signal.Signals.__members__
    if not (1 <= int(text) <= 64 if text.isdigit() else named):
        raise Wrong(f"Invalid signal: {text}")
