"""`docker inspect`'s JSON for a container (Docker Engine API, ContainerInspect)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbcontainer.container import connection, spec
from nbcontainer.network import ports
from nbcontainer.network.networks import endpoint_id

if TYPE_CHECKING:
    from nbcontainer.container.container import Container


def container(c: Container) -> dict[str, Any]:
    """What `docker inspect` prints for `c`."""
    process = c.spec["process"]
    return {
        "Id": c.id,
        "Created": c.created,
        "Path": process["args"][0],
        "Args": process["args"][1:],
        "State": _state(c),
        "Image": c.image.id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": str(c.log.path),
        "Name": f"/{c.name}",
        "RestartCount": c.state.restart_count,
        "Driver": c.owner.driver,
        "Platform": "linux",
        "ExecIDs": None,
        "HostConfig": _host_config(c),
        "GraphDriver": {
            "Name": c.owner.driver,
            "Data": {
                "LowerDir": ":".join(c.overlays[0]["lowers"]),
                "UpperDir": c.overlays[0]["upper"],
                "WorkDir": c.overlays[0]["work"],
            },
        },
        "Mounts": _mounts(c),
        "Config": _config(c),
        "NetworkSettings": _network(c),
    }


def _state(c: Container) -> dict[str, Any]:
    state = c.state
    found: dict[str, Any] = {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at,
        "FinishedAt": state.finished_at,
    }
    if state.health:
        found["Health"] = {
            "Status": state.health,
            "FailingStreak": state.health_failures,
            "Log": state.health_log,
        }
    return found


def _host_config(c: Container) -> dict[str, Any]:
    options = c.options
    policy, _, retries = options.restart.partition(":")
    linux = c.spec["linux"]
    return {
        "Binds": list(options.volume) or None,
        "NetworkMode": options.network,
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": int(retries or 0)},
        "AutoRemove": options.rm,
        "VolumesFrom": list(options.volumes_from) or None,
        "CapAdd": list(options.cap_add) or None,
        "CapDrop": list(options.cap_drop) or None,
        "CgroupnsMode": "private",
        "PortBindings": _port_bindings(c),
        "PublishAllPorts": options.publish_all,
        "Dns": list(options.dns),
        "DnsOptions": list(options.dns_option),
        "DnsSearch": list(options.dns_search),
        "ExtraHosts": list(options.add_host) or None,
        "IpcMode": spec.modes(options)["ipc"] or "private",
        "OomScoreAdj": options.oom_score_adj or 0,
        "PidMode": options.pid or "",
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "SecurityOpt": list(options.security_opt) or None,
        "UTSMode": spec.modes(options)["uts"],
        "ShmSize": options.shm_size,
        "Init": options.init,
        "Runtime": "nbcontainer",
        "Memory": options.memory or 0,
        "MemorySwap": options.memory_swap or 0,
        "MemoryReservation": options.memory_reservation or 0,
        "NanoCpus": int((options.cpus or 0) * 1e9),
        "CpuShares": options.cpu_shares or 0,
        "CpuPeriod": options.cpu_period or 0,
        "CpuQuota": options.cpu_quota or 0,
        "CpusetCpus": options.cpuset_cpus or "",
        "CpusetMems": options.cpuset_mems or "",
        "PidsLimit": options.pids_limit,
        "BlkioWeight": options.blkio_weight or 0,
        "MaskedPaths": linux.get("maskedPaths", []),
        "ReadonlyPaths": linux.get("readonlyPaths", []),
    }


def _mounts(c: Container) -> list[dict[str, Any]]:
    found = []
    for entry in c.spec["mounts"]:
        if entry["type"] != "bind":
            continue
        mount = {
            "Type": "bind",
            "Source": entry["source"],
            "Destination": entry["destination"],
            "Mode": "",
            "RW": "ro" not in entry["options"],
            "Propagation": "rprivate",
        }
        for name in c.volumes:
            if str(c.owner.volumes.get(name).path) == entry["source"]:
                mount.update({"Type": "volume", "Name": name, "Driver": "local", "Propagation": ""})
        found.append(mount)
    return found


def _config(c: Container) -> dict[str, Any]:
    process, image = c.spec["process"], c.image.config
    return {
        "Hostname": c.spec.get("hostname", ""),
        "Domainname": c.spec.get("domainname", ""),
        "User": c.options.user or image.get("User", "") or "",
        "AttachStdin": c.options.interactive,
        "AttachStdout": True,
        "AttachStderr": True,
        "ExposedPorts": {f"{port}/{protocol}": {} for port, protocol in connection.open_ports(c)},
        "Tty": c.options.tty,
        "OpenStdin": c.options.interactive,
        "StdinOnce": c.options.interactive,
        "Env": process["env"],
        "Cmd": list(c.options.command) or image.get("Cmd"),
        "Image": c.options.image,
        "Volumes": image.get("Volumes"),
        "WorkingDir": process["cwd"] if process["cwd"] != "/" else "",
        "Entrypoint": list(c.options.entrypoint) if c.options.entrypoint else image.get("Entrypoint"),
        "Labels": c.labels,
    }


def _network(c: Container) -> dict[str, Any]:
    published = c.owner.publisher.bindings(c.id)
    open_ports = connection.open_ports(c) if c.state.running and c.endpoints else []
    first = _endpoint(c, next(iter(c.attachments), ""))
    keys = ("EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen")
    mode = c.options.network
    shown = list(c.attachments) or ([] if mode.startswith("container:") else [mode])
    return {
        "Bridge": "",
        "SandboxKey": "",
        "Ports": ports.mapping(published, open_ports),
        **{key: first[key] for key in (*keys, "IPv6Gateway", "MacAddress")},
        "Networks": {name: _endpoint(c, name) for name in shown},
    }


def _endpoint(c: Container, name: str) -> dict[str, Any]:
    attachment, endpoint = c.attachments.get(name), c.endpoints.get(name)
    asked = {"IPv4Address": attachment.ip, "IPv6Address": attachment.ip6} if attachment else {}
    aliases = [*attachment.aliases, c.short_id] if attachment and name != "bridge" else None
    network = next((network for network in c.owner.networks.list() if network.name == name), None)
    return {
        "IPAMConfig": {key: value for key, value in asked.items() if value} or None,
        "Links": list(attachment.links) or None if attachment else None,
        "Aliases": aliases,
        "MacAddress": endpoint.mac if endpoint else "",
        "DriverOpts": None,
        "NetworkID": network.id if network else "",
        "EndpointID": endpoint_id(c.id, network) if network and endpoint else "",
        "Gateway": endpoint.gateway if endpoint else "",
        "IPAddress": endpoint.ip if endpoint else "",
        "IPPrefixLen": endpoint.prefixlen if endpoint else 0,
        "IPv6Gateway": endpoint.gateway6 if endpoint else "",
        "GlobalIPv6Address": endpoint.ip6 if endpoint else "",
        "GlobalIPv6PrefixLen": endpoint.prefixlen6 if endpoint else 0,
        "DNSNames": [c.name, *aliases] if aliases else None,
    }


def _port_bindings(c: Container) -> dict[str, Any]:
    """What `-p` asked for, as in HostConfig."""
    found: dict[str, Any] = {}
    for text in c.options.publish:
        for asked in ports.parse(text):
            span = "" if not asked.first else ports.span(asked.first, asked.last)
            where = {"HostIp": asked.ips[0] if asked.ips else "", "HostPort": span}
            found.setdefault(f"{asked.container_port}/{asked.protocol}", []).append(where)
    return found
