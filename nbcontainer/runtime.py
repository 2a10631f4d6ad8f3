"""The one place where the rooms meet: `Lab`, and the lab of this process."""

from __future__ import annotations

import os
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from nbcontainer.cgroup.cgroup import Cgroup
from nbcontainer.cgroup.cgroups import Cgroups
from nbcontainer.cgroup.sampler import Sampler, Target
from nbcontainer.cgroup.tree import Tree
from nbcontainer.container import on_host, usage
from nbcontainer.container.containers import Containers
from nbcontainer.container.volumes import Volumes
from nbcontainer.image.images import Images
from nbcontainer.lab import directory, files
from nbcontainer.lab.handle import SEED, Handle
from nbcontainer.lab.home import Home
from nbcontainer.network import networks
from nbcontainer.network.namespaces import Namespaces
from nbcontainer.network.networks import Networks
from nbcontainer.topology.network import Topologies

if TYPE_CHECKING:
    from nbcontainer.build.builder import Builder


class Lab(Handle):
    """A lab and everything in it.

    >>> with Lab() as lab:
    ...     c = lab.containers.run("busybox", ["echo", "hello"])
    ...     c.logs()
    'hello\\n'

    Starting one removes what labs whose process is gone have left: their cgroups and, unless they have a name,
    their files.
    """

    preload = (
        "nbcontainer.container.setup",
        "nbcontainer.container.enter",
        "nbcontainer.lab.sockets",
        "nbcontainer.lab.files",
    )

    def __init__(self, name: str | None = None, *, seed: str = SEED, home: Home | None = None) -> None:
        super().__init__(name, seed=seed, home=home)
        self.prune()
        if networks.KEPT in os.listdir(self.directory):
            self.networks  # noqa: B018  its bridges are there from the start, as after a boot

    @cached_property
    def cgroups(self) -> Cgroups:
        """The machine's control groups, as far as this process may use them."""
        return Cgroups.detect()

    @cached_property
    def cgroup_tree(self) -> Tree:
        """The control groups of this lab that have names."""
        return Tree(
            self,
            self.cgroups,
            lambda argv, **streams: on_host.run(self, argv, **streams),
            lambda: self.sampler,
            lambda: usage.groups(self.containers) if "containers" in self.__dict__ else {},
        )

    def cgroup(self, name: str, **values: object) -> Cgroup:
        """The group `name`, such as `demo` or `a/b`, made if it is not there: `lab.cgroup("demo", cpu_max="20%")`."""
        return Cgroup(name, tree=self.cgroup_tree, **values)

    @cached_property
    def sampler(self) -> Sampler:
        """Samples the usage of every control group of this lab: `container/NAME` and `cgroup/NAME`."""
        return Sampler(self.loop, self._targets)

    def _targets(self) -> dict[str, Target]:
        """The loop's thread asks: nothing is made for it."""
        named = self.cgroup_tree.named() if "cgroup_tree" in self.__dict__ else {}
        containers = usage.targets(self.containers) if "containers" in self.__dict__ else {}
        return {**containers, **{key: Target(group, group.sources) for key, group in named.items()}}

    @cached_property
    def images(self) -> Images:
        """The images of this user, shared by all labs."""
        images = Images(self)
        images.users = lambda image_id: self.containers.users_of_image(image_id)
        return images

    @cached_property
    def networks(self) -> Networks:
        """The networks of this lab."""
        return Networks(self, self.netns.opener)

    @cached_property
    def netns(self) -> Namespaces:
        """The named network namespaces of this lab."""
        return Namespaces(self, execute=on_host.run)

    @cached_property
    def topologies(self) -> Topologies:
        """The topologies that are up in this lab."""
        return Topologies(self, self.netns, lambda: self.containers)

    @cached_property
    def volumes(self) -> Volumes:
        """The volumes of this lab."""
        return Volumes(self)

    @cached_property
    def containers(self) -> Containers:
        """The containers of this lab."""
        return Containers(self, self.images, self.networks, self.volumes, self.cgroups)

    @cached_property
    def builder(self) -> Builder:
        """Builds images from Dockerfiles."""
        from nbcontainer.build.builder import Builder  # only now: most labs build nothing

        return Builder(self.containers)

    def prune(self) -> list[str]:
        """Remove what dead labs have left; their names."""
        removed = []
        for claim in directory.dead(self.home.labs):
            self.call(files.remove_tree, str(claim.path))
            claim.release(remove=True)
            removed.append(claim.path.name)
        for scope in self.cgroups.leftovers():
            key, _, instance = scope.partition("-")
            # Labs of another home are not ours to judge: their locks lie there.
            if key == self.home.key and not directory.alive(self.home, instance):
                self.cgroups.remove_tree(scope)
                removed.append(instance)
        return sorted(set(removed))

    def close(self) -> None:
        """End the lab, and remove its cgroups; an ephemeral one's files go too."""
        if self.closed or not self.ours:
            return
        if "cgroup_tree" in self.__dict__:
            self.cgroup_tree.close()
        if "sampler" in self.__dict__:
            self.sampler.close()
        if "netns" in self.__dict__:
            self.netns.close()
        if "cgroups" in self.__dict__:
            self.cgroups.thaw_tree(self.scope)
        if "networks" in self.__dict__:
            self.networks.close()
        super().close()
        if "cgroups" in self.__dict__:
            self.cgroups.remove_tree(self.scope)

    def __repr__(self) -> str:
        return f"<Lab {self.name or self.id}>"


_current: Lab | None = None
_lock = threading.RLock()


def current_lab() -> Lab:
    """The lab of this process, started on first use; a new one when its init has died."""
    global _current
    with _lock:
        if _current is not None and _current.gone and not _current.closed:
            name = _current.name
            print("The lab has ended: its init was killed. A new one is started.", file=sys.stderr)
            _current.close()
            _current = Lab(name)
        if _current is None or _current.closed:
            _current = Lab()
        return _current


def use_lab(name: str | None) -> Lab:
    """Leave this process's lab and go on in the lab `name`, or, with None, in a new one without a name."""
    global _current
    with _lock:
        before = lab_running()
        if before is not None and name is not None and before.name == name:
            return before
        _current = Lab(name)  # first: a name that cannot be leaves everything as it is
        if before is not None:
            before.close()
        return _current


def reset_lab() -> Lab:
    """End this process's lab and start it anew. One with a name keeps its containers and volumes."""
    global _current
    with _lock:
        name = _current.name if _current is not None else None
        if _current is not None:
            _current.close()
        _current = Lab(name)
        return _current


Cgroup.current = staticmethod(lambda: current_lab().cgroup_tree)


def lab_running() -> Lab | None:
    """This process's lab if it has one, without starting one."""
    return _current if _current is not None and not _current.closed and not _current.gone else None
