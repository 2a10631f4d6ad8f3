"""`-v`, `--mount`, `--tmpfs` and `--device`, as entries of an OCI config.json's `mounts` and `devices`."""

from __future__ import annotations

import os
import posixpath
import re
from typing import Any

from nbcontainer.container.values import size
from nbcontainer.errors import InvalidArgument

#: Devices that give a container nothing of the machine's beyond what it may have anyway.
SAFE_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "fuse", "net/tun"))
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_PROPAGATION = ("shared", "slave", "private", "rshared", "rslave", "rprivate")


def _destination(path: str, given: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(
            f"invalid volume specification: '{given}': invalid mount config: mount path must be absolute: '{path}'"
        )
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if clean == "/" or "\0" in clean:
        raise InvalidArgument(
            f"invalid volume specification: '{given}': invalid specification: destination can't be '/'"
        )
    return clean


def volume(text: str) -> dict[str, Any]:
    """`-v [SOURCE:]DESTINATION[:OPTIONS]`. A source that is no path names a volume of the lab."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts) or "\0" in text:
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return {"destination": _destination(parts[0], text), "type": "volume", "source": "", "options": ["rbind"]}
    options = ["rbind"]
    for option in parts[2].split(",") if len(parts) == 3 else []:
        if option == "ro":
            options.append("ro")
        elif option not in ("rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", *_PROPAGATION):
            raise InvalidArgument(f"invalid volume specification: '{text}': invalid mode: {parts[2]}")
    source = os.path.expanduser(parts[0])
    if source.startswith(("/", "./", "../")) or source in (".", ".."):
        entry = {"type": "bind", "source": os.path.abspath(source), "options": [*options, "create"]}
    elif _VOLUME.fullmatch(source):
        entry = {"type": "volume", "source": source, "options": options}
    else:
        raise InvalidArgument(
            f'{text}: "{source}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    return {"destination": _destination(parts[1], text), **entry}


def mount(text: str) -> dict[str, Any]:
    """`--mount type=bind|volume|tmpfs,source=…,target=…[,readonly]…`."""
    fields: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}.get(key, key)
        if key == "readonly":
            value = value if equals else "true"
        elif not equals:
            raise InvalidArgument(
                f'invalid argument "{text}" for "--mount" flag: invalid field \'{part}\' must be a key=value pair'
            )
        fields[key] = value
    kind = fields.pop("type", "volume")
    if "target" not in fields:
        raise InvalidArgument(f'invalid argument "{text}" for "--mount" flag: target is required')
    target = _destination(fields.pop("target"), text)
    source = fields.pop("source", "")
    readonly = fields.pop("readonly", "false").lower() in ("true", "1")
    options = ["rbind", *(["ro"] if readonly else [])]
    for key in ("bind-propagation", "volume-nocopy", "consistency"):
        fields.pop(key, None)
    if kind == "tmpfs":
        data = [f"size={size(fields.pop('tmpfs-size'), '--mount')}"] if "tmpfs-size" in fields else []
        data += [f"mode={fields.pop('tmpfs-mode')}"] if "tmpfs-mode" in fields else []
        entry = _tmpfs(target, [*data, *(["ro"] if readonly else [])])
    elif kind == "bind":
        if not source:
            raise InvalidArgument(f'invalid argument "{text}" for "--mount" flag: type bind needs a source')
        entry = {
            "destination": target,
            "type": "bind",
            "source": os.path.abspath(os.path.expanduser(source)),
            "options": options,
        }
    elif kind == "volume":
        if source and not _VOLUME.fullmatch(source):
            raise InvalidArgument(f'invalid mount config for type "volume": invalid name {source}')
        entry = {"destination": target, "type": "volume", "source": source, "options": options}
    else:
        raise InvalidArgument(f"invalid mount config: mount type unknown: {kind}")
    if fields:
        raise InvalidArgument(f'invalid argument "{text}" for "--mount" flag: unexpected key \'{sorted(fields)[0]}\'')
    return entry


def tmpfs(text: str) -> dict[str, Any]:
    """`--tmpfs DESTINATION[:OPTIONS]`: tmpfs(5)'s size, mode, uid, gid, nr_inodes, and ro, exec, suid, dev."""
    path, _, given = text.partition(":")
    return _tmpfs(_destination(path, text), [option for option in given.split(",") if option])


def _tmpfs(target: str, given: list[str]) -> dict[str, Any]:
    options = {"nosuid", "nodev", "noexec"}
    data = []
    for option in given:
        key, equals, value = option.partition("=")
        if key in ("exec", "suid", "dev") and not equals:
            options.discard(f"no{key}")
        elif key in ("ro", "noexec", "nosuid", "nodev", "noatime") and not equals:
            options.add(key)
        elif key == "size" and value:
            data.append(f"size={value if value.endswith('%') and value[:-1].isdigit() else size(value, '--tmpfs')}")
        elif key in ("mode", "uid", "gid", "nr_inodes") and value.isdigit():
            data.append(option)
        elif option != "rw":
            raise InvalidArgument(f'invalid tmpfs option "{option}"')
    if not any(entry.startswith("mode=") for entry in data):
        data.append("mode=1777")
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": [*sorted(options), *data]}


def device(text: str) -> dict[str, str]:
    """`--device PATH[:TARGET[:PERMISSIONS]]`, one of `SAFE_DEVICES`."""
    source, _, rest = text.partition(":")
    target = rest.partition(":")[0] or source
    if source not in SAFE_DEVICES:
        raise InvalidArgument(
            f"--device {source}: a container may have only {', '.join(SAFE_DEVICES)}: other devices are the machine's"
        )
    if not os.path.exists(source):
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": no such file or directory'
        )
    if not target.startswith("/dev/"):
        raise InvalidArgument(f"bad format for path: {target}")
    return {"source": source, "path": target}
