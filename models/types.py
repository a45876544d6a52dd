"""What serving needs to know of a model: its name, and that it scores texts.

Scores are a plain mapping from category code to probability: ``models`` and ``filters`` never import each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Segment:
    """One text to be judged, with the text directly before it, which is read but not judged."""

    text: str
    context: str = ""


class Classifier(Protocol):
    """Scores segments. Called from worker threads, several at once: implementations are thread-safe."""

    @property
    def version(self) -> str:
        """Identifies weights, tokenizer and calibration together; changes whenever a score could."""

    @property
    def labels(self) -> Sequence[str]:
        """The category codes that the model can score."""

    @property
    def max_chars(self) -> int:
        """Longest ``context + text`` read in one piece; callers see anything longer as partial coverage."""

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Calibrated probabilities, one mapping a segment, every label in it, each a finite number in [0, 1].

        Raises:
            ClassifierError: the model could not score; the caller's policy decides what happens then.
        """


class ClassifierError(Exception):
    """A model could not be loaded, or could not score."""
