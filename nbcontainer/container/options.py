"""What `run`, `create`, `exec` and `update` take: every option once, checked, with its value."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nbcontainer.container import mount_options, names, network_options, values
from nbcontainer.container.security import capability_names
from nbcontainer.container.values import parse_signal as parse_signal
from nbcontainer.errors import InvalidArgument
from nbcontainer.network import ports

#: Docker's least memory limit.
LEAST_MEMORY = 6 << 20
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,62})(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}))*")


@dataclass(frozen=True)
class RunOptions:
    """The options of `run` and `create`, as named on the command line, dashes as underscores.

    Sizes are bytes, durations seconds; None means that nothing was asked for.
    """

    image: str
    command: tuple[str, ...] = ()
    name: str | None = None
    replace: bool = False
    rm: bool = False
    interactive: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    hostname: str | None = None
    domainname: str | None = None
    add_host: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    volume: tuple[str, ...] = ()
    mount: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    volumes_from: tuple[str, ...] = ()
    read_only: bool = False
    entrypoint: tuple[str, ...] | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    device: tuple[str, ...] = ()
    ulimit: tuple[str, ...] = ()
    sysctl: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    init: bool = False
    pid: str | None = None
    ipc: str | None = None
    uts: str | None = None
    network: str = "bridge"
    #: Networks besides the first, each as `name=NET,alias=NAME,ip=ADDRESS,…`.
    more_networks: tuple[str, ...] = ()
    network_alias: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    ip: str | None = None
    ip6: str | None = None
    mac_address: str | None = None
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    cgroup_parent: str | None = None
    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids_limit: int | None = None
    blkio_weight: int | None = None
    oom_score_adj: int | None = None
    stop_signal: str | None = None
    stop_timeout: float | None = None
    restart: str = "no"
    label: dict[str, str] = dataclasses.field(default_factory=dict)
    health_cmd: str | None = None
    health_interval: float | None = None
    health_timeout: float | None = None
    health_retries: int | None = None
    health_start_period: float | None = None
    health_start_interval: float | None = None
    no_healthcheck: bool = False
    pull: str = "missing"
    platform: str | None = None

    @classmethod
    def parse(cls, image: str, command: Sequence[str] = (), **raw: Any) -> Self:
        """Options from text, or from Python values. Raises `InvalidArgument` in Docker's words."""
        raw = {key: value for key, value in raw.items() if value is not None and value is not False and value != ()}
        network_options.spread(raw)
        unknown = sorted(raw.keys() - cls.__dataclass_fields__.keys() - {"env_file", "label_file"})
        if unknown:
            raise InvalidArgument(f"there is no option {unknown[0]}")
        if isinstance(command, str):
            raise InvalidArgument(f'the command is a list of words, such as ["sh", "-c", {command!r}]')
        checked: dict[str, Any] = {"image": image, "command": _strings(command, "command")}
        if "env" in raw or "env_file" in raw:
            env = raw.pop("env", ())
            env = env if isinstance(env, Mapping) else _several(env)
            checked["env"] = values.environment(env, _several(raw.pop("env_file", ())))
        for key, value in raw.items():
            check = _CHECKS.get(key)
            checked[key] = check(value) if check else value
        options = cls(**checked)
        options._check_together()
        return options

    def _check_together(self) -> None:
        if self.memory is not None:
            if 0 < self.memory < LEAST_MEMORY:
                raise InvalidArgument("Minimum memory limit allowed is 6MB")
            if self.memory_swap not in (None, -1) and self.memory_swap < self.memory:
                raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
            if self.memory_reservation is not None and self.memory_reservation > self.memory:
                raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
        elif self.memory_swap is not None and self.memory_swap > 0:
            raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
        if self.cpus and (self.cpu_quota or self.cpu_period):
            raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
        if self.rm and self.restart not in ("no", ""):
            raise InvalidArgument("Conflicting options: --restart and --rm")
        network_options.check_together(self)
        if self.uts == "host" and self.hostname:
            raise InvalidArgument("conflicting options: hostname and the UTS mode")
        if self.no_healthcheck and self.health_cmd:
            raise InvalidArgument("--no-healthcheck conflicts with --health-* options")

    def to_json(self) -> dict[str, Any]:
        """For a record on disk; `from_json` reads it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return cls(**given)


def _several(value: object) -> tuple[str, ...]:
    """One string or several."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Path):
        return (str(value),)
    if isinstance(value, Iterable):
        return tuple(str(item) for item in value)
    raise InvalidArgument(f"{value!r} is neither text nor a list of texts")


def _strings(value: Iterable[object], what: str) -> tuple[str, ...]:
    found = tuple(str(item) for item in value)
    if any("\0" in item for item in found):
        raise InvalidArgument(f"a {what} cannot hold a NUL character")
    return found


def _each(check: Any) -> Any:
    def every(value: object) -> tuple[str, ...]:
        found = _several(value)
        for item in found:
            check(item)
        return found

    return every


def _swap(value: str | int) -> int:
    return -1 if str(value) == "-1" else values.size(value, "--memory-swap")


def _hostname(value: str) -> str:
    if len(value) > 64 or not _HOSTNAME.fullmatch(value):
        raise InvalidArgument(f"invalid hostname format: {value}")
    return value


def _workdir(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise InvalidArgument(f"the working directory '{value}' is invalid, it needs to be an absolute path")
    return value


def _extra_host(value: str) -> None:
    name, separator, address = value.partition("=") if "=" in value else value.partition(":")
    address = address.strip("[]")
    try:
        if address != "host-gateway":
            ipaddress.ip_address(address)
    except ValueError:
        raise values.bad(value, "--add-host", f'invalid IP address in add-host: "{address}"') from None
    if not name or not separator or any(c.isspace() for c in name):
        raise values.bad(value, "--add-host", f'bad format for add-host: "{value}"')


def _mode(flag: str, own: tuple[str, ...]) -> Any:
    def check(value: str) -> str:
        if value in own or re.fullmatch(r"container:[a-zA-Z0-9][a-zA-Z0-9_.-]*", value):
            return value
        raise InvalidArgument(f"--{flag}: invalid {flag.upper()} mode: {value}")

    return check


def _choice(flag: str, choices: tuple[str, ...]) -> Any:
    def check(value: str) -> str:
        if value not in choices:
            raise values.bad(value, f"--{flag}", f"must be one of: {', '.join(choices)}")
        return value

    return check


def _entrypoint(value: object) -> tuple[str, ...]:
    found = _several(value)
    return () if found == ("",) else found


def _size(flag: str) -> Any:
    return lambda value: values.size(value, flag)


def _seconds(flag: str) -> Any:
    return lambda value: values.duration(value, flag)


def _number(flag: str, least: int | None = None) -> Any:
    return lambda value: values.integer(value, flag, least)


def _stop_timeout(value: str | float) -> float:
    return float(value) if isinstance(value, int | float) else float(values.integer(value, "--stop-timeout", -1))


def _weight(value: str | int) -> int:
    number = values.integer(value, "--blkio-weight")
    if number and not 10 <= number <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    return number


def _oom(value: str | int) -> int:
    number = values.integer(value, "--oom-score-adj")
    if not -1000 <= number <= 1000:
        raise InvalidArgument(f"Invalid value {number}, range for oom score adj is [-1000, 1000]")
    return number


def _signal_text(value: str | int) -> str:
    parse_signal(value)
    return str(value)


_CHECKS: dict[str, Any] = {
    "name": names.check,
    "workdir": _workdir,
    "user": str,
    "hostname": _hostname,
    "domainname": _hostname,
    "add_host": _each(_extra_host),
    "dns": _each(network_options.server),
    "dns_option": _several,
    "dns_search": _several,
    "volume": _each(mount_options.volume),
    "mount": _each(mount_options.mount),
    "tmpfs": _each(mount_options.tmpfs),
    "volumes_from": _several,
    "entrypoint": _entrypoint,
    "cap_add": lambda value: _checked_capabilities(value, "CapAdd"),
    "cap_drop": lambda value: _checked_capabilities(value, "CapDrop"),
    "security_opt": lambda value: (values.security_options(_several(value)), _several(value))[1],
    "device": _each(mount_options.device),
    "ulimit": _each(values.ulimit),
    "sysctl": lambda value: _each(values.sysctl)(
        [f"{key}={item}" for key, item in value.items()] if isinstance(value, Mapping) else value
    ),
    "shm_size": _size("--shm-size"),
    "pid": _mode("pid", ("host", "private")),
    "ipc": _mode("ipc", ("host", "private", "shareable", "none")),
    "uts": _mode("uts", ("host", "private")),
    "network": network_options.mode,
    "more_networks": _several,
    "network_alias": _each(network_options.alias),
    "link": _each(network_options.link),
    "ip": network_options.address,
    "ip6": network_options.address6,
    "mac_address": network_options.mac,
    "publish": _each(ports.parse),
    "expose": _each(ports.exposed),
    "memory": _size("-m, --memory"),
    "memory_swap": _swap,
    "memory_reservation": _size("--memory-reservation"),
    "cpus": values.cpus,
    "cpu_shares": _number("-c, --cpu-shares", 0),
    "cpu_quota": _number("--cpu-quota"),
    "cpu_period": _number("--cpu-period", 0),
    "cpuset_cpus": lambda value: values.cpu_list(str(value), "--cpuset-cpus"),
    "cpuset_mems": lambda value: values.cpu_list(str(value), "--cpuset-mems"),
    "pids_limit": _number("--pids-limit"),
    "blkio_weight": _weight,
    "oom_score_adj": _oom,
    "stop_signal": _signal_text,
    "stop_timeout": _stop_timeout,
    "restart": values.restart_policy,
    "label": lambda value: values.key_values(value if isinstance(value, Mapping) else _several(value)),
    "health_interval": _seconds("--health-interval"),
    "health_timeout": _seconds("--health-timeout"),
    "health_retries": _number("--health-retries", 0),
    "health_start_period": _seconds("--health-start-period"),
    "health_start_interval": _seconds("--health-start-interval"),
    "pull": _choice("pull", ("always", "missing", "never")),
}


def _checked_capabilities(value: object, flag: str) -> tuple[str, ...]:
    found = _several(value)
    capability_names(found, flag)
    return found


@dataclass(frozen=True)
class ExecOptions:
    """The options of `exec`."""

    command: tuple[str, ...]
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    privileged: bool = False

    @classmethod
    def parse(cls, command: Sequence[str], **raw: Any) -> Self:
        """As `RunOptions.parse`."""
        if isinstance(command, str) or not command:
            raise InvalidArgument(f'the command is a list of words, such as ["sh", "-c", {str(command)!r}]')
        checked = {key: value for key, value in raw.items() if value is not None}
        env, files = checked.pop("env", ()), _several(checked.pop("env_file", ()))
        checked["env"] = values.environment(env if isinstance(env, Mapping) else _several(env), files)
        if checked.get("workdir"):
            _workdir(checked["workdir"])
        unknown = sorted(set(checked) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise InvalidArgument(f"there is no option {unknown[0]}")
        return cls(command=_strings(command, "command"), **checked)


class UpdateOptions:
    """The options of `update`: limits and the restart policy of a container that exists."""

    NAMES = frozenset(
        "memory memory_swap memory_reservation cpus cpu_shares cpu_quota cpu_period cpuset_cpus cpuset_mems "
        "pids_limit blkio_weight restart".split()
    )

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes

    @classmethod
    def parse(cls, **raw: Any) -> Self:
        """As `RunOptions.parse`."""
        given = {key: value for key, value in raw.items() if value is not None}
        unknown = sorted(set(given) - cls.NAMES)
        if unknown:
            raise InvalidArgument(f"there is no option {unknown[0]} to update")
        return cls({key: _CHECKS[key](value) for key, value in given.items()})

    def applied(self, options: RunOptions) -> RunOptions:
        """`options` with the changes."""
        changed = dataclasses.replace(options, **self.changes)
        changed._check_together()
        return changed
