"""The tree of `%lab`, and `%%lab`: the lab itself."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from nbcontainer.container import on_host
from nbcontainer.container.terminal import of_host
from nbcontainer.errors import CommandFailed, UsageError
from nbcontainer.magics import terminal
from nbcontainer.magics.call import Call, Output, shown
from nbcontainer.magics.container_options import NO_CHECK
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.view.tables import Column, Table

if TYPE_CHECKING:
    from nbcontainer.container.execute import ExecResult
    from nbcontainer.runtime import Lab
    from nbcontainer.view.view import View


def overview(call: Call) -> Lab:
    """The lab; it starts now if it had not."""
    return call.show(call.lab)


def info(call: Call) -> str:
    """Everything about the lab, in the layout of `docker info`."""
    from nbcontainer.info import info_text

    return call.show_text(info_text(call.lab).rstrip("\n"))


CHECK_COLUMNS = (
    Column("Check", "CHECK"),
    Column("State", "STATE", "state"),
    Column("Finding", "FINDING", "prose"),
    Column("Costs", "WITHOUT IT", "prose"),
    Column("Remedy", "REMEDY", "prose"),
)


class Checks(Table):
    """What the doctor found: on a terminal a list, since a remedy is a sentence."""

    def __str__(self) -> str:
        lines = []
        for row in self.rows:
            lines.append(f"{row['State']:<8} {row['Check']}: {row['Finding']}")
            if row["State"] != "ok":
                lines += [f"{'':<8}   {text}" for text in (row["Costs"], row["Remedy"]) if text]
        return "\n".join(lines)


def doctor(call: Call) -> Table:
    """What this machine offers a lab, and what to do where it does not."""
    from nbcontainer.doctor import checks

    made = tuple(
        {
            "Check": check.name,
            "State": check.state,
            "Finding": check.finding,
            "Costs": check.costs,
            "Remedy": check.remedy,
        }
        for check in checks()
    )
    return call.show_table(Checks("What this machine offers", CHECK_COLUMNS, made))


def use(call: Call) -> Lab:
    """Go on in a lab with a name, or, without one, in a new lab."""
    from nbcontainer import runtime

    return runtime.use_lab(call.arguments[0] if call.arguments else None)


def reset(call: Call) -> Lab:
    """End the lab and everything in it, and start it anew."""
    from nbcontainer import runtime

    return runtime.reset_lab()


def topology(call: Call) -> View:
    """The lab as a graph."""
    from nbcontainer.view.lab_topology.topology import LabTopology

    return call.show(LabTopology(call.lab))


def processes(call: Call) -> View:
    """Every process of the lab."""
    from nbcontainer.view.lab_processes import LabProcesses

    return call.show(LabProcesses(call.lab))


def dashboard(call: Call) -> View:
    """Everything in one view."""
    from nbcontainer.view.lab_dashboard import LabDashboard

    return call.show(LabDashboard(call.lab))


def shell(call: Call) -> None:
    """A program of the machine, or its shell, on the lab's host."""
    argv = call.arguments or [os.environ.get("SHELL") or "sh"]
    code = terminal.sit_at(call, of_host(call.lab, argv))
    if code:
        raise CommandFailed(f"{shlex.join(argv)} exited with {code}", code)


def uplink(call: Call) -> str:
    """A link to the machine, for as long as the lab runs."""
    link = call.lab.networks.link_to_machine()
    return call.show_text(f"{link.name} on this machine leads to the lab: {link.subnet}")


def prune(call: Call) -> list[str]:
    """Remove what labs have left whose process is gone."""
    removed: list[str] = call.lab.prune()
    if removed:
        call.print("Removed what these labs had left:")
    for name in removed:
        call.print(name)
    return shown(removed)


def snapshot(call: Call) -> object:
    """Write down the facts that results depend on in the notebook's metadata."""
    from nbcontainer.harness import facts

    notebook = _notebook(call)
    found = facts.snapshot(call.lab, notebook)
    call.say(f"{notebook} has the facts of this machine and lab now; `%lab verify` compares them")
    return shown(found)


FACT_COLUMNS = (Column("Fact", "FACT", "code"), Column("Then", "THEN", "prose"), Column("Now", "NOW", "prose"))


def verify(call: Call) -> object:
    """What of the facts that a notebook was written under differs here and now."""
    from nbcontainer.harness import facts

    notebook = _notebook(call)
    found = facts.verify(call.lab, notebook)
    if not found:
        return call.show_text("Nothing differs from the snapshot.")
    made = tuple({"Fact": name, "Then": then, "Now": "not there" if now is None else now} for name, then, now in found)
    return call.show_table(Table("What differs from the snapshot", FACT_COLUMNS, made))


def _notebook(call: Call) -> Path:
    from nbcontainer.harness import facts

    return Path(call.arguments[0]).expanduser() if call.arguments else facts.this_notebook()


LAB = Command(
    "%lab",
    "Show and change the lab: the namespaces that play the part of the host",
    commands=(
        Command("info", "Display everything about the lab, as docker info does", action=info),
        Command(
            "doctor", "Check what this machine offers a lab, and say what to do where it does not",
            action=doctor,
        ),
        Command(
            "use", "Go on in the lab NAME, whose containers and volumes stay; without a name, in a new one",
            (), (Argument("NAME", required=False, completes="lab"),), action=use,
        ),
        Command("topology", "Show what is in the lab and how it is connected, live", action=topology),
        Command("processes", "Show every process as a tree, with its pids in the lab and inside", action=processes),
        Command("dashboard", "Show the lab in one view: topology, usage, containers, processes", action=dashboard),
        Command(
            "shell", "Open a terminal on the lab's host: a shell, or COMMAND", (),
            (Argument("COMMAND", required=False), Argument("ARG", required=False, repeats=True)),
            action=shell, stops_at_argument=True,
        ),
        Command(
            "snapshot", "Write down in a notebook's metadata the facts its results depend on",
            (), (Argument("NOTEBOOK", required=False),), action=snapshot,
        ),
        Command(
            "verify", "Say what of a notebook's snapshot differs here", (), (Argument("NOTEBOOK", required=False),),
            action=verify,
        ),
        Command("reset", "End the lab and everything in it, and start it anew", action=reset),
        Command(
            "uplink", "Link the lab to this machine's network; takes root, changes the machine, and ends with the lab",
            action=uplink,
        ),
        Command("prune", "Remove what labs have left behind whose process is gone", action=prune),
    ),
    action=overview,
)  # fmt: skip


# -- %%lab


def script(call: Call) -> ExecResult:
    """Run the cell as a shell script on the lab's host."""
    if call.cell is None:
        raise UsageError("%%lab needs a cell: the script. See '%lab --help' for the lab itself.")
    letters = "".join(letter for dest, letter in SHELL_FLAGS.items() if call.get(dest))
    shell = call.get("shell", "sh")
    argv = [shell, f"-{letters}c", call.cell, shell, *call.arguments]
    with Output() as output:
        result = on_host.run(call.lab, argv, stdout=output.stdout, stderr=output.stderr)
    if result.exit_code and not call.get("no_check"):
        raise CommandFailed(f"the script exited with {result.exit_code}", result.exit_code)
    return shown(result)


SHELL_FLAGS = {"errexit": "e", "nounset": "u", "xtrace": "x"}

SCRIPT = Command(
    "%%lab",
    "Run the cell as a shell script on the lab's host, with the machine's own tools",
    (
        Option("errexit", "e", help="End the script at the first command that fails"),
        Option("nounset", "u", help="Take an unset variable for a mistake"),
        Option("xtrace", "x", help="Print each command before it runs"),
        Option("shell", "", "string", "The shell that runs it", default="sh"),
        NO_CHECK,
    ),
    (Argument("ARG", required=False, repeats=True),),
    action=script, stops_at_argument=True, cell="the script",
)  # fmt: skip
