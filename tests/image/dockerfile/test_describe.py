"""What the describing instructions make of an image's config."""

from __future__ import annotations

from typing import Any

import pytest

from nbcontainer.errors import InvalidArgument
from nbcontainer.image.dockerfile.describe import changed


@pytest.mark.parametrize(
    ("before", "changes", "wanted"),
    [
        ({"Env": ["A=1", "B=2"]}, ["ENV A=3 C=$B"], {"Env": ["A=3", "B=2", "C=2"]}),
        ({}, ["ENV A=1 B=$A", "ENV C=$A"], {"Env": ["A=1", "B=", "C=1"]}),
        ({}, ["ENV A hello  'big' world"], {"Env": ["A=hello  big world"]}),
        ({"Labels": {"a": "1"}}, ["LABEL a=2 'b c'=\"d e\""], {"Labels": {"a": "2", "b c": "d e"}}),
        (
            {"Entrypoint": ["e"]},
            ['CMD ["/bin/httpd","-f","-h","/data/html"]'],
            {"Entrypoint": ["e"], "Cmd": ["/bin/httpd", "-f", "-h", "/data/html"]},
        ),
        ({}, ["CMD echo hi"], {"Cmd": ["/bin/sh", "-c", "echo hi"]}),
        ({}, ['SHELL ["bash", "-lc"]', "CMD a"], {"Shell": ["bash", "-lc"], "Cmd": ["bash", "-lc", "a"]}),
        ({"Cmd": ["sh"]}, ["ENTRYPOINT a"], {"Cmd": None, "Entrypoint": ["/bin/sh", "-c", "a"]}),
        ({"Cmd": ["sh"]}, ["CMD b", 'ENTRYPOINT ["a"]'], {"Cmd": ["/bin/sh", "-c", "b"], "Entrypoint": ["a"]}),
        ({"Entrypoint": ["a"]}, ["ENTRYPOINT []"], {"Entrypoint": None, "Cmd": None}),
        (
            {"ExposedPorts": {"1/tcp": {}}},
            ["EXPOSE 80 53/UDP 8000-8001"],
            {"ExposedPorts": {port: {} for port in ("1/tcp", "80/tcp", "53/udp", "8000/tcp", "8001/tcp")}},
        ),
        (
            {"Env": ["P=80 81/udp"]},
            ["EXPOSE $P"],
            {"Env": ["P=80 81/udp"], "ExposedPorts": {"80/tcp": {}, "81/udp": {}}},
        ),
        ({}, ["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        ({}, ["WORKDIR /a", "WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
        ({"WorkingDir": "/x"}, ["WORKDIR .."], {"WorkingDir": "/"}),
        ({}, ["USER a:b"], {"User": "a:b"}),
        ({}, ["STOPSIGNAL 9"], {"StopSignal": "9"}),
        ({}, ["STOPSIGNAL SIGRTMIN+3"], {"StopSignal": "SIGRTMIN+3"}),
        ({}, ["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
        ({}, ["ONBUILD RUN a"], {"OnBuild": ["RUN a"]}),
    ],
)
def test_changes(before: dict[str, Any], changes: list[str], wanted: dict[str, Any]) -> None:
    kept = dict(before)
    assert changed(before, changes) == wanted
    assert before == kept


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("RUN a", 'invalid change "RUN a": RUN is not a valid change command'),
        ("CDM a", 'invalid change "CDM a": CDM is not a valid change command'),
        ("STOPSIGNAL SIGNOTHING", "Invalid signal: SIGNOTHING"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("ENV a", 'invalid change "ENV a": ENV must have two arguments'),
        ("", "file with no instructions"),
    ],
)
def test_changes_that_cannot_be(change: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        changed({}, [change])
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
