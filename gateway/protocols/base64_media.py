"""Media and signatures that stand in JSON as base64: no words, so nothing to moderate."""

from __future__ import annotations

import re

_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*", re.ASCII)
_LONG = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}", re.ASCII)
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/=_\r\n-]*", re.ASCII)


def is_base64(value: object) -> bool:
    """Whether a value is base64, in either alphabet and with line ends or without. Spaces make it text."""
    return isinstance(value, str) and _BASE64.fullmatch(value) is not None


def is_long_base64(text: str) -> bool:
    """Whether a text is base64, and too long to be a word: shorter than any picture or sound, it may as well be one."""
    return _LONG.fullmatch(text) is not None


def is_data_url(text: str) -> bool:
    """Whether a text is a URL that carries its media itself, in base64. Spaces in it make it text."""
    return text.startswith("data:") and _DATA_URL.fullmatch(text) is not None


__all__ = ["is_base64", "is_data_url", "is_long_base64"]
