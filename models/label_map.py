"""What the labels of a model that is not ours stand for: its own names to our category codes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

from models.types import ClassifierError

_TOLERANCE = 1e-3  # what rounding on its way through half precision and JSON may add to a probability

Codes = Mapping[str, Sequence[str]]
"""A model's label -> the codes that it stands for; without any, the label is ignored on purpose."""


class LabelMap:
    """Turns a model's probabilities into ours.

    Attributes:
        codes: every code that a label stands for, sorted.
        named: the labels that the map names, ignored ones too.
    """

    def __init__(self, labels: Codes) -> None:
        self._labels = {label: tuple(codes) for label, codes in labels.items()}
        self.named = tuple(self._labels)
        self.codes = tuple(sorted({code for codes in self._labels.values() for code in codes}))
        if not self.codes:
            message = "no label of the model is mapped to a category, so it could never find anything"
            raise ClassifierError(message, ("labels",))

    def of(self, label: str) -> tuple[str, ...]:
        """The codes of a label; none where it is ignored."""
        return self._labels[label]

    def check(self, known: Iterable[str], who: str) -> None:
        """Refuse a map with labels that the model does not have.

        Raises:
            ClassifierError: and names the first, and what there is.
        """
        there = list(known)
        for label in self.named:
            if label not in there:
                near = difflib.get_close_matches(label, there, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                message = f"{who} has no label {label!r}: {hint}it has {', '.join(map(repr, there[:40]))}"
                raise ClassifierError(message, ("labels", label))

    def unmapped(self, known: Iterable[str]) -> tuple[str, ...]:
        """The model's labels that the map does not name: they count for nothing."""
        return tuple(label for label in known if label not in self._labels)

    def notes(self, unmapped: Sequence[str], who: str) -> Sequence[str]:
        """What to tell of labels that the map does not name; nothing where there are none."""
        if not unmapped:
            return ()
        return (f"these labels of {who} count for nothing, for the map does not name them: {', '.join(unmapped)}",)

    def scores(self, found: Mapping[str, float], who: str, *, exclusive: bool) -> dict[str, float]:
        """Probabilities of our codes.

        Args:
            found: the model's probabilities by its labels; must have every label that the map names.
            who: what the model is called in errors.
            exclusive: the labels exclude each other, so those of one code add up; else the highest counts.

        Raises:
            ClassifierError: a label is missing, or a probability is none.
        """
        scores = dict.fromkeys(self.codes, 0.0)
        for label, codes in self._labels.items():
            if not codes:
                continue
            if label not in found:
                self.check(found, who)
            value = probability(found[label], who)
            for code in codes:
                scores[code] = min(1.0, scores[code] + value) if exclusive else max(scores[code], value)
        return scores


class Mapped:
    """What classifiers of others' models share: they speak of our codes by a map, and take texts of any length."""

    _map: LabelMap

    @property
    def labels(self) -> Sequence[str]:
        """The codes that its labels stand for."""
        return self._map.codes

    @property
    def max_chars(self) -> int:
        """No bound: of what is too long for a model its scores, or a failure, say so."""
        return 1 << 30


def probability(value: object, who: str) -> float:
    """Check a probability.

    Raises:
        ClassifierError: it is no finite number in [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        message = f"{who} gave a score that is no number"
        raise ClassifierError(message, of_text=True)
    if not -_TOLERANCE <= value <= 1 + _TOLERANCE:
        message = f"{who} gave a score of {value:g}, which is no probability"
        raise ClassifierError(message, of_text=True)
    return min(1.0, max(0.0, float(value)))
