"""WWW-Authenticate and Retry-After: what a server wants before it answers.

RFC 9110, 11.6.1 and 10.2.3; distribution, docs/spec/auth/token.md.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?=,|$)', re.DOTALL)
#: Longer than any server's.
_LONGEST = 1 << 16


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate: its scheme, in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def challenges(header: str) -> list[Challenge]:
    """Every challenge of a WWW-Authenticate header; what cannot be understood ends the list."""
    found: list[Challenge] = []
    at = 0
    header = header[:_LONGEST]
    while at < len(header):
        parameter = _PARAMETER.match(header, at)
        if parameter is not None and found:
            value = parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2], flags=re.DOTALL)
            found[-1].parameters.setdefault(parameter[1].lower(), value)
            at = parameter.end()
            continue
        scheme = _SCHEME.match(header, at)
        if scheme is None:
            break
        found.append(Challenge(scheme[1].lower(), {}))
        at = scheme.end()
    return found


def retry_after(header: str | None, now: float | None = None) -> float | None:
    """Seconds until a server wants to be asked again; None when it does not say so that it can be understood."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))
