"""A terminal for whoever typed the command: in the cell, on the tty IPython runs on, or for nobody."""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from typing import TYPE_CHECKING, Any

from nbcontainer.container.terminal import Viewer
from nbcontainer.magics.call import Call
from nbcontainer.view import frontend
from nbcontainer.view.terminal import TerminalView

if TYPE_CHECKING:
    from nbcontainer.container.terminal import Terminal

#: Docker's keys to leave without ending the program: Ctrl-P Ctrl-Q.
DETACH = b"\x10\x11"
END_OF_FILE = b"\x04"


def wanted(call: Call) -> bool:
    """Whether a command with `-i` and `-t` gets a terminal to sit at: not when its input is the cell."""
    return bool(call.get("interactive") and call.get("tty") and not call.get("detach") and call.cell is None)


def sit_at(call: Call, terminal: Terminal) -> int | None:
    """Give the terminal to whoever is there; its exit code, or None where it goes on by itself.

    In a page that is a widget, and the cell is done. On a tty this one is it, until the program ends or Ctrl-P Ctrl-Q.
    Where nobody can type, the program is told the end of its input, and its last screen is shown.
    """
    if frontend.live():
        _in_the_cell(terminal)
        return None
    if frontend.terminal():
        return relay(terminal)
    terminal.write(END_OF_FILE)
    code = _patiently(terminal)
    view = TerminalView(terminal)
    view.exit_code = code
    call.show(view)
    return code


def _patiently(terminal: Terminal) -> int:
    interrupts = 0
    while True:
        try:
            return terminal.wait()
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts == 1:
                terminal.write(b"\x03")
            else:
                terminal.kill(signal.SIGKILL)


def _in_the_cell(terminal: Terminal) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    handle: list[Any] = []

    def keep(view: TerminalView) -> None:
        # What is saved with the notebook is from now on its last screen.
        shell = InteractiveShell.instance()
        shell.display_pub.publish(view.forms(live=True), transient={"display_id": handle[0].display_id}, update=True)

    view = TerminalView(terminal)
    handle.append(display(view, display_id=True))  # type: ignore[no-untyped-call]
    view.at_end(keep)


def relay(terminal: Terminal) -> int | None:
    """This process's own tty, raw, until the program ends; None when Ctrl-P Ctrl-Q left it running."""
    wake_r, wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = termios.tcgetattr(0)

    def fit(*_: object) -> None:
        size = os.get_terminal_size(1)
        terminal.resize(size.lines, size.columns)

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(1, view) :]
            except BlockingIOError:
                select.select([], [1], [])

    resized = signal.signal(signal.SIGWINCH, fit)
    viewer = Viewer(write, lambda: os.write(wake_w, b"x"))
    loop = terminal.stdio.loop
    try:
        tty.setraw(0)
        fit()
        write(loop.do(terminal.view, viewer))
        if terminal.ended:
            return terminal.wait()
        return _type(terminal, wake_r)
    finally:
        loop.do(terminal.leave, viewer)
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, resized)
        os.close(wake_r)
        os.close(wake_w)


def _type(terminal: Terminal, wake: int) -> int | None:
    held = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            return terminal.wait()
        data = held + os.read(0, 1 << 12)
        if not data:
            terminal.write(END_OF_FILE)
            return terminal.wait()
        if DETACH in data:
            terminal.write(data.partition(DETACH)[0])
            return None
        held = data[-1:] if data.endswith(DETACH[:1]) else b""
        terminal.write(data[: len(data) - len(held)])
