"""Sizes, seed and balance of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from models import dataset

EPOCH_CAPS: Mapping[str, int] = MappingProxyType(
    {
        "plexpt": 4_000,
        "kdconv": 2_500,
        "davidson": 2_000,
        "cold": 10_000,
        "swsr": 2_500,
        "jade": 1_200,
        "laws": 1_000,
        "alpaca_zh": 1_500,
        "sms_spam_uci": 1_000,
        "addetector": 800,
    }
)
"""Rows of a source that one epoch of the encoder sees at most: drawn anew for each, so that fewer do. Our own rows are
four fifths of what it is shown: no other source knows most of the categories."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """All that a run depends on besides its data: the same config and data give the same weights on one machine.

    Attributes:
        pretrain_passes: how often the encoder reads the texts before it is shown a label.
        members: networks fitted from one start in different orders, whose weights are averaged.
        epochs: passes of each member.
        gram_dropout: share of the tokens that a network being fitted sees without their pair and triple.
        caps: rows of a source that an epoch of the encoder sees at most.
        wide_caps: the same where rows are drawn once: for reading, and for the linear part.
        target_false_alarms: share of held-back plain rows that may be acted on.
        target_remark_alarms: the same of remarks that the sources of contempt call safe; COLD's labels are doubtful
            in about one of five.
        measured_rows: rows of each set that the result is measured on at most.
    """

    name: str = "sluice-small"
    seed: int = 7
    layers: int = 3
    width: int = 192
    heads: int = 4
    vocabulary: int = 12_000
    gram_buckets: int = 65_536
    gram_width: int = 48
    wide_buckets: int = 1 << 19
    max_tokens: int = 128
    pretrain_passes: int = 3
    members: int = 2
    epochs: int = 4
    batch: int = 64
    learning_rate: float = 6e-4
    weight_decay: float = 0.02
    dropout: float = 0.2
    gram_dropout: float = 0.5
    whole_share: float = 0.6
    token_dropout: float = 0.1
    disguised_share: float = 0.35
    caps: Mapping[str, int] = field(default_factory=lambda: dict(EPOCH_CAPS))
    wide_caps: Mapping[str, int] = field(default_factory=lambda: dict(dataset.DEFAULT_CAPS))
    repeats: Mapping[str, int] = field(default_factory=dict)
    min_label_rows: int = 30
    held_share: float = 0.08
    target_false_alarms: float = 0.01
    target_remark_alarms: float = 0.1
    measured_rows: int | None = None
    threads: int = 1

    @classmethod
    def quick(cls, **changes: Any) -> TrainingConfig:
        """A run of minutes: to try the way from rows to serving, not to ship."""
        smaller: dict[str, Any] = {
            "name": "sluice-quick",
            "layers": 2,
            "width": 128,
            "pretrain_passes": 0,
            "members": 1,
            "epochs": 1,
            "gram_dropout": 0.0,  # who sees a row once does not learn it by heart
            "caps": {name: cap // 4 for name, cap in dataset.DEFAULT_CAPS.items()} | {"written": 40_000},
            "wide_caps": {**dataset.DEFAULT_CAPS, "written": 60_000},
            "measured_rows": 4_000,
        }
        return cls(**(smaller | changes))
