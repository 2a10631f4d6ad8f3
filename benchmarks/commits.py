"""A container's 100 MB of changes as an image, beside `docker commit` of the same: python -m benchmarks.commits"""

from __future__ import annotations

import os
import time

from benchmarks.measure import QUIET, Row, Samples, compared, seconds_of, table
from nbcontainer.errors import NotFound
from nbcontainer.runtime import Lab, current_lab
from tests.peers import Docker, missing

#: 100 files of a megabyte that no compression makes smaller.
CHANGE = "mkdir /change; for i in $(seq 100); do dd if=/dev/urandom of=/change/$i bs=1M count=1; done 2>/dev/null"
WHAT = "commit of 100 MB in 100 files"
COUNT = 10


def commits(lab: Lab, docker: Docker | str) -> Row:
    """From the call until the image can be named. Between two, untimed, the image is removed with its layer."""
    changed = lab.containers.run("busybox", ["sh", "-c", CHANGE], network="none")
    ours: list[float] = []
    theirs: list[float] = []
    if isinstance(docker, Docker):
        docker.docker("run", "--name", "changed", "--network", "none", "busybox", "sh", "-c", CHANGE)
    for _ in range(COUNT + 1):
        time.sleep(QUIET)
        ours.append(seconds_of(lambda: changed.commit("commits/ours")))
        lab.images.remove("commits/ours")
        if isinstance(docker, Docker):
            time.sleep(QUIET)
            theirs.append(seconds_of(lambda: docker.docker("commit", "changed", "commits/theirs")))
            docker.docker("rmi", "commits/theirs")
        os.sync()
    changed.remove()
    if not theirs:
        return Row(WHAT, str(Samples(ours[1:])), f"docker commit: {docker}", "≤ 1/2", "not compared")
    return compared(WHAT, Samples(ours[1:]), "docker commit", Samples(theirs[1:]), 2)


def main() -> None:
    """Measure and print."""
    with current_lab() as lab:
        try:
            lab.images.get("busybox")
        except NotFound:
            lab.images.bootstrap_busybox()
        why = missing("docker", "dockerd", "busybox")
        if why:
            print(table([commits(lab, why)]))
            return
        with Docker() as docker:
            print(table([commits(lab, docker)]))


if __name__ == "__main__":
    main()
