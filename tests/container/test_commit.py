"""`commit`: the config, pausing, names, and what is no part of an image."""

from __future__ import annotations

from typing import Any

import pytest

from nbcontainer.errors import InvalidArgument, InvalidReference, Unavailable


def test_what_the_new_image_says(lab: Any, busybox: Any) -> None:
    c = lab.containers.create(
        "busybox",
        ["sleep", "1"],
        env=["A=1", "B=2"],
        label=["own=1"],
        user="nobody",
        workdir="/tmp",
        volume=["/anonymous"],
        stop_signal="INT",
        health_cmd="true",
        health_interval="3s",
    )
    image = c.commit(
        "made/it:2",
        author="me",
        message="why",
        changes=[
            'CMD ["/bin/httpd", "-f", "-h", "/data/html"]',
            "ENV B=$A C='two words'",
            "LABEL more=2",
            "EXPOSE 80 8000-8001/udp",
            'VOLUME ["/data"]',
            "ONBUILD RUN true",
            "WORKDIR sub",
        ],
    )
    config = image.config
    assert config["Cmd"] == ["/bin/httpd", "-f", "-h", "/data/html"]
    assert config["Env"][-3:] == ["A=1", "B=1", "C=two words"]
    assert config["Labels"] == {"own": "1", "more": "2"}
    assert sorted(config["ExposedPorts"]) == ["80/tcp", "8000/udp", "8001/udp"]
    assert sorted(config["Volumes"]) == ["/anonymous", "/data"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("nobody", "/tmp/sub", "INT")
    assert config["OnBuild"] == ["RUN true"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 3_000_000_000}
    assert image.history[-1]["created_by"] == "sleep 1"
    assert (image.history[-1]["author"], image.history[-1]["comment"]) == ("me", "why")
    assert image.history[-1]["empty_layer"] is True
    assert image.tags == ["made/it:2"]
    lab.images.remove("made/it:2")


@pytest.mark.parametrize("change", ["RUN true", "FROM busybox", "COPY a b", "", "EXPOSE many"])
def test_changes_that_cannot_be(lab: Any, busybox: Any, change: str) -> None:
    c = lab.containers.create("busybox", ["true"])
    with pytest.raises(InvalidArgument) as raised:
        c.commit(changes=[change])
    assert "\n" not in str(raised.value)


def test_an_entrypoint_of_ones_own(lab: Any, busybox: Any) -> None:
    image = lab.containers.create("busybox", ["-n"], entrypoint="echo").commit()
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["echo"], ["-n"])
    assert lab.containers.create("busybox").commit().config == busybox.config


@pytest.mark.parametrize("pause", [True, False])
def test_while_it_runs(lab: Any, busybox: Any, pause: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "echo x >/file; sleep 1000 & sleep 1000"], detach=True)
    while ("A", "/file") not in c.diff():
        pass
    states: list[str] = []
    commit_layer = lab.images.commit_layer

    def watched(*args: Any, **options: Any) -> Any:
        states.append(c.status)
        return commit_layer(*args, **options)

    monkeypatch.setattr(lab.images, "commit_layer", watched)
    image = c.commit(pause=pause)
    assert c.status == "running"
    assert states in ([["paused"], ["running"]] if pause else [["running"]])
    assert c.exec(["cat", "/file"]).stdout == b"x\n", "it goes on"
    assert lab.containers.run(image, ["cat", "/file"], network="none").logs() == "x\n"


def test_where_nothing_can_be_frozen(lab: Any, busybox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "sleep 1000 & sleep 1000"], detach=True, network="none")

    def cannot() -> None:
        raise Unavailable("pausing takes a control group")

    monkeypatch.setattr(c, "pause", cannot)
    states: list[set[str]] = []
    commit_layer = lab.images.commit_layer

    def watched(*args: Any, **options: Any) -> Any:
        states.append({process["STAT"][0] for process in c.top(["pid", "stat"])})
        return commit_layer(*args, **options)

    monkeypatch.setattr(lab.images, "commit_layer", watched)
    c.commit()
    assert states == [{"T"}]
    assert c.exec(["true"]).exit_code == 0
    assert "T" not in {process["STAT"][0] for process in c.top(["pid", "stat"])}


def test_a_volume_is_no_part_of_it(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "echo x >/v/in; echo y >/out"], volume=["/v"], network="none")
    image = c.commit()
    assert lab.containers.run(image, ["sh", "-c", "ls /v; cat /out"], network="none").logs() == "y\n"


def test_a_name_that_cannot_be(lab: Any, busybox: Any) -> None:
    with pytest.raises(InvalidReference):
        lab.containers.create("busybox", ["true"]).commit("Upper")
