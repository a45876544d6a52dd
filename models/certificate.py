"""What is said of a network once it is fitted: its card, its calibration, its measurements."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models import dataset, sources
from models.augment import DISGUISE_SEED, disguised
from models.calibration import LabelCalibration, calibrate
from models.card import ACT_AT, MODEL_FILE, TOKENIZER_FILE, ModelCard, checksum
from models.dataset import Row
from models.evaluation import counted, evaluate, pieces, truths
from models.false_alarms import limits
from models.labels import groups, narrow
from models.onnx_classifier import OnnxClassifier
from models.progress import Progress, Report
from models.scripts import is_latin
from models.training_config import TrainingConfig
from models.unmasking import READING

_LEAST_PLAIN, _LEAST_UNSAFE = 600, 60


def drawn_up(
    config: TrainingConfig, labels: Sequence[str], fit: Sequence[Row], held: Sequence[Row], out: Path
) -> ModelCard:
    """A card for the files in ``out``, without calibration or measurements as yet."""
    rows = [*fit, *held]
    return ModelCard(
        name=config.name,
        labels=tuple(labels),
        calibration={label: LabelCalibration(slope=1.0, offset=0.0) for label in labels},
        thresholds=dict.fromkeys(labels, ACT_AT),
        max_tokens=config.max_tokens,
        max_chars=config.max_tokens - 3,
        reading=READING,
        files={name: checksum((out / name).read_bytes()) for name in (MODEL_FILE, TOKENIZER_FILE)},
        intended_use=sources.INTENDED_USE,
        weaknesses=sources.WEAKNESSES,
        sources=sources.of(rows),
        counts={
            "fitted": len(fit),
            "held_back": len(held),
            "unsafe": sum(row.unsafe for row in rows),
            "rows_per_label": {label: sum(label in narrow(row.codes, labels) for row in rows) for label in labels},
        },
        training={"config": dataclasses.asdict(config), "torch": torch.__version__},
    )


def sample(held: Sequence[Row], config: TrainingConfig) -> list[Row]:
    """The held-back rows that decide: each source as far as it was fitted on."""
    caps = {name: round(cap * config.held_share) + 1 for name, cap in config.wide_caps.items()}
    rng = random.Random(config.seed)  # noqa: S311 - reproducible on purpose
    return dataset.balanced(held, caps, {}, rng)


def calibrated(card: ModelCard, held: Sequence[Row], config: TrainingConfig, out: Path, report: Report) -> ModelCard:
    """Calibrate on the int8 file itself, on pieces cut as serving cuts them, on rows that were never fitted on.

    Texts in Latin letters have a calibration of their own where both scripts have rows enough: the model is less sure
    of them, and one threshold for both would find little of what they hold.
    """
    rows = sample(held, config)
    card.save(out)
    whole, by_script = _logits(OnnxClassifier.load(out), rows, report)
    found: dict[str, Any] = {"latin_calibration": {}}
    if all(_enough(scored, card.labels) for scored in by_script.values()):
        found["calibration"] = _fitted(card, by_script[False], config)
        found["latin_calibration"] = _fitted(card, by_script[True], config)
    else:
        found["calibration"] = _fitted(card, whole, config)
    return card.model_copy(update=found).sealed()


def _logits(classifier: OnnxClassifier, rows: Sequence[Row], report: Report) -> tuple[_Scored, dict[bool, _Scored]]:
    """Each row's highest logits over its pieces, and over those alone that are in Latin letters (True) or not."""
    whole, by_script = _Scored(), {False: _Scored(), True: _Scored()}
    for row in counted(rows, _reporting(report, "calibration", len(rows))):
        asked = pieces(row)
        logits = classifier.logits(asked)
        latin = np.array([is_latin(piece.text, piece.context) for piece in asked], dtype=bool)
        whole.add(row, logits)
        for script, scored in by_script.items():
            scored.add(row, logits[latin == script])
    return whole, by_script


@dataclasses.dataclass(slots=True)
class _Scored:
    """Rows and their highest logits."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    highest: list[NDArray[np.float64]] = dataclasses.field(default_factory=list)

    def add(self, row: Row, logits: NDArray[np.float64]) -> None:
        """One row with the logits of its pieces, (pieces, labels); none where it has none of the kind."""
        if len(logits):
            self.rows.append(row)
            self.highest.append(logits.max(axis=0))


def _enough(scored: _Scored, labels: Sequence[str]) -> bool:
    """Whether a share of false alarms of these rows is more than the luck of one or two, and each group has rows."""
    facts = truths(scored.rows, labels)
    members = np.array(groups(labels))
    unsafe = [facts[:, members == group].any(axis=1).sum() for group in np.unique(members)]
    return sum(row.plain for row in scored.rows) >= _LEAST_PLAIN and min(unsafe) >= _LEAST_UNSAFE


def _fitted(card: ModelCard, scored: _Scored, config: TrainingConfig) -> dict[str, LabelCalibration]:
    return calibrate(
        card.labels,
        np.array(scored.highest),
        truths(scored.rows, card.labels),
        limits(scored.rows, config),
        act_at=ACT_AT,
        groups=groups(card.labels),
    )


def measured(card: ModelCard, dev: Sequence[Row], written: Sequence[Row], out: Path, report: Report) -> ModelCard:
    """Measure on ``dev``, and on the project's own rows that are held back, as they are and disguised."""
    metrics: dict[str, Any] = {}
    sets = {"dev": dev, "written": written, "written_disguised": disguised(written, DISGUISE_SEED)}
    card.save(out)
    classifier = OnnxClassifier.load(out)
    for name, rows in sets.items():
        if rows:
            metrics[name] = evaluate(classifier, rows, _reporting(report, f"evaluation on {name}", len(rows)))
    found = (*card.sources, *sources.measured_only(dev, card.sources))
    return card.model_copy(update={"metrics": metrics, "sources": found})


def _reporting(report: Report, stage: str, total: int) -> Callable[[int], None]:
    return lambda done: report(Progress(stage, done, total))
