"""The linear baseline as a classifier among others: fitted and calibrated when it is asked for, kept nowhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import dataset
from models.calibration import apply, arrays, calibrate
from models.card import ACT_AT
from models.dataset import DatasetError, Row
from models.evaluation import row_logits, truths
from models.false_alarms import limits
from models.labels import choose_labels, narrow
from models.linear import LinearClassifier, train_linear
from models.training_config import TrainingConfig
from models.types import Scores, Segment

_HELD_SHARE = 0.08


class Baseline:
    """A linear model whose scores mean what those of a trained one mean: calibrated, acted on from the same score."""

    def __init__(self, linear: LinearClassifier, slopes: NDArray[np.float64], offsets: NDArray[np.float64]) -> None:
        self.labels = linear.labels
        self.version = linear.version
        self.max_chars = linear.max_chars
        self._linear = linear
        self._scale = slopes, offsets

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Calibrated probabilities of each label; the context is not read."""
        scores = apply(self._linear.logits(segments), *self._scale)
        return [dict(zip(self.labels, row, strict=True)) for row in scores.tolist()]


def fit_baseline(
    paths: Sequence[Path],
    *,
    seed: int,
    min_label_rows: int = 30,
    done: Callable[[int, int], None] | None = None,
) -> Baseline:
    """Fit the baseline on the rows of ``paths``, and calibrate it on a part of them that it was not fitted on.

    Raises:
        DatasetError: the rows cannot be read, or hold nothing to learn.
    """
    rows = [row for path in paths for row in dataset.read_rows(path) if row.usable]
    fit, held = dataset.hold_back(rows, _HELD_SHARE, seed)
    labels = choose_labels([row.codes for row in fit], min_label_rows)
    if not labels:
        message = f"no category has {min_label_rows} rows or more: nothing to fit the linear baseline on"
        raise DatasetError(message)
    fit, held = (_known(part, labels) for part in (fit, held))
    order = random.Random(seed)  # noqa: S311 - reproducible on purpose
    linear = train_linear(dataset.balanced(fit, dataset.DEFAULT_CAPS, {}, order), labels, seed=seed, done=done)
    held = held or fit
    found = calibrate(
        labels,
        row_logits(linear, held),
        truths(held, labels),
        limits(held, TrainingConfig()),  # what training aims at, so that thresholds stand for the same
        act_at=ACT_AT,
    )
    return Baseline(linear, *arrays(found, labels))


def _known(rows: Sequence[Row], labels: Sequence[str]) -> list[Row]:
    return [row for row in rows if not row.unsafe or narrow(row.codes, labels)]
