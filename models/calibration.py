"""From logits to scores that mean something: Platt scaling a label, then one shift to the point where policy acts.

Platt, "Probabilistic outputs for support vector machines", 1999: ``p = sigmoid(slope * logit + offset)``. A prior pulls
slope to 1 and offset to 0, so that a label with few rows keeps nearly the network's own probability.
The operating point is one probability for all labels, chosen so that the share of benign rows with any score at or
above it stays within the target; the shift moves it to ``act_at``. Scores stay monotone in the logit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_PRIOR = 2.0  # rows' worth of trust in the network's own slope
_NEWTON_STEPS = 30
_MIN_SLOPE = 0.2  # a slope near 0 or below would make a score say nothing, or the reverse

Floats = NDArray[np.float64]


class LabelCalibration(BaseModel):
    """``score = sigmoid(slope * logit + offset)``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slope: float
    offset: float


def apply(logits: Floats, slopes: Floats, offsets: Floats) -> Floats:
    """Scores of ``logits``, the last axis being labels."""
    scores: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits * slopes + offsets, -60.0, 60.0)))
    return scores


def fit(logits: Floats, truths: NDArray[np.bool_]) -> LabelCalibration:
    """Platt scaling of one label by Newton's method on the penalised log-likelihood."""
    slope, offset = 1.0, 0.0
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(slope * logits + offset, -60.0, 60.0)))
        miss, curve = p - truths, p * (1.0 - p)
        gradient = np.array([miss @ logits + _PRIOR * (slope - 1.0), miss.sum() + _PRIOR * offset])
        cross = curve @ logits
        hessian = np.array([[curve @ logits**2 + _PRIOR, cross], [cross, curve.sum() + _PRIOR]])
        step = np.linalg.solve(hessian, gradient)
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-8:
            break
    if slope < _MIN_SLOPE:
        return LabelCalibration(slope=1.0, offset=0.0)
    return LabelCalibration(slope=float(slope), offset=float(offset))


def operating_point(benign: Floats, target: float) -> float:
    """The lowest probability that at most a ``target`` share of benign rows reach, never under one half.

    Args:
        benign: for each benign row, its highest probability over labels and pieces.
        target: share in [0, 1).
    """
    allowed = math.floor(target * len(benign))
    ranked = np.sort(benign)[::-1]
    point = float(ranked[allowed]) if allowed < len(ranked) else 0.0
    return float(np.nextafter(min(max(point, 0.5), 1.0 - 1e-6), 1.0))


def calibrate(
    labels: Sequence[str], logits: Floats, truths: NDArray[np.bool_], benign: NDArray[np.bool_], target: float, act_at: float
) -> dict[str, LabelCalibration]:
    """Calibration of every label.

    Args:
        labels: names of the last axis.
        logits: (rows, labels), each row's highest logit over the pieces it is scored in.
        truths: (rows, labels).
        benign: (rows,): nothing is wrong with the row.
        target: the share of benign rows that may be acted on.
        act_at: the score at which policy acts.
    """
    fitted = [fit(logits[:, index], truths[:, index]) for index in range(len(labels))]
    slopes, offsets = arrays(dict(zip(labels, fitted, strict=True)), labels)
    point = operating_point(apply(logits[benign], slopes, offsets).max(axis=1), target)
    shift = math.log(act_at / (1.0 - act_at)) - math.log(point / (1.0 - point))
    return {
        label: LabelCalibration(slope=item.slope, offset=item.offset + shift)
        for label, item in zip(labels, fitted, strict=True)
    }


def arrays(calibration: Mapping[str, LabelCalibration], labels: Sequence[str]) -> tuple[Floats, Floats]:
    """Slopes and offsets in the order of ``labels``."""
    slopes = np.array([calibration[label].slope for label in labels])
    offsets = np.array([calibration[label].offset for label in labels])
    return slopes, offsets


def reliability(scores: Floats, truths: NDArray[np.bool_], bins: int = 10) -> list[dict[str, float]]:
    """Mean score against the share that was true, for each tenth of the scale that has rows."""
    table = []
    places = np.minimum((scores * bins).astype(int), bins - 1)
    for place in range(bins):
        inside = places == place
        if inside.any():
            table.append(
                {
                    "from": place / bins,
                    "rows": int(inside.sum()),
                    "score": round(float(scores[inside].mean()), 4),
                    "true": round(float(truths[inside].mean()), 4),
                }
            )
    return table
