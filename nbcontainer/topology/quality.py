"""What a link is like: its rate, delay, jitter and loss, in the units of tc (tc(8), PARAMETERS)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from nbcontainer.errors import InvalidArgument

#: Bits a second, by tc's unit; those that end in "bps" count bytes.
RATES = {
    "bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "tbit": 10**12,
    "kibit": 2**10, "mibit": 2**20, "gibit": 2**30, "tibit": 2**40,
    "bps": 8, "kbps": 8 * 10**3, "mbps": 8 * 10**6, "gbps": 8 * 10**9,
}  # fmt: skip
#: Microseconds, by tc's unit.
TIMES = {"s": 10**6, "sec": 10**6, "ms": 10**3, "msec": 10**3, "us": 1, "usec": 1}
#: The kernel's struct tc_netem counts in 32 bits of 64 nanoseconds.
LONGEST = 250 * 10**6
FASTEST = 10**13


@dataclass(frozen=True)
class Quality:
    """Of each of a link's two directions: `rate` in bit/s, `delay` and `jitter` in µs, `loss` in percent. 0 is none."""

    rate: int = 0
    delay: int = 0
    jitter: int = 0
    loss: float = 0.0

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> Self:
        """From `{"rate": "10mbit", "delay": "5ms", "jitter": "1ms", "loss": "1%"}`, any of them left out.

        Raises `InvalidArgument`.
        """
        for key in given:
            if key not in PARSERS:
                raise InvalidArgument(f"a link has no {key}: it has {', '.join(PARSERS)}")
        values = {key: PARSERS[key](key, value) for key, value in given.items() if value not in (None, "")}
        rate, delay, jitter = (round(values.get(key, 0)) for key in ("rate", "delay", "jitter"))
        if jitter and not delay:
            raise InvalidArgument("jitter varies a delay: give the link a delay too")
        return cls(rate, delay, jitter, values.get("loss", 0.0))

    @property
    def needs_netem(self) -> bool:
        """Whether it takes the kernel's network emulator."""
        return bool(self.delay or self.loss)

    def to_json(self) -> dict[str, str]:
        """What `parse` reads; only what there is."""
        said = {"rate": _rate_text(self.rate), "delay": _time_text(self.delay), "jitter": _time_text(self.jitter)}
        said["loss"] = f"{self.loss:g}%" if self.loss else ""
        return {key: text for key, text in said.items() if text}

    def __str__(self) -> str:
        said = self.to_json()
        if "jitter" in said:
            said["delay"] += f" ± {said.pop('jitter')}"
        if "loss" in said:
            said["loss"] += " loss"
        return ", ".join(said.values())


#: A link as fast as the machine.
PERFECT = Quality()


def _number(key: str, value: object, units: Mapping[str, int], example: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)", str(value).strip().lower())
    if found is None or found[2] not in units:
        hint = "it needs a unit, " if re.fullmatch(r"[\d.]+", str(value).strip()) else ""
        raise InvalidArgument(f"invalid {key} {str(value)!r}: {hint}such as {example}")
    return float(found[1]) * units[found[2]]


def _rate(key: str, value: object) -> int:
    rate = round(_number(key, value, RATES, "10mbit, 1gbit or 500kbit"))
    if not 8 <= rate <= FASTEST:
        raise InvalidArgument(f"invalid {key} {str(value)!r}: from 8bit to 10tbit")
    return rate


def _time(key: str, value: object) -> int:
    time = round(_number(key, value, TIMES, "5ms or 100us"))
    if time > LONGEST:
        raise InvalidArgument(f"invalid {key} {str(value)!r}: at most {_time_text(LONGEST)}")
    return time


def _loss(key: str, value: object) -> float:
    found = re.fullmatch(r"(\d{1,3}(?:\.\d*)?)\s*%", str(value).strip())
    if found is None or float(found[1]) > 100:
        raise InvalidArgument(f"invalid {key} {str(value)!r}: in percent, such as 1% or 0.5%")
    return float(found[1])


PARSERS: dict[str, Callable[[str, object], float]] = {"rate": _rate, "delay": _time, "jitter": _time, "loss": _loss}


def _rate_text(rate: int) -> str:
    for unit in ("gbit", "mbit", "kbit"):
        if rate and rate % RATES[unit] == 0:
            return f"{rate // RATES[unit]}{unit}"
    return f"{rate}bit" if rate else ""


def _time_text(time: int) -> str:
    for unit in ("s", "ms"):
        if time and time % TIMES[unit] == 0:
            return f"{time // TIMES[unit]}{unit}"
    return f"{time}us" if time else ""
