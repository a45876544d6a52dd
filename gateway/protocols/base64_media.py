"""Media and signatures that stand in JSON as base64: no words, so nothing to moderate."""

from __future__ import annotations

import re

_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*", re.ASCII)


def is_base64(value: object) -> bool:
    """Whether a value is base64, in either alphabet and with line ends or without. Spaces make it text."""
    return isinstance(value, str) and _BASE64.fullmatch(value) is not None


__all__ = ["is_base64"]
