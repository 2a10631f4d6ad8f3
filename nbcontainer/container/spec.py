"""From options and an image to an OCI runtime-spec config.json (version 1.1), and from that to a bundle's.

https://github.com/opencontainers/runtime-spec: config.md, config-linux.md.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from nbcontainer.container import mount_options, security, values
from nbcontainer.container.options import RunOptions
from nbcontainer.errors import InvalidArgument

VERSION = "1.1.0"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Microseconds: the period that `--cpus` is reckoned in.
PERIOD = 100_000

_MOUNTS: tuple[dict[str, Any], ...] = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    },
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777"],
    },
)


def build(options: RunOptions, image: dict[str, Any], *, hostname: str, cgroups_path: str) -> dict[str, Any]:
    """The spec of a container; `image` is the image's OCI config. Raises `InvalidArgument`.

    Mounts of type `volume` still name a volume: `nbcontainer.container.binds` gives them their directory.
    """
    names = security.capabilities(options.cap_add, options.cap_drop, options.privileged)
    return {
        "ociVersion": VERSION,
        "process": _process(options, image, hostname, names),
        "root": {"path": "rootfs", "readonly": options.read_only},
        "hostname": hostname,
        **({"domainname": options.domainname} if options.domainname else {}),
        "mounts": _mounts(options),
        "linux": _linux(options, names, cgroups_path),
    }


def arguments(options: RunOptions, image: dict[str, Any]) -> list[str]:
    """The program and its arguments: `--entrypoint` takes the place of the image's and drops its command."""
    if options.entrypoint is not None:
        found = [*options.entrypoint, *options.command]
    else:
        found = [*(image.get("Entrypoint") or []), *(options.command or image.get("Cmd") or [])]
    if not found:
        raise InvalidArgument("no command specified")
    return [str(word) for word in found]


def _process(options: RunOptions, image: dict[str, Any], hostname: str, names: list[str]) -> dict[str, Any]:
    asked = values.security_options(options.security_opt)
    process: dict[str, Any] = {
        "terminal": options.tty,
        "user": {"uid": 0, "gid": 0, "umask": 0o022},
        "args": arguments(options, image),
        "env": _environment(options, image, hostname),
        "cwd": options.workdir or image.get("WorkingDir") or "/",
        "capabilities": security.capability_sets(names),
        "noNewPrivileges": not options.privileged and asked.get("no-new-privileges", "true") == "true",
    }
    if options.ulimit:
        process["rlimits"] = [values.ulimit(text) for text in options.ulimit]
    if options.oom_score_adj:
        process["oomScoreAdj"] = options.oom_score_adj
    return process


def _environment(options: RunOptions, image: dict[str, Any], hostname: str) -> list[str]:
    """Docker's order: PATH, HOSTNAME, TERM, the image's, the user's; a later value takes an earlier one's place."""
    found: dict[str, str] = {}
    first = [PATH, f"HOSTNAME={hostname}", *(["TERM=xterm"] if options.tty else [])]
    for entry in (*first, *(image.get("Env") or []), *options.env):
        name, _, value = entry.partition("=")
        found[name] = value
    return [f"{name}={value}" for name, value in found.items()]


def _mounts(options: RunOptions) -> list[dict[str, Any]]:
    mounts = [{**entry, "options": list(entry["options"])} for entry in _MOUNTS]
    for entry in mounts:
        if entry["destination"] == "/dev/shm":
            entry["options"].append(f"size={options.shm_size}")
        if options.privileged and entry["destination"] in ("/sys", "/sys/fs/cgroup"):
            entry["options"].remove("ro")
    asked = [mount_options.volume(text) for text in options.volume]
    asked += [mount_options.mount(text) for text in options.mount]
    asked += [mount_options.tmpfs(text) for text in options.tmpfs]
    seen: set[str] = set()
    for entry in asked:
        if entry["destination"] in seen:
            raise InvalidArgument(f"Duplicate mount point: {entry['destination']}")
        seen.add(entry["destination"])
    # A mount point below another's must come after it.
    kept = [entry for entry in mounts if entry["destination"] not in seen]
    return kept + sorted(asked, key=lambda entry: entry["destination"].count("/"))


def _linux(options: RunOptions, names: list[str], cgroups_path: str) -> dict[str, Any]:
    kinds = {"pid": options.pid, **modes(options)}
    namespaces = [{"type": "mount"}, {"type": "cgroup"}]
    namespaces += [{"type": kind} for kind, mode in kinds.items() if mode != "host"]
    linux: dict[str, Any] = {
        "namespaces": namespaces,
        "cgroupsPath": cgroups_path,
        "resources": _resources(options),
        "maskedPaths": [] if options.privileged else list(security.MASKED),
        "readonlyPaths": [] if options.privileged else list(security.READ_ONLY),
    }
    sysctls = dict(values.sysctl(text) for text in options.sysctl)
    for prefix, kind in (("net.", "network"), ("kernel.", "ipc"), ("fs.mqueue.", "ipc")):
        if kinds[kind] == "host" and any(name.startswith(prefix) for name in sysctls):
            raise InvalidArgument(f"sysctl {next(iter(sysctls))} is not allowed: the {kind} namespace is the host's")
    if sysctls:
        linux["sysctl"] = sysctls
    if options.device:
        linux["devices"] = [mount_options.device(text) for text in options.device]
    profile = values.security_options(options.security_opt).get("seccomp")
    if not options.privileged and profile != "unconfined":
        linux["seccomp"] = (
            security.seccomp_from_file(Path(profile).expanduser(), names) if profile else security.seccomp(names)
        )
    return linux


def _resources(options: RunOptions) -> dict[str, Any]:
    found = limits(options)
    memory = {
        "limit": found["memory"],
        "swap": found["memory_swap"],
        "reservation": found["memory_reservation"],
    }
    cpu = {
        "shares": found["cpu_shares"],
        "quota": found["cpu_quota_us"],
        "period": found["cpu_period_us"],
        "cpus": found["cpuset_cpus"],
        "mems": found["cpuset_mems"],
    }
    sections = {
        "memory": memory,
        "cpu": cpu,
        "pids": {"limit": found["pids"]},
        "blockIO": {"weight": found["io_weight"]},
    }
    cleaned = {name: {k: v for k, v in part.items() if v is not None} for name, part in sections.items()}
    return {name: part for name, part in cleaned.items() if part}


def modes(options: RunOptions) -> dict[str, str]:
    """Whose network, ipc and uts namespace it is to have: "host", "container:NAME", or its own.

    The open container has, with the host's network, the host's name; the joined one has another's network, name and
    ipc. `--uts` and `--ipc` say otherwise (`private`).
    """
    joins = options.network if options.network.startswith("container:") else ""
    return {
        "network": options.network,
        "ipc": options.ipc or joins,
        "uts": options.uts or joins or ("host" if options.network == "host" else ""),
    }


def limits(options: RunOptions) -> dict[str, Any]:
    """The cgroup limits that were asked for, by the names of `nbcontainer.cgroup.limits.Limits`."""
    quota, period = options.cpu_quota or None, options.cpu_period or None
    if options.cpus:
        quota, period = round(options.cpus * PERIOD), PERIOD
    swap = options.memory_swap
    if options.memory and swap is None:
        swap = 2 * options.memory  # Docker: as much swap again as memory
    return {
        "memory": options.memory or None,
        "memory_swap": swap or None,
        "memory_reservation": options.memory_reservation or None,
        "cpu_quota_us": quota,
        "cpu_period_us": period,
        "cpu_shares": options.cpu_shares or None,
        "cpuset_cpus": options.cpuset_cpus,
        "cpuset_mems": options.cpuset_mems,
        "pids": options.pids_limit if options.pids_limit and options.pids_limit > 0 else None,
        "io_weight": options.blkio_weight or None,
    }


def for_bundle(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as plain `runc run` takes it: no user namespace of ours around it, a terminal only if it has one."""
    given = copy.deepcopy(spec)
    given["ociVersion"] = "1.0.2"  # what runtimes of the day before 1.1 accept; nothing of 1.1 is used
    given.pop("domainname", None)
    given["root"]["path"] = "rootfs"
    given["linux"]["resources"].setdefault("devices", [{"allow": False, "access": "rwm"}])
    given["linux"].pop("devices", None)
    given["linux"].pop("cgroupsPath", None)  # ours: another runtime chooses its own
    return given
