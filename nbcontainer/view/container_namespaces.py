"""`%container namespaces` in a page: the table of `view.namespaces`, which follows the containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbcontainer.view.namespaces import NamespaceTable, namespace_table
from nbcontainer.view.page import PageView

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab


class ContainerNamespaces(PageView):
    """Who shares what, of all containers that run, or of those in `names`."""

    def __init__(self, lab: Lab, names: Sequence[str], table: NamespaceTable) -> None:
        super().__init__(lab)
        self.names = tuple(names)
        self.table = table

    def text(self) -> str:
        """The table, as it was when it was asked for."""
        return str(self.table)

    def html(self) -> str:
        """The same."""
        return self.table._repr_html_()

    def live_html(self) -> str:
        """The table as it is now."""
        containers = self.lab.containers
        known = {container.name: container for container in reversed(containers.list())}
        wanted = [known[name] for name in self.names if name in known] if self.names else list(known.values())
        return namespace_table(self.lab, wanted)._repr_html_()
