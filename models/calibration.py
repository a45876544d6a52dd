"""From logits to scores that mean something: Platt scaling, then one step to the point where policy acts.

Platt, "Probabilistic outputs for support vector machines", 1999: ``p = sigmoid(slope * logit + offset)``. A prior pulls
slope to 1 and offset to 0, so that a label with few rows keeps nearly the network's own probability.
Each label's operating point is a probability chosen so that the shares of innocent rows that reach any of them stay
within their limits; scaling moves it to ``act_at`` and leaves one half where it was. Scores stay monotone in the logit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_PRIOR = 2.0  # rows' worth of trust in the network's own slope
_NEWTON_STEPS = 30
_LEAST_POINT = math.log(0.4 / 0.6)  # acting on what is more likely benign would be guessing
_MARGIN = 1e-6  # more than rounding can undo, less than anybody sees
_LOOK_AHEAD = 8  # steps that find nothing are crossed where the ones behind them pay
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
    """Platt scaling of one label by damped Newton steps on the penalised log-likelihood."""
    point = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        p = apply(logits, point[:1], point[1:])
        miss, curve = p - truths, p * (1.0 - p)
        gradient = np.array([miss @ logits, miss.sum()]) + _PRIOR * (point - (1.0, 0.0))
        cross = curve @ logits
        hessian = np.array([[curve @ logits**2 + _PRIOR, cross], [cross, curve.sum() + _PRIOR]])
        step, scale = np.linalg.solve(hessian, gradient), 1.0
        while scale > 1e-4 and _loss(point - scale * step, logits, truths) > _loss(point, logits, truths):
            scale /= 2.0
        point = point - scale * step
        if np.abs(step).max() < 1e-8:
            break
    if point[0] < _MIN_SLOPE:
        return LabelCalibration(slope=1.0, offset=0.0)
    return LabelCalibration(slope=float(point[0]), offset=float(point[1]))


def _loss(point: Floats, logits: Floats, truths: NDArray[np.bool_]) -> float:
    z = point[0] * logits + point[1]
    likelihood = np.logaddexp(0.0, z) - truths * z
    return float(likelihood.sum() + _PRIOR / 2.0 * ((point - (1.0, 0.0)) ** 2).sum())


def shares(parts: Floats, truths: NDArray[np.bool_], sure: Floats) -> Floats:
    """How much each of several opinions should count in their sum: logistic regression, none counting below nothing.

    Args:
        parts: (rows, opinions), as logits.
        truths: (rows,).
        sure: (rows,): how much each row counts.

    Returns:
        a factor for each opinion; equal ones where the rows decide nothing.
    """
    point = np.full(parts.shape[1] + 1, 1.0 / parts.shape[1])
    point[-1] = 0.0
    prior = point.copy()
    full = np.concatenate([parts, np.ones((len(parts), 1))], axis=1)
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(full @ point, -60.0, 60.0)))
        gradient = full.T @ (sure * (p - truths)) + _PRIOR * (point - prior)
        hessian = (full * (sure * p * (1.0 - p))[:, None]).T @ full + _PRIOR * np.eye(len(point))
        point = point - np.linalg.solve(hessian, gradient)
        if not np.isfinite(point).all():
            return prior[:-1]
    found: Floats = point[:-1].clip(min=0.0)
    return found if found.any() else prior[:-1]


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of what is innocent may be acted on.

    Attributes:
        rows: (rows,): which rows it speaks of.
        share: the share of them that may be acted on.
    """

    rows: NDArray[np.bool_]
    share: float


def operating_points(scores: Floats, truths: NDArray[np.bool_], limits: Sequence[Limit]) -> Floats:
    """For each label, the log-odds from which it acts, so that no limit is passed.

    Every label starts above all rows that a limit speaks of. Then, as long as all limits allow, the label goes down
    whose next step finds most of its rows for what it takes of the limits; rows count less the more of them a label
    has, so that a frequent category does not spend everything.

    Args:
        scores: (rows, labels), each row's highest log-odds over the pieces it is scored in.
        truths: (rows, labels).
        limits: on the false alarms that all labels raise together; at least one.
    """
    benign = np.any([limit.rows for limit in limits], axis=0)
    clean, kinds = scores[benign], np.array([limit.rows[benign] for limit in limits])
    allowed = np.array([math.floor(limit.share * limit.rows.sum()) for limit in limits])
    ladders = [np.sort(clean[:, label])[::-1] for label in range(scores.shape[1])]
    found = [np.sort(scores[truths[:, label], label]) for label in range(scores.shape[1])]
    points = np.array([_above(float(ladder[0]) if len(ladder) else 0.0) for ladder in ladders])
    while True:
        alarmed = (clean >= points).any(axis=1)
        left = allowed - kinds[:, alarmed].sum(axis=1)
        best, move = 0.0, None
        for label, ladder in enumerate(ladders):
            for point in _next_points(ladder, points[label]):
                fresh = kinds[:, (clean[:, label] >= point) & ~alarmed].sum(axis=1)
                if (fresh > left).any():
                    break
                rows = np.searchsorted(found[label], points[label]) - np.searchsorted(found[label], point)
                # A step that costs nothing is as dear as half a row of the widest limit.
                price = max((fresh / np.maximum(allowed, 1)).sum(), 0.5 / max(allowed.max(), 1))
                worth = rows / math.sqrt(len(found[label]) or 1) / price
                if worth > best:
                    best, move = worth, (label, point)
        if move is None:
            return points
        points[move[0]] = move[1]


def _next_points(ladder: Floats, point: float) -> list[float]:
    """Points below ``point`` that let one, two, three ... further innocent rows of this label through."""
    lower = ladder[ladder < point][1 : _LOOK_AHEAD + 1]
    return [step for step in (_above(float(score)) for score in lower) if step < point]


def _above(score: float) -> float:
    return max(score, _LEAST_POINT) + _MARGIN


def calibrate(
    labels: Sequence[str],
    logits: Floats,
    truths: NDArray[np.bool_],
    limits: Sequence[Limit],
    *,
    act_at: float,
    groups: Sequence[int] | None = None,
) -> dict[str, LabelCalibration]:
    """Calibration of every label.

    A group of labels has one calibration: whether any of them holds is what its logits say best, and rows of all of
    them decide where it acts.

    Args:
        labels: names of the last axis.
        logits: (rows, labels), each row's highest logit over the pieces it is scored in.
        truths: (rows, labels).
        limits: how many innocent rows may be acted on; at least one.
        act_at: the score at which policy acts.
        groups: the group of each label; else each is one of its own.
    """
    members = list(range(len(labels))) if groups is None else list(groups)
    of = [[label for label, group in enumerate(members) if group == wanted] for wanted in range(max(members) + 1)]
    highest = np.stack([logits[:, held].max(axis=1) for held in of], axis=1)
    facts = np.stack([truths[:, held].any(axis=1) for held in of], axis=1)
    # Unsafe rows of other groups count as well: a score should say which fault it is, not only that there is one.
    fitted = [fit(highest[:, index], facts[:, index]) for index in range(len(of))]
    slopes, offsets = np.array([item.slope for item in fitted]), np.array([item.offset for item in fitted])
    points = operating_points(highest * slopes + offsets, facts, limits)
    scaled = [_scaled(item, float(point), act_at) for item, point in zip(fitted, points, strict=True)]
    return {label: scaled[group] for label, group in zip(labels, members, strict=True)}


def _scaled(item: LabelCalibration, point: float, act_at: float) -> LabelCalibration:
    """Move ``point``, in log-odds, to ``act_at``, and leave an even chance at one half where the two are far apart."""
    goal = math.log(act_at / (1.0 - act_at))
    if point > goal / 2.0:
        return LabelCalibration(slope=item.slope * goal / point, offset=item.offset * goal / point)
    return LabelCalibration(slope=item.slope, offset=item.offset + goal - point)


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
