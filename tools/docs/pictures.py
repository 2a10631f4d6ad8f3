"""Pictures for the pages, drawn by the product itself from a lab that is started for it: the same letters each time."""

from __future__ import annotations

import os
import re
from functools import cache
from html import escape

from nbcontainer import Capture, Cluster, Container, Lab, Topology
from nbcontainer.harness.fixtures import have
from nbcontainer.magics.capture import Names
from nbcontainer.network.capture.talk import Talk
from nbcontainer.view.lab_processes import COLUMNS, LabProcesses
from nbcontainer.view.lab_topology.topology import LabTopology
from nbcontainer.view.layers import stack_html
from nbcontainer.view.namespaces import namespace_table
from nbcontainer.view.objects import network_html
from nbcontainer.view.packets import capture_html, talk_html
from nbcontainer.view.tables import Table
from nbcontainer.view.topology import topology_html

PLACE = re.compile(r"^\[\[picture (\w+): (.+)\]\]$", re.MULTILINE)


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
        return {
            "lab": LabTopology(lab).svg(),
            "network": network_html(lab.networks.get("backend")),
            "namespaces": namespace_table(lab, [web, client])._repr_html_(),
            "processes": Table("Processes of the lab", COLUMNS, tuple(LabProcesses(lab).rows))._repr_html_(),
            "layers": stack_html(client.layers),
            "talk": talk_html(_talk(lab, client)),
            "tree": topology_html(Topology.tree(2, 2)),
            "tunnel": capture_html(_tunnel()),
        }


def _talk(lab: Lab, client: Container) -> Talk:
    """A ping, and how a connection begins: seen on the client's own link. What TCP says later is a matter of time."""
    filter = "arp or icmp or tcp[tcpflags] & tcp-syn != 0"
    with Capture("eth0", filter, netns=client.netns, names=Names(lab)) as capture:
        client.exec(["ping", "-c", "2", "web"])
        client.exec(["wget", "-qO-", "http://web/hostname"])
    return capture.diagram


def _tunnel() -> Capture:
    """A ping from a container of one node to one of another, seen on the cable between the nodes."""
    with Lab() as node1, Lab() as node2, Cluster(node1, node2):
        for node in (node1, node2):
            node.networks.create("net", driver="overlay")
        process1, _ = (
            node.containers.run("busybox", ["sleep", "1000"], name=name, detach=True, network="net")
            for node, name in ((node1, "process1"), (node2, "process2"))
        )
        with Capture("underlay0", "udp port 4789", netns=node1.netns.host) as capture:
            process1.exec(["ping", "-c", "1", "process2"])
            capture.wait(2)
        return capture
