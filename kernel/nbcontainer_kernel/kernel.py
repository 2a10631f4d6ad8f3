"""The kernel "Containers (Python)": ipykernel with the magics loaded, in which the lines people know are commands."""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from IPython.core.magic import no_var_expand

from nbcontainer import __version__
from nbcontainer.errors import NbcontainerError
from nbcontainer.magics import extension
from nbcontainer.magics.completion import complete
from nbcontainer.magics.dispatch import DOCKER
from nbcontainer.magics.help import help_text
from nbcontainer.magics.live import LIVE
from nbcontainer_kernel.lines import command_of, filled_in, transformer
from nbcontainer_kernel.on_host import HostShell

#: Docker's tree as a line of a cell names it.
TYPED = replace(DOCKER, name="docker")


class ContainersKernel(IPythonKernel):
    """ipykernel's kernel, with nbcontainer."""

    implementation = "nbcontainer"
    implementation_version = __version__

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        shell = self._shell
        shell.extension_manager.load_extension("nbcontainer")
        shell.input_transformer_manager.token_transformers.append(transformer(self._bound))
        host = HostShell(TYPED)

        @no_var_expand
        def on_host(line: str) -> None:
            try:
                host.run(filled_in(line, shell.user_ns))
            except NbcontainerError as error:
                extension.show_in_one_line(error)
                raise

        shell.register_magic_function(on_host, magic_kind="line", magic_name="on_host")

    @property
    def _shell(self) -> Any:
        return self.shell

    def _bound(self, name: str) -> bool:
        return name in self._shell.user_ns or hasattr(builtins, name)

    @property
    def banner(self) -> str:  # type: ignore[override]
        """What a console says first."""
        return f"nbcontainer {__version__}: docker, ip and the like are commands here\n{self._shell.banner}"

    def do_complete(self, code: str, cursor_pos: int) -> Any:
        """Names for `docker` lines are ours, as for the magics; everything else is IPython's."""
        line = code[:cursor_pos].rpartition("\n")[2]
        if command_of(line, self._bound) == "docker" and " " in line:
            *before, word = line.split(" ")[1:]
            found = complete(TYPED, [*before, word], LIVE)
            if found:
                return {
                    "matches": found,
                    "cursor_start": cursor_pos - len(word),
                    "cursor_end": cursor_pos,
                    "metadata": {},
                    "status": "ok",
                }
        return super().do_complete(code, cursor_pos)  # type: ignore[no-untyped-call]

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> Any:
        """Shift-Tab on a `docker` line shows the help of its command."""
        line = code[:cursor_pos].rpartition("\n")[2] + code[cursor_pos:].partition("\n")[0]
        if command_of(line, self._bound) == "docker":
            command, path = TYPED, TYPED.name
            for word in line.split()[1:]:
                found = command.subcommand(word) if command.commands else None
                if found is None:
                    break
                command, path = found, f"{path} {found.name}"
            return {
                "status": "ok",
                "found": True,
                "data": {"text/plain": help_text(command, path)},
                "metadata": {},
            }
        return super().do_inspect(code, cursor_pos, detail_level, omit_sections)  # type: ignore[no-untyped-call]

    def do_history(self, *args: Any, **request: Any) -> Any:
        """Every entry has its session's own number, as the protocol wants it: IPython calls the present one 0."""
        reply = super().do_history(*args, **request)  # type: ignore[no-untyped-call]
        present = self._shell.history_manager.session_number
        reply["history"] = [(session or present, *entry) for session, *entry in reply["history"]]
        return reply
