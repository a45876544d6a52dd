"""Classifiers side by side on the same rows, and whether they differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import curves, slices
from models.card import ACT_AT
from models.dataset import Row
from models.paired import differing, recall_difference
from models.slices import by_slice, outcome, point_at

Floats = NDArray[np.float64]

SURE = 0.05
"""A difference this unlikely by chance alone, or less, counts as one."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What one classifier said of the rows.

    Attributes:
        name: what it is called beside the others.
        labels: of the scores' last axis.
        metrics: as ``evaluation.evaluate`` gives them.
        scores: (rows, labels), each row's highest over the segments that serving would score.
        disguised: the same of the rows in disguise; None where those were not scored.
        way: how the rows were cut: ``as_answer``, or ``as_prompt``.
    """

    name: str
    labels: Sequence[str]
    metrics: dict[str, Any]
    scores: Floats
    disguised: Floats | None = None
    way: str = "as_answer"

    @property
    def highest(self) -> Floats:
        """The score that decides whether a row is acted on."""
        highest: Floats = self.scores.max(axis=1)
        return highest


def compared(rows: Sequence[Row], models: Sequence[Scored], *, rate: float, seed: int) -> dict[str, Any]:
    """Everything that is said of ``models``: JSON-ready, the numbers of the tables and the page.

    Args:
        rows: what all of them were measured on.
        models: the first is what the others are compared with.
        rate: the share of ordinary rows that may be acted on, for recalls that can be compared.
        seed: of the resampling.
    """
    is_unsafe, is_plain = slices.unsafe(rows), slices.plain(rows)
    return {
        "threshold": ACT_AT,
        "rate": rate,
        "seed": seed,
        "rows": {
            "all": len(rows),
            "unsafe": int(is_unsafe.sum()),
            "look_alike": int((~is_unsafe & ~is_plain).sum()),
            "plain": int(is_plain.sum()),
        },
        "models": [described(item, rows, rate) for item in models],
        "pairs": [_pair(models[0], item, rows, rate=rate, seed=seed) for item in models[1:]],
    }


def described(model: Scored, rows: Sequence[Row], rate: float) -> dict[str, Any]:
    """One classifier's outcomes by slice, and what is drawn of it."""
    highest, is_plain = model.highest, slices.plain(rows)
    point = point_at(highest[is_plain], rate)
    parts = by_slice(highest, rows, point)
    if model.disguised is not None:
        parts["spelling"] = {
            "as written": parts["all"]["all"],
            "disguised": outcome(model.disguised.max(axis=1), slices.unsafe(rows), is_plain, point),
        }
    return {
        "name": model.name,
        "labels": list(model.labels),
        "point": point,
        "slices": parts,
        "curves": curves.category_curves(highest, rows),
        "reliability": model.metrics[model.way]["reliability"],
        "histogram": curves.histogram(highest, rows),
        "confusion": curves.confusion(model.scores, model.labels, rows),
        "speed": model.metrics["speed"],
    }


def worse(pair: dict[str, Any]) -> list[str]:
    """In which ways the second of a pair is worse by more than chance: in recall, or in false alarms."""
    at_rate = pair["at_rate"]
    found = ["recall"] if at_rate is not None and at_rate["interval"][1] < 0 else []
    for kind in ("look_alike", "plain"):
        counted = pair["at_threshold"][kind]
        if counted is not None and counted["p"] <= SURE and counted["only_second"] > counted["only_first"]:
            found.append(f"{kind}_alarms")
    return found


def _pair(first: Scored, second: Scored, rows: Sequence[Row], *, rate: float, seed: int) -> dict[str, Any]:
    is_unsafe, is_plain = slices.unsafe(rows), slices.plain(rows)
    kinds = {"unsafe": is_unsafe, "look_alike": ~is_unsafe & ~is_plain, "plain": is_plain}
    one, two = first.highest, second.highest
    shipped = one >= ACT_AT, two >= ACT_AT
    pair = {
        "first": first.name,
        "second": second.name,
        "at_threshold": {
            name: differing(shipped[0][kind], shipped[1][kind]) if kind.any() else None for name, kind in kinds.items()
        },
        "at_rate": recall_difference(one, two, is_unsafe, is_plain, rate=rate, seed=seed),
        "by_category": _by_category(one, two, rows, rate),
    }
    return pair | {"worse": worse(pair)}


def _by_category(one: Floats, two: Floats, rows: Sequence[Row], rate: float) -> dict[str, Any]:
    """Which unsafe rows of each category only one of them finds, at the stated rate of false alarms."""
    is_unsafe, is_plain = slices.unsafe(rows), slices.plain(rows)
    points = point_at(one[is_plain], rate), point_at(two[is_plain], rate)
    if points[0] is None or points[1] is None:
        return {}
    found = one >= points[0], two >= points[1]
    parts = {name: part & is_unsafe for name, part in slices.slices(rows).get("category", {}).items()}
    held = {name: (found[0][part], found[1][part]) for name, part in parts.items() if part.any()}
    return dict(zip(held, starmap(differing, held.values()), strict=True))
