"""Parts of a set of rows that are worth a number of their own, and how a classifier does on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import ACT_AT
from models.dataset import Row
from models.written import FAMILY

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CHANNELS = {"p": "prompt", "a": "answer", "c": "chat", "o": "post"}
_LENGTHS = ((24, "1–24"), (64, "25–64"), (200, "65–200"))


def unsafe(rows: Sequence[Row]) -> Mask:
    """Which rows should be found."""
    return np.array([row.unsafe for row in rows], dtype=bool)


def plain(rows: Sequence[Row]) -> Mask:
    """Which rows are ordinary text; the other safe ones are look-alikes."""
    return np.array([row.plain for row in rows], dtype=bool)


def slices(rows: Sequence[Row]) -> dict[str, dict[str, Mask]]:
    """Every part by the way of cutting and its name; a row belongs to one part of a way at most.

    A way that leaves the rows in one piece says nothing and is left out.
    """
    ways = {
        "category": [row.category for row in rows],
        "language": [row.lang for row in rows],
        "channel": [_channel(row) for row in rows],
        "length": [_length(row) for row in rows],
        "source": [row.family for row in rows],
    }
    return {way: _masks(names) for way, names in ways.items() if len(set(names)) > 1}


def point_at(plain_scores: Floats, rate: float) -> float | None:
    """The lowest score to act from so that at most ``rate`` of ordinary rows are acted on; None without such rows.

    Where there are fewer than ``1 / rate`` of them, none may be acted on.
    """
    if not len(plain_scores):
        return None
    allowed = math.floor(rate * len(plain_scores))
    if allowed >= len(plain_scores):
        return 0.0
    highest = np.partition(plain_scores, len(plain_scores) - 1 - allowed)[len(plain_scores) - 1 - allowed]
    return float(np.nextafter(highest, np.inf))


def outcome(scores: Floats, is_unsafe: Mask, is_plain: Mask, point: float | None) -> dict[str, Any]:
    """Recall, and false alarms on look-alikes and on ordinary rows: at the shipped threshold, and from ``point``."""
    alike = ~is_unsafe & ~is_plain
    return {
        "unsafe": int(is_unsafe.sum()),
        "look_alike": int(alike.sum()),
        "plain": int(is_plain.sum()),
        "at_threshold": _shares(scores >= ACT_AT, is_unsafe, alike, is_plain),
        "at_rate": None if point is None else _shares(scores >= point, is_unsafe, alike, is_plain),
    }


def by_slice(scores: Floats, rows: Sequence[Row], point: float | None) -> dict[str, Any]:
    """``outcome`` of all rows, and of every part of them."""
    is_unsafe, is_plain = unsafe(rows), plain(rows)
    found: dict[str, Any] = {"all": {"all": outcome(scores, is_unsafe, is_plain, point)}}
    for way, parts in slices(rows).items():
        found[way] = {
            name: outcome(scores[part], is_unsafe[part], is_plain[part], point) for name, part in parts.items()
        }
    return found


def _shares(acted: Mask, is_unsafe: Mask, alike: Mask, is_plain: Mask) -> Mapping[str, float | None]:
    kinds = {"recall": is_unsafe, "look_alike_alarms": alike, "plain_alarms": is_plain}
    return {name: round(float(acted[kind].mean()), 6) if kind.any() else None for name, kind in kinds.items()}


def _masks(names: Sequence[str]) -> dict[str, Mask]:
    held = np.array(names)
    return {name: held == name for name in dict.fromkeys(sorted(names, key=_place)) if name}


def _place(name: str) -> tuple[int, str]:
    lengths = [*(said for _, said in _LENGTHS), "201+"]
    return (lengths.index(name) if name in lengths else 0, name)


def _channel(row: Row) -> str:
    return _CHANNELS.get(row.label[-1:], "") if row.family == FAMILY else ""


def _length(row: Row) -> str:
    return next((said for most, said in _LENGTHS if len(row.text) <= most), "201+")
