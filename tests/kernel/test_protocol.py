"""Jupyter's own test of a kernel, in full, on "Containers (Python)"."""

from __future__ import annotations

from typing import Any, ClassVar

import jupyter_kernel_test


class TestProtocol(jupyter_kernel_test.KernelTests):  # type: ignore[misc]
    """What the messaging protocol asks of a kernel; see jupyter_kernel_test's README for each sample."""

    kernel_name = "nbcontainer"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "docker run --rm host echo hello, world"
    code_stderr = "import sys; print('said', file=sys.stderr)"
    completion_samples: ClassVar[list[dict[str, Any]]] = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "docker unpa", "matches": {"unpause"}},
    ]
    complete_code_samples: ClassVar[list[str]] = [
        "1",
        "print('hello')",
        "docker ps",
        "ip netns add r1",
        "def f(x):\n  x*2\n\n\n",
    ]
    incomplete_code_samples: ClassVar[list[str]] = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples: ClassVar[list[str]] = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "docker start nosuch"
    code_execute_result: ClassVar[list[dict[str, str]]] = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data: ClassVar[list[dict[str, str]]] = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))", "mime": "text/html"},
        {"code": "docker ps", "mime": "text/html"},
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "docker run"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
