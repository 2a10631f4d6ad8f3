"""`%lab dashboard`: the lab in one view: its map, what it uses, its containers, its processes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from nbcontainer.view import html, objects, rows, stats
from nbcontainer.view.lab_processes import LabProcesses
from nbcontainer.view.lab_topology.topology import LabTopology
from nbcontainer.view.page import PageView
from nbcontainer.view.tables import Table
from nbcontainer.view.usage import Usage
from nbcontainer.view.view import View

if TYPE_CHECKING:
    from nbcontainer.runtime import Lab


class ContainerTable(PageView):
    """`%container ps --all`, which follows the lab."""

    def table(self) -> Table:
        """The containers, newest first."""
        made = tuple(rows.container_row(container, True) for container in self.lab.containers.list(all=True))
        return Table("Containers", rows.CONTAINER_COLUMNS, made)

    def text(self) -> str:
        """As Docker prints it."""
        return str(self.table())

    def html(self) -> str:
        """The same as a table."""
        return self.table()._repr_html_()


class LabDashboard(View):
    """Several views below each other. Each of them is a widget of its own where a page shows it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.topology = LabTopology(lab)
        self.containers = ContainerTable(lab)
        self.processes = LabProcesses(lab)
        self.usage = Usage(lab, "container/", (), Table("Usage of containers", stats.STATS_COLUMNS, ()))
        self._text = "\n\n".join(
            [objects.lab_text(lab), self.topology.text(), self.containers.text(), self.processes.text()]
        )
        picture = base64.b64encode(self.topology.svg().encode()).decode()
        said = html.escape(self.topology.text())
        self._html = (
            objects.lab_html(lab)
            + html.framed(f'<img alt="{said}" src="data:image/svg+xml;base64,{picture}">')
            + self.containers.html()
            + self.processes.html()
        )

    def text(self) -> str:
        """The texts of its parts."""
        return self._text

    def html(self) -> str:
        """The pictures and tables of its parts."""
        return self._html

    def forms(self, live: bool) -> dict[str, Any]:
        """With `live`, a box of widgets."""
        made = super().forms(live=False)
        if live:
            from nbcontainer.view.widgets import widget

            if "_box" not in self.__dict__:
                self.__dict__["_box"] = widget.box([self.topology, self.usage, self.containers, self.processes])
            made["application/vnd.jupyter.widget-view+json"] = self.__dict__["_box"].get_view_spec()
        return made
