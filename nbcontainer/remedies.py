"""What a machine may lack, by the doctor's checks: when, what that costs, and the remedy.

The doctor says what applies here; the page on troubleshooting (docs/) lists all of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lack:
    """One thing lacking; `when` says how that comes about. A `{name}` in `remedy` is filled in on the spot."""

    when: str
    costs: str
    remedy: str


_NOTHING = "no lab can start: nothing works"
_FIRST = "first of all user namespaces"
_ONE_ID = "containers have root only: -u and images with other users do not work"
_COPIED = "layers are copied for every container: slower, and more disk"
_NO_NETWORKS = "no networks but none and host"

#: sysctls that forbid user namespaces to ordinary users, and the value that does.
FORBIDDING = {
    "kernel/unprivileged_userns_clone": "0",
    "user/max_user_namespaces": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}

#: By check, in the doctor's order, and by what is wrong.
LACKS: dict[str, dict[str, Lack]] = {
    "kernel": {
        "old": Lack(
            "Linux is older than 5.12",
            "overlay in a user namespace and id-mapped mounts need Linux 5.12",
            "run a newer kernel",
        ),
    },
    "user namespaces": {
        "kernel/unprivileged_userns_clone": Lack(
            "Debian's switch is off", _NOTHING, "as root: sysctl -w kernel.unprivileged_userns_clone=1"
        ),
        "user/max_user_namespaces": Lack(
            "their number is limited to none", _NOTHING, "as root: sysctl -w user.max_user_namespaces=28633"
        ),
        "kernel/apparmor_restrict_unprivileged_userns": Lack(
            "Ubuntu's AppArmor restricts them",
            _NOTHING,
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        "proc": Lack("/proc is not mounted", _NOTHING, "as root: mount -t proc proc /proc"),
        "kernel": Lack("the kernel was built without them", _NOTHING, "run a kernel with CONFIG_USER_NS"),
        "binder": Lack(
            "this is Binder, whose containers may make neither namespaces nor mounts",
            _NOTHING,
            "nothing helps on Binder, where nobody may change that: run the notebook on a Linux machine of your own",
        ),
        "container": Lack(
            "this is a container itself, with a system call filter like Docker's",
            _NOTHING,
            "this is a container itself: run it with --security-opt seccomp=unconfined, or --privileged",
        ),
        "selinux": Lack(
            "SELinux enforces a policy that forbids them",
            _NOTHING,
            "as root: setenforce 0, or allow user_namespace create in a policy module of SELinux",
        ),
        "unknown": Lack("something else forbids them", _NOTHING, "look for what forbids it in the output of dmesg"),
    },
    "ids": {
        "namespaces": Lack("user namespaces cannot be made", _ONE_ID, _FIRST),
        "container": Lack(
            "root of a container has no more than one id",
            _ONE_ID,
            "this is a container itself: give it a range of {count} ids more",
        ),
        "refused": Lack(
            "newuidmap and newgidmap are there, and do not work",
            _ONE_ID,
            "as root: apt-get install --reinstall uidmap (newuidmap and newgidmap lack their privilege)",
        ),
        "steps": Lack(
            "an ordinary user has no line in /etc/subuid and /etc/subgid, or no newuidmap", _ONE_ID, "as root: {steps}"
        ),
    },
    "overlay in a user namespace": {
        "namespaces": Lack("user namespaces cannot be made", _COPIED, _FIRST),
        "refused": Lack(
            "the kernel or the file system does not let them be stacked",
            _COPIED,
            "Linux 5.13 or newer, and NBCONTAINER_HOME on ext4, xfs, btrfs or tmpfs",
        ),
    },
    "control groups": {
        "refused": Lack(
            "none, or not all of cpu, memory and pids, may be written",
            "containers run, but limits (-m, --cpus, --pids-limit) and pause are refused",
            "{why}",
        ),
    },
    "libseccomp": {
        "absent": Lack(
            "the library is not installed",
            "containers start only with --security-opt seccomp=unconfined",
            "as root: apt-get install libseccomp2",
        ),
    },
    "static busybox": {
        "absent": Lack(
            "there is none, or it needs libraries", "the image busybox cannot be made here", "as root: {remedy}"
        ),
    },
    "links": {
        "namespaces": Lack("user namespaces cannot be made", _NO_NETWORKS, _FIRST),
        "bridge": Lack(
            "the kernel has no bridges", _NO_NETWORKS, "as root: modprobe -a bridge, or a kernel that has it"
        ),
        "veth": Lack(
            "the kernel has no veth pairs", _NO_NETWORKS, "as root: modprobe -a veth, or a kernel that has it"
        ),
        "tbf": Lack(
            "the kernel has no token buckets",
            "links of a topology cannot have a rate",
            "as root: modprobe -a sch_tbf, or a kernel that has it",
        ),
        "netem": Lack(
            "the kernel has no network emulation",
            "links of a topology cannot delay or lose packets",
            "as root: modprobe -a sch_netem, or a kernel that has it",
        ),
    },
    "network tools": {
        "absent": Lack(
            "ip or nft is not installed",
            "%%lab cells cannot call them; containers do not need them",
            "as root: apt-get install iproute2 nftables",
        ),
    },
    "a way out": {
        "absent": Lack(
            "neither pasta nor slirp4netns is installed",
            "containers reach each other and the lab, but not the machine's network",
            "as root: apt-get install passt",
        ),
    },
    "disk": {
        "closed": Lack(
            "the directory for labs and images cannot be made or written",
            _NOTHING,
            "set NBCONTAINER_HOME to a directory you can write",
        ),
        "full": Lack("less than 1 GiB is free", "images may not fit", "make room, or set NBCONTAINER_HOME elsewhere"),
    },
}
