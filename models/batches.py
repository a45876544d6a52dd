"""What one epoch shows the network: whole texts and the short segments that serving will show it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.augment import practice
from models.dataset import Row
from models.labels import CONTEMPT, groups, narrow
from models.segments import PROMPTS, bounds, context_before, reach
from models.tokenizer import UNK, Pair, pair, read, stack
from models.types import Segment

_LEAST_WEIGHT = 0.25
_UNSURE_WEIGHT = 0.3  # sources label one fault a row: what else may be wrong with it was never asked
_FOREIGN_CONTEXT = 0.1  # of the whole texts stand behind another row's text: context is read, it is not judged
TRUST: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"jade": (1.0, 0.1), "cold": (0.3, 0.3), "swsr": (0.3, 0.3), "davidson": (0.3, 0.3), "surge_toxicity": (0.3, 0.3)}
)
"""How much a source's safe and unsafe rows count in whether a text does harm other than contempt, if less than fully.

JADE's prompts ask about what is unsafe as often as for it, and our guideline calls only the latter so; the others
were never asked about anything but contempt.
"""
_SORTED_BATCHES = 40  # sorting by length within so many batches saves padding and keeps them mixed


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs with, for each label and then for each group of labels, what is true and how much it counts.

    ``targets`` and ``weights`` are (inputs, labels and groups).
    """

    ids: NDArray[np.int64]
    kinds: NDArray[np.int64]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Example:
    pair: Pair
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def view(row: Row, whole_share: float, max_chars: int, rng: random.Random) -> tuple[Segment, float]:
    """One way to see a row, and the share of its text that this shows.

    A text is shown whole (or a stretch that fits), or as one segment of it with its context, as serving cuts it. Of an
    unsafe text late segments are shown more often: one of its segments must be found, and the later ones say more. Of a
    safe one none may be.
    """
    text = row.text
    if rng.random() < whole_share:
        start = rng.randrange(len(text) - reach(text[::-1], 0, max_chars, PROMPTS.latin) + 1)
        segment = Segment(text[start : reach(text, start, max_chars, PROMPTS.latin)])
    else:
        segments = bounds(text)
        (start, end) = rng.choices(segments, [end if row.unsafe else 1 for _, end in segments])[0]
        segment = Segment(text[start:end], context_before(text, start))
    return segment, (len(segment.text) + len(segment.context)) / len(text)


def behind_another(segment: Segment, rows: Sequence[Row], rng: random.Random) -> Segment:
    """Now and then put a text without context behind the end of another row's text."""
    if segment.context or rng.random() >= _FOREIGN_CONTEXT:
        return segment
    other = rng.choice(rows).text
    return Segment(segment.text, context_before(other, len(other)))


class Epoch:
    """Makes batches out of rows, the same ones for the same ``rng``."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        labels: Sequence[str],
        max_tokens: int,
        *,
        whole_share: float,
        token_dropout: float,
        disguised_share: float = 0.0,
    ) -> None:
        self._tokenizer = tokenizer
        self._labels = labels
        self._max_tokens = max_tokens
        self._whole_share = whole_share
        self._token_dropout = token_dropout
        self._disguised_share = disguised_share

    def batches(self, rows: Sequence[Row], size: int, rng: random.Random) -> Iterator[Batch]:
        """Batches of ``size`` inputs, of about equal length within each."""
        ready: list[Batch] = []
        for start in range(0, len(rows), size * _SORTED_BATCHES):
            part = rows[start : start + size * _SORTED_BATCHES]
            chunk = [self._example(row, part, rng) for row in part]
            chunk.sort(key=lambda item: len(item.pair.ids))
            ready = [_batch(chunk[at : at + size]) for at in range(0, len(chunk), size)]
            rng.shuffle(ready)
            yield from ready

    def _example(self, row: Row, others: Sequence[Row], rng: random.Random) -> _Example:
        if rng.random() < self._disguised_share:
            row = replace(row, text=practice(row.text, rng))
        segment, share = view(row, self._whole_share, self._max_tokens, rng)
        segment = behind_another(segment, others, rng)
        text = read(self._tokenizer, segment.text)[: self._max_tokens - 3]
        context = read(self._tokenizer, segment.context) if segment.context else []
        targets, weights = truth(row, self._labels)
        # Part of an unsafe text need not be unsafe itself: it counts by how much of the text it shows.
        scale = max(_LEAST_WEIGHT, min(1.0, share)) if row.unsafe else 1.0
        laid_out = pair(self._thinned(context, rng), self._thinned(text, rng), self._max_tokens)
        return _Example(laid_out, targets, weights * np.float32(scale))

    def _thinned(self, ids: list[int], rng: random.Random) -> list[int]:
        # A few tokens become unknown, so that no verdict hangs on one character that a row happened to have.
        return [UNK if rng.random() < self._token_dropout else token for token in ids]


def truth(row: Row, labels: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What is true of a row for each label and then for each group of labels, and how sure that is."""
    codes = narrow(row.codes, labels)
    each = [label in codes for label in labels]
    members = groups(labels)
    whether = [any(held for held, of in zip(each, members, strict=True) if of == group) for group in sorted({*members})]
    targets = np.array([*each, *whether], dtype=np.float32)
    weights = np.where(targets > 0, 1.0, _UNSURE_WEIGHT if row.unsafe else 1.0).astype(np.float32)
    trust = TRUST.get(row.family)
    if trust is not None:
        # Whether there is harm is what the source is doubtful in; its contempt, or which harm it is, stands.
        about = [label.startswith(CONTEMPT) for label in labels]
        for group in {of for of, contempt in zip(members, about, strict=True) if not contempt}:
            weights[len(labels) + group] *= trust[row.unsafe]
    return targets, weights


def _batch(examples: Sequence[_Example]) -> Batch:
    ids, kinds = stack([item.pair for item in examples])
    targets = np.stack([item.targets for item in examples])
    return Batch(ids, kinds, targets, np.stack([item.weights for item in examples]))
