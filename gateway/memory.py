"""Memory that was needed for a moment, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache


def give_back() -> None:
    """Return what was freed to the system; nothing happens where the C library cannot.

    Loading a lexicon and a model takes tens of megabytes for a moment, which the C library would keep.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # musl, macOS
        return None
