"""How many innocent rows a model may act on where policy acts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models import slices
from models.calibration import Limit
from models.dataset import Row
from models.training_config import TrainingConfig

_LEAST_REMARKS = 30
_ONLY_NO_SPAM = frozenset({"sms_spam_uci"})
"""Families of private messages of which only was asked whether they are spam: lewd ones and dealers' are among them."""


def limits(rows: Sequence[Row], config: TrainingConfig) -> list[Limit]:
    """What calibration on ``rows`` must keep to.

    The first is a promise about ordinary text; private messages that are merely no spam are none. Look-alikes of ours
    are reported and not limited: the hardest rows that we could write would decide how much of the rest is found. Safe
    remarks of the sources of contempt have a limit of their own: their labels are doubtful, and counted as ordinary
    text they would silence what finds contempt. A few remarks have none: one or two of doubtful labels would decide
    from where every category acts.
    """
    asked = np.array([row.family not in _ONLY_NO_SPAM for row in rows], dtype=bool)
    found = [Limit(slices.plain(rows) & asked, config.target_false_alarms)]
    remarks = np.array([row.remark for row in rows], dtype=bool)
    if remarks.sum() >= _LEAST_REMARKS:
        found.append(Limit(remarks, config.target_remark_alarms))
    return found
