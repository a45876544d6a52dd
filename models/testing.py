"""The conformance suite of the ``Classifier`` protocol: an implementation passes it, ours or a customer's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from models.types import Classifier, Scores, Segment

_TEXTS = (
    "今天天气不错，我们去公园散步吧。",
    "How do I sort a list in Python?",
    "",
    " \n\t",
    "。！？…",
    "😀👩‍👩‍👧 ﷺ \u200b\u0301",
    "\ud800 lone",
    "\x00",
    "Ａｂｃ１２３ 繁體字",
)
_LONG = "很长的一段文字，" * 5_000


def check_classifier(classifier: Classifier) -> None:
    """Assert what the gateway relies on: complete, finite, repeatable scores for any text, from any thread.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    _check_description(classifier)
    _check_scores(classifier)
    _check_independence(classifier)
    _check_threads(classifier)
    _check_long(classifier)


def _check_description(classifier: Classifier) -> None:
    _require(bool(classifier.version), "version is empty")
    _require(len(classifier.labels) > 0, "no labels")
    _require(len(set(classifier.labels)) == len(classifier.labels), "labels repeat")
    _require(classifier.max_chars > 0, "max_chars is not positive")


def _check_scores(classifier: Classifier) -> None:
    _require(list(classifier.score([])) == [], "no segments must give no scores")
    segments = [Segment(text, context) for text in _TEXTS for context in ("", _TEXTS[0], _TEXTS[6])]
    results = classifier.score(segments)
    _require(len(results) == len(segments), "one mapping a segment")
    for segment, scores in zip(segments, results, strict=True):
        _check_one(scores, classifier.labels, f"{segment.text[:20]!a}")


def _check_one(scores: Scores, labels: Sequence[str], what: str) -> None:
    _require(set(scores) == set(labels), f"{what}: every label, and no other, has a score")
    for label, score in scores.items():
        _require(isinstance(score, float) and math.isfinite(score), f"{what}: {label} is no finite float")
        _require(0.0 <= score <= 1.0, f"{what}: {label} is outside [0, 1]")


def _check_independence(classifier: Classifier) -> None:
    segments = [Segment(text) for text in _TEXTS]
    together = classifier.score(segments)
    alone = [classifier.score([segment])[0] for segment in segments]
    backwards = classifier.score(segments[::-1])[::-1]
    _require(together == alone == backwards, "a score depends on the other segments of the batch")


def _check_threads(classifier: Classifier) -> None:
    segments = [Segment(text) for text in _TEXTS[:4]]
    expected = classifier.score(segments)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: classifier.score(segments), range(12)))
    _require(all(result == expected for result in results), "scores differ between threads")


def _check_long(classifier: Classifier) -> None:
    scores = classifier.score([Segment(_LONG, _LONG)])[0]
    _check_one(scores, classifier.labels, "an enormous text")


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(promise)
