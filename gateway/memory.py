"""When memory is looked through, and when it is given back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from functools import cache


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Many new terms make the collector look at everything again and again, and it finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
