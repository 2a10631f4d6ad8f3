"""The options of `%container run`, `create` and `exec`: every `dest` in `CREATE` is a field of RunOptions."""

from __future__ import annotations

from nbcontainer.magics.grammar import Option

DETACH = Option("detach", "d", help="Run container in background and return it")
EXPLAIN = Option("explain", help="Show each step that made the container, and how long it took")
NO_CHECK = Option("no-check", help="Do not fail when the command exits with something other than 0")

ENVIRONMENT = (
    Option("env", "e", "list", "Set environment variables"),
    Option("env-file", "", "list", "Read in a file of environment variables"),
    Option("user", "u", "string", "Username or UID (format: <name|uid>[:<group|gid>])"),
    Option("workdir", "w", "string", "Working directory inside the container"),
    Option("interactive", "i", help="Keep STDIN open even if not attached"),
    Option("tty", "t", help="Allocate a pseudo-TTY"),
    Option("privileged", help="Give extended privileges to this container"),
)

RESOURCES = (
    Option(
        "blkio-weight",
        "",
        "int",
        "Block IO (relative weight), between 10 and 1000, or 0 to disable",
        "uint16",
        "0",
    ),
    Option("cpu-period", "", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
    Option("cpu-quota", "", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Option("cpu-shares", "c", "int", "CPU shares (relative weight)"),
    Option("cpus", "", "decimal", "Number of CPUs"),
    Option("cpuset-cpus", "", "string", "CPUs in which to allow execution (0-3, 0,1)"),
    Option("cpuset-mems", "", "string", "MEMs in which to allow execution (0-3, 0,1)"),
    Option("memory", "m", "bytes", "Memory limit"),
    Option("memory-reservation", "", "bytes", "Memory soft limit"),
    Option("memory-swap", "", "bytes", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Option("pids-limit", "", "int", "Tune container pids limit (set -1 for unlimited)"),
)

RESTART = Option(
    "restart", "", "string", "Restart policy to apply when a container exits", default="no",
    choices=("no", "always", "unless-stopped", "on-failure"),
)  # fmt: skip

CREATE = (
    *ENVIRONMENT,
    *RESOURCES,
    RESTART,
    Option("add-host", "", "list", "Add a custom host-to-IP mapping (host:ip)"),
    Option("cap-add", "", "list", "Add Linux capabilities", completes="capability"),
    Option("cap-drop", "", "list", "Drop Linux capabilities", completes="capability"),
    Option("cgroup-parent", "", "string", "Optional parent cgroup for the container"),
    Option("device", "", "list", "Add a host device to the container"),
    Option("dns", "", "list", "Set custom DNS servers"),
    Option("dns-option", "", "list", "Set DNS options", also=("dns-opt",)),
    Option("dns-search", "", "list", "Set custom DNS search domains"),
    Option("domainname", "", "string", "Container NIS domain name"),
    Option("entrypoint", "", "string", "Overwrite the default ENTRYPOINT of the image"),
    Option("expose", "", "list", "Expose a port or a range of ports"),
    Option("health-cmd", "", "string", "Command to run to check health"),
    Option("health-interval", "", "duration", "Time between running the check (ms|s|m|h)", default="30s"),
    Option("health-retries", "", "int", "Consecutive failures needed to report unhealthy", default="3"),
    Option(
        "health-start-period", "", "duration",
        "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)",
        default="0s",
    ),
    Option(
        "health-start-interval", "", "duration",
        "Time between running the check during the start period (ms|s|m|h)", default="5s",
    ),
    Option("health-timeout", "", "duration", "Maximum time to allow one check to run (ms|s|m|h)", "", "30s"),
    Option("no-healthcheck", help="Disable any container-specified HEALTHCHECK"),
    Option("hostname", "h", "string", "Container host name"),
    Option("init", help="Run an init inside the container that forwards signals and reaps processes"),
    Option("ip", "", "string", "IPv4 address (e.g., 172.17.0.100)"),
    Option("ip6", "", "string", "IPv6 address (e.g., 2001:db8::33)"),
    Option("ipc", "", "string", "IPC mode to use", choices=("private", "host"), completes="container:"),
    Option("label", "l", "list", "Set meta data on a container"),
    Option("label-file", "", "list", "Read in a line delimited file of labels"),
    Option("link", "", "list", "Add link to another container", completes="container"),
    Option("mac-address", "", "string", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Option("mount", "", "list", "Attach a filesystem mount to the container", metavar="mount"),
    Option("name", "", "string", "Assign a name to the container"),
    Option(
        "network", "", "list", "Connect a container to a network", metavar="network", default="bridge",
        choices=("bridge", "none", "host"), completes="network-mode", also=("net",),
    ),
    Option("network-alias", "", "list", "Add network-scoped alias for the container", also=("net-alias",)),
    Option("oom-score-adj", "", "int", "Tune host's OOM preferences (-1000 to 1000)"),
    Option("pid", "", "string", "PID namespace to use", choices=("private", "host"), completes="container:"),
    Option("platform", "", "string", "Set platform if server is multi-platform capable"),
    Option("publish", "p", "list", "Publish a container's port(s) to the host"),
    Option("publish-all", "P", help="Publish all exposed ports to random ports"),
    Option(
        "pull", "", "string", 'Pull image before running ("always", "missing", "never")', default="missing",
        choices=("always", "missing", "never"),
    ),
    Option("read-only", help="Mount the container's root filesystem as read only"),
    Option("replace", help="Remove the container that has this name, if there is one, first"),
    Option(
        "rm", help="Automatically remove the container and its associated anonymous volumes when it exits"
    ),
    Option(
        "security-opt", "", "list", "Security Options",
        choices=("no-new-privileges", "seccomp=unconfined", "seccomp="),
    ),
    Option("shm-size", "", "bytes", "Size of /dev/shm"),
    Option("stop-signal", "", "string", "Signal to stop the container", completes="signal"),
    Option("stop-timeout", "", "int", "Timeout (in seconds) to stop a container"),
    Option("sysctl", "", "list", "Sysctl options", metavar="map"),
    Option("tmpfs", "", "list", "Mount a tmpfs directory"),
    Option("ulimit", "", "list", "Ulimit options", metavar="ulimit"),
    Option("uts", "", "string", "UTS namespace to use", choices=("private", "host"), completes="container:"),
    Option("volume", "v", "list", "Bind mount a volume", completes="volume"),
    Option(
        "volumes-from", "", "list", "Mount volumes from the specified container(s)", completes="container"
    ),
)  # fmt: skip

#: What only `run` has, and is not an option of the container itself.
OURS = (DETACH, EXPLAIN, NO_CHECK)

EXEC = (*ENVIRONMENT, Option("detach", "d", help="Detached mode: run command in the background"), NO_CHECK)
