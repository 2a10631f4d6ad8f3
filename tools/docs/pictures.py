"""Pictures for the pages, drawn by the product itself from labs that are started for them.

The same letters each time, but for those in `TIMED`.
"""

from __future__ import annotations

import os
import re
from functools import cache
from html import escape

from nbcontainer import Lab, Topology
from nbcontainer.harness.fixtures import have
from nbcontainer.view import html
from nbcontainer.view.container_steps import ContainerSteps
from nbcontainer.view.lab_processes import COLUMNS, LabProcesses
from nbcontainer.view.lab_topology.topology import LabTopology
from nbcontainer.view.namespaces import namespace_table
from nbcontainer.view.objects import network_html
from nbcontainer.view.packets import capture_html, talk_html
from nbcontainer.view.tables import Table
from nbcontainer.view.topology import topology_html
from tools.docs import course, ends, runs, sources
from tools.docs.messages import heard

PLACE = re.compile(r"^<!-- picture (\w+): (.+) -->$", re.MULTILINE)
#: How long something took is drawn in these.
TIMED = frozenset({"steps"})


def placed(markdown: str, up: str) -> str:
    """The page with its pictures, `up` being the way to the site's top."""

    def picture(match: re.Match[str]) -> str:
        name, said = match.groups()
        drawn = made()[name]
        caption = f"<figcaption>{escape(said[0].upper() + said[1:])}.</figcaption>"
        if drawn.startswith("<svg"):
            drawn = f'<img alt="{escape(said)}" src="{up}pictures/{name}.svg">'
        return f'<figure class="drawn" tabindex="0" markdown="0">{drawn}{caption}</figure>'

    return PLACE.sub(picture, markdown)


@cache
def made() -> dict[str, str]:
    """Every picture, by name: SVG of its own, or HTML."""
    os.environ["NBCONTAINER_UPLINK"] = "none"  # a way out is the machine's matter, not the picture's
    with Lab() as lab:
        have(lab, "busybox")
        lab.networks.create("backend")
        lab.networks.create("front")
        web = lab.containers.run("busybox", ["httpd", "-f", "-h", "/etc"], name="web", detach=True, network="backend")
        client = lab.containers.run("busybox", ["sleep", "1000"], name="client", detach=True, network="backend")
        client.connect("front")
        client.exec(["sh", "-c", "echo mine > /home/note; rm /etc/group"])
        drawn = {
            "lab": LabTopology(lab).svg(),
            "lab_text": html.framed(f'<pre class="nbc-screen">{escape(LabTopology(lab).text())}</pre>'),
            "network": network_html(lab.networks.get("backend")),
            "namespaces": namespace_table(lab, [web, client])._repr_html_(),
            "processes": Table("Processes of the lab", COLUMNS, tuple(LabProcesses(lab).rows))._repr_html_(),
            "changes": runs.changes(client)._repr_html_(),
            "talk": talk_html(runs.talk(lab, client)),
            "build": runs.build(lab).html(),
            "layers": runs.layers(lab)._repr_html_(),
            "pull": runs.pull(lab).html(),
            "doctor": runs.doctor(lab)._repr_html_(),
        }
    return drawn | {
        "steps": ContainerSteps(runs.quickest()).svg(),
        "messages": talk_html(heard()),
        "ends": ends.left()._repr_html_(),
        "tree": topology_html(Topology.tree(2, 2)),
        "tunnel": capture_html(runs.tunnel()),
        "twice": runs.twice()._repr_html_(),
        "usage": course.shown("02-cgroups", "demo.plot()"),
        "rooms": sources.rooms(),
        "lines": sources.lines()._repr_html_(),
    }
