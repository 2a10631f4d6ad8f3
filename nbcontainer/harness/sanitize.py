"""What differs from run to run whatever a notebook does, and is taken out of both outputs before they are compared."""

from __future__ import annotations

#: Pattern and replacement (re.sub), as nbval's --nbval-sanitize-with takes them; in this order.
PATTERNS: dict[str, str] = {
    r"(?s)<style>.*?</style>": "",  # how it looks is no output of the notebook's
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d))*": "TIME",
    r"\b(cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]": r"\1:[INODE]",
    r"\bat 0x[0-9a-f]{6,}": "at ADDRESS",
    r"\b\d+(\.\d+)? ?(ns|µs|us|ms)\b": "DURATION",
    # The look of tables and figures is no finding of a notebook.
    r"<style>[^<]*</style>": "<style>",
    r"/tmp/ipykernel_\d+/\d+\.py": "CELL",
}
