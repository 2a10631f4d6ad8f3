"""The course does all that the text it starts from does: every command, in a cell that runs, with a word about it."""

from __future__ import annotations

import functools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))

#: The text's commands in its order, and the name that an explanation has to mention.
COMMANDS = (
    # section 2: Docker
    ("mkdir docker", "daemon.json"),
    ("tee docker/daemon.json", "daemon.json"),
    # section 3: images
    ("docker network ls", "network ls"),
    ("docker start", "start"),
    ("docker rm", "rm"),
    ("docker rmi", "rmi"),
    ("docker pull quay.io/coreos/flannel:v0.10.0-amd64", "pull"),
    ("docker tag mowang/httpd:v0.1.1", "tag"),
    ("docker tag mowang/httpd:v0.1.1 mowang/httpd:latest", "tag"),
    ("docker run --name b1 mowang/httpd:v0.1.1", "b1"),
    ("""docker commit -c 'CMD ["/bin/httpd","-f","-h","/data/html"]' -p b1 mowang/httpd:v0.2""", "-c"),
    ("docker save -o myimages.gz mowang/httpd:v0.1.1 mowang/httpd:latest", "save"),
    ("docker load -i myimages.gz", "load"),
    ("docker info", "docker info"),
    ("net.bridge.bridge-nf-call-ip6tables = 1", "bridge-nf-call-ip6tables"),
    ("net.bridge.bridge-nf-call-iptables = 1", "bridge-nf-call-iptables"),
    ("sysctl -p", "sysctl -p"),
    # section 4: networks
    ("docker pull busybox", "pull"),
    ("docker run --name busy1 busybox", "busy1"),
    ("echo net.ipv4.ip_forward=1", "ip_forward"),
    ("docker run -it --name busy1 busybox", "-it"),
    ("brctl show", "brctl show"),
    ("ip link show", "link show"),
    ("docker network inspect bridge", "inspect"),
    # section 5: network namespaces
    ("ip netns help", "help"),
    ("ip netns add r1", "netns add"),
    ("ip netns add r2", "netns add"),
    ("ip netns list", "netns list"),
    ("ip link add name veth1.1 type veth peer name veth1.2", "link add"),
    ("ip link set dev veth1.2 netns r1", "link set"),
    ("ip netns exec r1 ifconfig -a", "ifconfig"),
    ("ip netns exec r1 ip link set dev veth1.2 name eth0", "link set"),
    ("ifconfig veth1.1 10.1.0.1/24 up", "ifconfig"),
    ("ip netns exec r1 ifconfig eth0 10.1.0.2/24 up", "ifconfig"),
    ("ip link set dev veth1.1 netns r2", "link set"),
    ("ip netns exec r2 ifconfig veth1.1 10.1.0.3/24 up", "ifconfig"),
    ("ip netns exec r2 ping 10.1.0.2", "ping"),
)

#: What the text does to install Docker and to keep its machine's own network out of the way. Nothing here needs it;
#: a lesson says of each what stands in its place.
INSTEAD = (
    "wget -O /etc/yum.repos.d/docker-ce.repo",
    "yum clean all",
    "yum provides docker",
    "yum provides docker-ce",
    "vim docker-ce.repo",
    "yum -y install docker-ce",
    "systemctl enable docker.service",
    "systemctl start docker.service",
    "docker version",
    "vi /etc/sysctl.conf",
    "systemctl stop NetworkManager.service",
    "systemctl disable NetworkManager.service",
    "systemctl restart network.service",
    "systemctl restart network && systemctl restart docker",
    "yum -y install bridge-utils",
)


@dataclass
class Line:
    """A command as Docker and iproute2 write it, and the prose of the section it is in."""

    lesson: str
    words: list[str]
    prose: str


@functools.cache
def lines() -> list[Line]:
    """Every command of every lesson."""
    found = []
    for path in LESSONS:
        for prose, cells in sections(nbformat.read(path, as_version=4)):
            for cell in cells:
                found += [Line(path.stem, words, prose) for words in commands(cell.source)]
    return found


def sections(notebook: Any) -> list[tuple[str, list[Any]]]:
    """The prose and the cells with code that stand below each heading."""
    found: list[tuple[list[str], list[Any]]] = [([], [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found[-1][1].append(cell)
            continue
        before, *after = re.split(r"^(?=#+ )", cell.source, flags=re.MULTILINE)
        found[-1][0].append(before)
        found += [([text], []) for text in after]
    return [("\n".join(prose), cells) for prose, cells in found]


def commands(source: str) -> list[list[str]]:
    """The words of each line of a cell that is a command, in the words that a terminal would have."""
    found = []
    inside = re.match(r"%%netns exec \w+\n", source)
    for line in source.splitlines():
        line = re.sub(r"^(\w+ = )?(?=%)", "", line)
        line = re.sub(r"^(\w+ = )?!\{there\} ", "%", line)  # another machine's `nbcontainer`
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()  # half of a quotation of several lines
        words = [word.replace("localhost:50500/", "quay.io/") for word in words]  # the registry that plays the remote
        found.append(as_typed(words))
        if inside:
            found.append(["ip", *inside[0].removeprefix("%%").split(), *words])
    return found


def as_typed(words: list[str]) -> list[str]:
    """`%image rm x` is `docker rmi x`, `%netns add r1` is `ip netns add r1`, `%netns link show` is `ip link show`."""
    magic, rest = (words[0].lstrip("%"), words[1:]) if words and words[0].startswith("%") else ("", words)
    match magic, rest:
        case "image", ["rm", *others]:
            return ["docker", "rmi", *others]
        case (("container" | "image"), _):
            return ["docker", *rest]
        case (("network" | "volume"), _):
            return ["docker", magic, *rest]
        case "netns", ["bridge", *_]:
            return ["brctl", "show"]
        case "netns", [("add" | "list" | "exec" | "help" | "delete"), *_]:
            return ["ip", "netns", *rest]
        case "netns", _:
            return ["ip", *rest]
        case "lab", ["info", *_]:
            return ["docker", "info"]
        case _:
            return words


def within(few: list[str], many: list[str]) -> bool:
    """Whether the words stand among the others, in their order. A path may be longer at its beginning."""
    rest = iter(many)
    return all(any(there == word or there.endswith(f"/{word}") for there in rest) for word in few)


@pytest.mark.parametrize(("command", "name"), COMMANDS)
def test_every_command_is_in_a_lesson_and_explained(command: str, name: str) -> None:
    places = [line for line in lines() if within(shlex.split(command), line.words)]
    assert places, f"no cell of the course has `{command}`"
    named = re.compile(rf"`[^`\n]*{re.escape(name)}(?!\w)[^`\n]*`")
    where = ", ".join(sorted({line.lesson for line in places}))
    assert any(named.search(line.prose) for line in places), f"nothing beside it in {where} speaks of `{name}`"


@pytest.mark.parametrize("command", INSTEAD)
def test_what_installs_docker_has_something_in_its_place(command: str) -> None:
    assert any(f"`{command}" in line.prose for line in lines())


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_says_what_it_is_for_and_lets_its_reader_try(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    opening = notebook.cells[0].source
    assert opening.startswith("# ")
    assert re.search(r"[Yy]ou will|you can$", opening, flags=re.MULTILINE), "no aims"
    assert "Place in the text this project starts from: section" in opening
    assert re.search(r"^(## .*Exercises|\*\*Exercise)", prose, flags=re.MULTILINE), "no exercises"
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
