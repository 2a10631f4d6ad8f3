"""A control group from the systemd manager of an ordinary user, asked for over D-Bus.

The manager moves this process into a new scope, and says with Delegate=yes that all below it is the user's to divide:
what `systemd-run --user --scope -p Delegate=yes` does, for a process that runs already. It works from a session that
is not below the manager's own group too, since the manager asks the system's to move the process (systemd 238).

Sources: org.freedesktop.systemd1(5), StartTransientUnit; systemd.resource-control(5), Delegate=;
https://systemd.io/CGROUP_DELEGATION.
"""

from __future__ import annotations

import os
from collections import deque

from nbcontainer.errors import Unavailable

#: Seconds the manager is given to answer, and to move us.
PATIENCE = 10.0

_PATH, _NAME = "/org/freedesktop/systemd1", "org.freedesktop.systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"


def bus() -> str | None:
    """The address of the user's bus; None when there is none to be seen."""
    named = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if named:
        return named
    path = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "bus")
    return f"unix:path={path}" if os.path.exists(path) else None


def delegate() -> str:
    """Have this process moved into a delegated scope; the scope's name. Raises `Unavailable`."""
    address = bus()
    if address is None:
        raise Unavailable("no user bus: DBUS_SESSION_BUS_ADDRESS is not set and XDG_RUNTIME_DIR has no bus")
    try:
        from jeepney import (  # type: ignore[import-untyped, unused-ignore]
            DBusAddress,
            MatchRule,
            MessageType,
            message_bus,
            new_method_call,
        )
        from jeepney.io.blocking import Proxy, open_dbus_connection  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise Unavailable("asking systemd takes jeepney: `pip install jeepney`") from None
    scope = f"nbcontainer-{os.getpid()}.scope"
    manager = DBusAddress(_PATH, bus_name=_NAME, interface=_MANAGER)
    properties = [
        ("Description", ("s", "Containers of a notebook")),
        ("PIDs", ("au", [os.getpid()])),
        ("Delegate", ("b", True)),
        ("CollectMode", ("s", "inactive-or-failed")),
    ]
    request = new_method_call(manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", (scope, "fail", properties, []))
    ended = MatchRule(type="signal", interface=_MANAGER, member="JobRemoved", path=_PATH)
    try:
        with open_dbus_connection(address) as connection:
            # Signals of a manager that nobody has subscribed to are not sent to the bus.
            connection.send_and_get_reply(new_method_call(manager, "Subscribe"), timeout=PATIENCE)
            Proxy(message_bus, connection, timeout=PATIENCE).AddMatch(ended)
            jobs: deque[object] = deque(maxlen=64)
            with connection.filter(ended, queue=jobs):
                reply = connection.send_and_get_reply(request, timeout=PATIENCE)
                if reply.header.message_type is not MessageType.method_return:
                    raise Unavailable(f"systemd gave no control group: {reply.body[0] if reply.body else 'no reason'}")
                (job,) = reply.body
                while True:
                    _, path, _, result = connection.recv_until_filtered(jobs, timeout=PATIENCE).body
                    if path == job:
                        break
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise Unavailable(f"the user's systemd did not answer at {address}: {error}") from None
    if result != "done":
        raise Unavailable(f"systemd gave no control group: its job for {scope} ended with {result}")
    return scope
