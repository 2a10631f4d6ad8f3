"""What is run for the pictures: a conversation, a tunnel, a build, a pull, the same lab twice."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nbcontainer import Capture, Cluster, Container, Lab
from nbcontainer.harness.fixtures import have
from nbcontainer.lab.home import Home
from nbcontainer.magics.capture import Names
from nbcontainer.magics.container_files import DIFF_COLUMNS
from nbcontainer.magics.lab import CHECK_COLUMNS
from nbcontainer.network.capture.talk import Talk
from nbcontainer.view.layers import table as layer_table
from nbcontainer.view.progress.building import Building
from nbcontainer.view.progress.transfer import Transfer
from nbcontainer.view.tables import Column, Table

IMAGE = "docs/web"
DOCKERFILE = """
FROM busybox
RUN mkdir -p /srv && echo served > /srv/index.html
RUN echo www:x:100:100::/srv:/bin/false | tee -a /etc/passwd
WORKDIR /srv
USER www
CMD ["httpd", "-f", "-p", "8080"]
"""


CHECKOUT = Path(__file__).resolve().parents[2]
#: The doctor, asked inside a container: what it finds lacking, as the rows of its table.
DOCTOR = """
import json
from nbcontainer.doctor import checks
found = [check for check in checks() if check.state != "ok"]
print(json.dumps([[check.name, check.state, check.finding, check.costs] for check in found]))
"""


def talk(lab: Lab, client: Container) -> Talk:
    """A ping, and how a connection begins: seen on the client's own link. What TCP says later is a matter of time."""
    filter = "arp or icmp or tcp[tcpflags] & tcp-syn != 0"
    with Capture("eth0", filter, netns=client.netns, names=Names(lab)) as capture:
        client.exec(["ping", "-c", "2", "web"])
        client.exec(["wget", "-qO-", "http://web/hostname"])
    return capture.diagram


def changes(container: Container) -> Table:
    """What it has changed in its root."""
    rows = tuple({"Kind": kind, "Path": path} for kind, path in container.diff())
    return Table(f"Changes in {container.name}", DIFF_COLUMNS, rows)


def quickest() -> Container:
    """Of some containers that were made alike, the one whose steps took least: others use the machine too."""
    with Lab() as lab:
        have(lab, "busybox")
        made = [lab.containers.run("busybox", ["true"]) for _ in range(9)]
        return min(made, key=lambda container: sum(step.microseconds for step in container.trace))


def tunnel() -> Capture:
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


def build(lab: Lab) -> Building:
    """The steps of an image of two layers on busybox."""
    building = Building(IMAGE)
    lab.builder.build(None, dockerfile=DOCKERFILE, tag=[IMAGE], build_arg=["SOURCE_DATE_EPOCH=0"], progress=building)
    building.end("done")
    return building


def layers(lab: Lab) -> Table:
    """The layers of a container of that image, and whose one of its files is."""
    command = ["sh", "-c", "echo changed > index.html"]
    changed = lab.containers.run(IMAGE, command, user="root")
    made = layer_table(changed.layers, "/srv/index.html")
    changed.remove()
    return made


def pull(lab: Lab) -> Transfer:
    """That image into a store that has nothing yet, from a registry of our own behind a mirror's name."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o711)  # the lab's ids pass through
        lab.images.save([IMAGE], place / "layout", "oci-dir")
        with _registry(place / "layout") as url, Lab(home=Home(place / "home")) as elsewhere:
            (place / "home/daemon.json").write_text(json.dumps({"registry-mirrors": [url]}))
            pulling = Transfer("Pull", f"{IMAGE}:latest")
            elsewhere.images.pull(IMAGE, progress=pulling)
            pulling.end("done")
    lab.images.remove(IMAGE)
    return pulling


@contextmanager
def _registry(layout: Path) -> Iterator[str]:
    """A registry of what an OCI layout holds, for who only pulls (distribution-spec, "Pull"): its URL."""
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, wanted = self.path.rpartition("/")
            digest = described["digest"] if wanted == "latest" else wanted
            blob = layout / "blobs/sha256" / digest.removeprefix("sha256:")
            content = blob.read_bytes() if blob.is_file() else b"{}"
            self.send_response(200)
            self.send_header("Content-Type", described["mediaType"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def twice() -> Table:
    """What the first container of a lab is given, and the first of the next lab."""
    first, second = _given(), _given()
    rows = [{"What": what, "First": first[what], "Second": second[what]} for what in first]
    columns = (Column("What", "WHAT"), Column("First", "ONE LAB", "code"), Column("Second", "THE NEXT", "code"))
    return Table("Two labs, one after the other", columns, tuple(rows))


def _given() -> dict[str, str]:
    with Lab() as lab:
        have(lab, "busybox")
        web = lab.containers.run("busybox", ["sleep", "1000"], detach=True)
        assert web.endpoint is not None
        assert web.entry is not None
        return {
            "id": web.short_id,
            "name": web.name,
            "pid in the lab": str(web.entry.pid),
            "address": web.endpoint.ip,
            "MAC address": web.endpoint.mac,
            "its end of the link": web.endpoint.veth,
            "index of that": str(web.endpoint.ifindex),
        }


def doctor(lab: Lab) -> Table:
    """What the doctor says where no lab may start: in a container with Docker's seccomp profile, as on Binder."""
    seen = {str(CHECKOUT), sys.prefix, sys.base_prefix} - {"/usr"}
    volumes = [f"{path}:{path}:ro" for path in sorted(seen)]
    asked = lab.containers.run("host", [sys.executable, "-c", DOCTOR], workdir=str(CHECKOUT), volume=volumes)
    columns = CHECK_COLUMNS[:-1]  # the remedies have a page of their own
    keys = [column.key for column in columns]
    rows = tuple(dict(zip(keys, row, strict=True)) for row in json.loads(asked.logs()))
    return Table("What a container offers a lab", columns, rows)
