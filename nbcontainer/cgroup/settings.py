"""What a group can be set to, in v2's vocabulary: names of files and the texts that the kernel takes.

Source: kernel, admin-guide/cgroup-v2.rst. In Python and on the command line a name is written with `_` or `-` in
place of its dot: `cpu.max` is `cpu_max="20%"` and `--cpu-max 20%`. `nbcontainer.cgroup.v1_files` maps them to v1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nbcontainer.errors import InvalidArgument

#: v2 file names and the texts to write, such as {"cpu.max": "20000 100000"}.
Settings = Mapping[str, str]

#: cpu.max's period unless another is given, in microseconds; and what the kernel takes for quota and period.
PERIOD = 100_000
SHORTEST, LONGEST = 1_000, 1_000_000


@dataclass(frozen=True)
class Setting:
    """A file of v2, what it does, an example of what it takes, and what makes that text of what a person writes."""

    file: str
    help: str
    example: str
    parse: Callable[[str], str]

    @property
    def controller(self) -> str:
        """The controller that it belongs to."""
        return self.file.partition(".")[0]

    @property
    def keyword(self) -> str:
        """Its name in Python."""
        return self.file.replace(".", "_")

    @property
    def option(self) -> str:
        """Its name as an option, without the dashes."""
        return self.file.replace(".", "-")


def cpu_max(text: str) -> str:
    """`20%` (of one processor), `max`, `QUOTA` or `QUOTA PERIOD` in microseconds, as "QUOTA PERIOD"."""
    words = text.replace("/", " ").split()
    if len(words) == 1 and re.fullmatch(r"\d+(\.\d+)?%", words[0]):
        words = [str(round(float(words[0][:-1]) / 100 * PERIOD))]
    if not 1 <= len(words) <= 2 or not all(word.isdecimal() or word == "max" for word in words):
        raise InvalidArgument(f'cpu.max "{text}" is not 20%, max, QUOTA or "QUOTA PERIOD" in microseconds')
    quota, period = words[0], words[1] if len(words) == 2 else str(PERIOD)
    if not period.isdecimal() or not SHORTEST <= int(period) <= LONGEST:
        raise InvalidArgument(f'cpu.max "{text}": the period is {SHORTEST} to {LONGEST} microseconds')
    if quota != "max" and int(quota) < SHORTEST:
        raise InvalidArgument(f'cpu.max "{text}": the least is {SHORTEST} microseconds, 1% of the usual period')
    return f"{quota} {period}"


def whole(file: str, least: int, most: int) -> Callable[[str], str]:
    """A whole number from `least` to `most`."""

    def parse(text: str) -> str:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise InvalidArgument(f'{file} "{text}" is not a whole number from {least} to {most}')
        return str(int(text))

    return parse


def count_or_max(text: str) -> str:
    """A whole number, or `max`."""
    if text != "max" and not text.isdecimal():
        raise InvalidArgument(f'pids.max "{text}" is not a whole number, nor max')
    return text if text == "max" else str(int(text))


_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def size(file: str) -> Callable[[str], str]:
    """`64M`, `64MiB`, `1.5g`, bytes, or `max`, in bytes: units are powers of 1024, as the kernel's own."""

    def parse(text: str) -> str:
        if text == "max":
            return text
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", text.strip().lower())
        if found is None:
            raise InvalidArgument(f'{file} "{text}" is not a size such as 64M, nor max')
        return str(int(float(found[1]) * (1 << _UNITS[found[2]])))

    return parse


def processors(file: str) -> Callable[[str], str]:
    """A list such as `0-1,3`."""

    def parse(text: str) -> str:
        if text and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
            raise InvalidArgument(f'{file} "{text}" is not a list such as 0-1,3')
        return text

    return parse


IO_KEYS = ("rbps", "wbps", "riops", "wiops")


def io_max(text: str) -> str:
    """`DEVICE KEY=VALUE...`: a block device by number or path, and rbps, wbps (sizes), riops, wiops, or max."""
    device, *words = text.split() or [""]
    values = []
    for word in words:
        key, _, value = word.partition("=")
        if key not in IO_KEYS:
            raise InvalidArgument(f'io.max "{text}": it takes {", ".join(IO_KEYS)}, not "{word}"')
        values.append(f"{key}={size(f'io.max {key}')(value)}")
    if not values:
        raise InvalidArgument(f'io.max "{text}" is not a device and a limit, such as "/dev/sda rbps=1M"')
    return " ".join([device_number(device), *values])


def device_number(device: str) -> str:
    """`8:0` of a block device, given so or by path."""
    if re.fullmatch(r"\d+:\d+", device):
        return device
    try:
        number = os.stat(device).st_rdev
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidArgument(f"no such device: {device}: {why}") from None
    if number == 0:
        raise InvalidArgument(f"{device} is not a device: io limits are a disk's, such as /dev/sda or 8:0")
    return f"{os.major(number)}:{os.minor(number)}"


ALL = (
    Setting("cpu.max", "Processor time, of one processor or in microseconds a period", "20%", cpu_max),
    Setting("cpu.weight", "Share of a busy processor beside others, 100 each", "200", whole("cpu.weight", 1, 10_000)),
    Setting("memory.max", "Memory: at this, pages are reclaimed, then processes killed", "64M", size("memory.max")),
    Setting("memory.high", "Memory: above this, processes are slowed down", "48M", size("memory.high")),
    Setting("memory.low", "Memory that others' need takes last", "16M", size("memory.low")),
    Setting("memory.swap.max", "Swap, besides memory", "0", size("memory.swap.max")),
    Setting("pids.max", "Processes and threads", "20", count_or_max),
    Setting("cpuset.cpus", "Which processors", "0-1,3", processors("cpuset.cpus")),
    Setting("cpuset.mems", "Which memory nodes", "0", processors("cpuset.mems")),
    Setting("io.max", "A disk's bytes and operations a second", "/dev/sda rbps=1M", io_max),
    Setting("io.weight", "Share of a busy disk beside others, 100 each", "200", whole("io.weight", 1, 10_000)),
)  # fmt: skip
BY_FILE = {setting.file: setting for setting in ALL}
BY_KEYWORD = {setting.keyword: setting for setting in ALL}

#: What a group has when nobody has set it.
DEFAULTS = {
    "cpu.weight": "100",
    "io.weight": "100",
    "memory.low": "0",
    "io.max": "",
    "cpuset.cpus": "",
    "cpuset.mems": "",
}


def is_set(file: str, text: str) -> bool:
    """Whether a file's text says more than what every new group has."""
    return not text.startswith("max") and text != DEFAULTS.get(file)


def parse(values: Mapping[str, object]) -> dict[str, str]:
    """Keywords and values, such as `{"cpu_max": "20%", "pids_max": 20}`, as `Settings`; None is left out.

    Raises `InvalidArgument`.
    """
    parsed = {}
    for keyword, value in values.items():
        if value is None:
            continue
        setting = BY_KEYWORD.get(keyword)
        if setting is None:
            raise InvalidArgument(f"a control group has no {keyword}: there are {', '.join(BY_KEYWORD)}")
        parsed[setting.file] = setting.parse(str(value).strip())
    return parsed


def controllers(settings: Settings) -> frozenset[str]:
    """The controllers that settings need."""
    return frozenset(BY_FILE[file].controller for file in settings)
