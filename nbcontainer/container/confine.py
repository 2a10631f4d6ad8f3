"""Runs inside the lab: the last steps before a container's program runs. Who it is, what it may do, nothing of ours.

The order is runc's: limits and ids need privileges, capabilities go before no_new_privs, the filter comes last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import termios

from nbcontainer.container import users
from nbcontainer.container.trace import Recorder
from nbcontainer.syscalls import capabilities, process, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: Exit codes of a shell, and of `docker run`, for a command that cannot start.
NOT_EXECUTABLE = 126
NOT_FOUND = 127


def guard() -> None:
    """Before entering a container: no descriptor of the host's is inherited, nobody inside can look into us.

    Descriptors are how CVE-2024-21626 left the container; proc(5) hides an undumpable process's own.
    """
    process.prctl(process.PR_SET_DUMPABLE, 0)


def environment_path(env: list[str]) -> str:
    """The value of PATH in `env`."""
    return next((value[5:] for value in env if value.startswith("PATH=")), os.defpath)


def resolve_user(name: str) -> users.User:
    """`name` by the container's own passwd and group files (run after pivot_root)."""
    return users.resolve(name, _read("/etc/passwd"), _read("/etc/group"))


def _read(path: str) -> str:
    pieces: list[bytes] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            while len(pieces) < 64 and (piece := os.read(fd, 1 << 14)):
                pieces.append(piece)
        finally:
            os.close(fd)
    except OSError:
        return ""
    return b"".join(pieces).decode(errors="replace")


def find_program(name: str, path: str, cwd: str) -> str:
    """The file that execvp(3) would run. Raises `FileNotFoundError` or `PermissionError`."""
    if "/" in name:
        return name
    denied = False
    for directory in path.split(":"):
        candidate = f"{directory or cwd}/{name}"
        if not os.access(candidate, os.F_OK):
            continue
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
        denied = denied or os.path.isfile(candidate)
    number = errno.EACCES if denied else errno.ENOENT
    raise OSError(number, os.strerror(number), name)


def enter_directory(cwd: str) -> None:
    """chdir(2) into the container's working directory, which must lie in its root."""
    os.chdir(cwd)
    # getcwd(3): a directory outside the root, reached by a leaked descriptor, has no path here.
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = "(unreachable)"
    if not here.startswith("/"):
        raise OSError(errno.EACCES, "the working directory lies outside the container's root", cwd)


def set_limits(rlimits: list[dict[str, Any]]) -> None:
    """setrlimit(2) for every entry of process.rlimits."""
    for limit in rlimits:
        number = getattr(resource, limit["type"])
        current_hard = resource.getrlimit(number)[1]
        wanted = (_limit(limit["soft"]), _limit(limit["hard"]))
        if current_hard != resource.RLIM_INFINITY and (wanted[1] == resource.RLIM_INFINITY or wanted[1] > current_hard):
            # Raising a hard limit takes CAP_SYS_RESOURCE on the machine, which no lab has.
            raise PermissionError(
                errno.EPERM, f"the hard limit cannot be raised above this machine's {current_hard}", limit["type"]
            )
        resource.setrlimit(number, wanted)


def _limit(value: int) -> int:
    return resource.RLIM_INFINITY if value < 0 or value >= 1 << 63 else value


def take_terminal(slave: int) -> None:
    """Make the pty `slave` the controlling terminal and standard input, output and error."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    if slave > 2:
        os.close(slave)


def become(spec: dict[str, Any], filter_: bytes | None, user: users.User, trace: Recorder) -> None:
    """Take on the identity and the restrictions that `spec["process"]` asks for."""
    set_limits(spec.get("rlimits", []))
    sets = spec.get("capabilities", {})
    os.umask(spec["user"].get("umask", 0o022))
    process.prctl(process.PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups(list(user.groups))
    except PermissionError:
        pass  # a lab with one id has no groups to set: user_namespaces(7), /proc/PID/setgroups
    try:
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise OSError(
            errno.EINVAL, f"this lab has no id {user.uid}:{user.gid} (`%lab doctor` says how to get more)", "user"
        ) from None
    process.prctl(process.PR_SET_KEEPCAPS, 0)
    guard()  # setresuid(2) may have changed what is dumpable
    if spec.get("noNewPrivileges"):
        process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
    if filter_ is not None and not spec.get("noNewPrivileges"):
        # Without no_new_privs installing a filter takes CAP_SYS_ADMIN, which the next step gives up.
        seccomp.install(filter_)
        trace.step("filter", "seccomp")
    capabilities.set(sets.get("effective", []), sets.get("permitted", []), sets.get("inheritable", []))
    capabilities.set_ambient(sets.get("ambient", []))
    trace.step("limit", f"user {user.uid}:{user.gid}, capabilities")
    if filter_ is not None and spec.get("noNewPrivileges"):
        seccomp.install(filter_)
        trace.step("filter", "seccomp")


def rehearse() -> None:
    """`become` what a set-up process is already, and of `execute` what has no effect yet; `setup.rehearse` says why."""
    held = capabilities.NAMES[: capabilities.last() + 1]  # as whoever makes a user namespace: user_namespaces(7)
    sets = {"effective": held, "permitted": held}
    become({"user": {}, "capabilities": sets}, None, users.User(0, 0, (), "/"), Recorder())
    try:
        seccomp.install(b"")
    except OSError:
        pass
    reset_signals()
    process.close_on_exec_from(3)


def read_filter(fd: int) -> bytes:
    """A compiled seccomp filter from its file."""
    return os.pread(fd, seccomp.LARGEST, 0)


def reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ; a program expects the defaults (signal(7): ignored survives execve)."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        process.default_signal(number)


def execute(spec: dict[str, Any], program: str) -> NoReturn:
    """execve(2) with exactly the spec's environment, and no descriptor but 0, 1 and 2."""
    reset_signals()
    process.close_on_exec_from(3)
    os.execve(program, spec["args"], _environment(spec))


def start(spec: dict[str, Any], program: str) -> int:
    """As `execute`, but in a new process, which leads a session of its own: its pid (posix_spawn(3))."""
    reset_signals()
    process.close_on_exec_from(3)
    return os.posix_spawn(program, spec["args"], _environment(spec), setsid=True)


def _environment(spec: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in spec["env"] if "=" in entry)


def exit_code_for(error: BaseException) -> int:
    """126 or 127 for a command that cannot be run, else 125."""
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NOT_FOUND
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.ENOEXEC, errno.EISDIR, errno.EPERM):
        return NOT_EXECUTABLE
    return 125
