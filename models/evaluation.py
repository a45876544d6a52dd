"""How well a classifier does on labelled rows: overall, and by category, source and language."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.calibration import reliability
from models.card import ACT_AT
from models.dataset import Row
from models.labels import narrow
from models.segments import ANSWERS, PROMPTS, cut
from models.types import Classifier, Segment

_REPORT_EVERY = 200
_WAYS = (PROMPTS, ANSWERS)
_SPEED_RUNS = 60

Floats = NDArray[np.float64]
Done = Callable[[int], None]


class _Logits(Protocol):
    """A classifier that also tells its logits."""

    def logits(self, segments: Sequence[Segment]) -> Floats: ...


def truths(rows: Sequence[Row], labels: Sequence[str]) -> NDArray[np.bool_]:
    """What is true, (rows, labels)."""
    narrowed = [narrow(row.codes, labels) for row in rows]
    return np.array([[label in codes for label in labels] for codes in narrowed], dtype=bool).reshape(-1, len(labels))


def row_logits(classifier: _Logits, rows: Sequence[Row]) -> Floats:
    """Each row's highest logit of each label, over the pieces that serving would score of a prompt or an answer."""
    return np.array([classifier.logits(pieces(row)).max(axis=0) for row in rows])


def pieces(row: Row) -> list[Segment]:
    """What serving would score of a row, as a prompt and as an answer; at least one."""
    return _once(cut(row.text, cutting) for cutting in _WAYS) or [Segment(row.text)]


def evaluate(classifier: Classifier, rows: Sequence[Row], done: Done | None = None) -> dict[str, Any]:
    """Measure ``classifier`` on ``rows``.

    Every row is scored twice: ``as_prompt``, cut into sentences, and ``as_answer``, into clauses as streams are; its
    score is its highest piece's. It is acted on where any label reaches 0.8, the threshold of the shipped policy.

    Returns:
        JSON-ready tables: ``as_prompt`` and ``as_answer``, each with ``overall``, ``by_source``, ``by_lang``,
        ``by_category`` (the collection's) and ``by_label`` (our codes), and ``speed``.
    """
    return tables(classifier, rows, row_scores(classifier, rows, done))


def tables(classifier: Classifier, rows: Sequence[Row], scores: tuple[Floats, Floats]) -> dict[str, Any]:
    """What ``evaluate`` returns, from scores that are there already: those of ``row_scores``."""
    as_prompt, as_answer = scores
    facts = truths(rows, classifier.labels)
    return {
        "rows": len(rows),
        "threshold": ACT_AT,
        "as_prompt": _tables(as_prompt, rows, facts, classifier.labels),
        "as_answer": _tables(as_answer, rows, facts, classifier.labels),
        "speed": speed(classifier),
    }


def row_scores(classifier: Classifier, rows: Sequence[Row], done: Done | None = None) -> tuple[Floats, Floats]:
    """Each row's highest scores, (rows, labels): over the pieces of a prompt, and over those of an answer."""
    found = np.zeros((len(_WAYS), len(rows), len(classifier.labels)))
    for number, row in enumerate(counted(rows, done)):
        cuts = [cut(row.text, cutting) for cutting in _WAYS]
        asked = _once(cuts)
        scores = dict(zip(asked, classifier.score(asked), strict=True)) if asked else {}
        for way, own in enumerate(cuts):
            for piece in own:
                found[way, number] = np.maximum(found[way, number], [scores[piece][each] for each in classifier.labels])
    return found[0], found[1]


def counted(rows: Sequence[Row], done: Done | None) -> Iterator[Row]:
    """Each row in turn; ``done`` is told now and then, and at the end, how many are dealt with."""
    for number, row in enumerate(rows, start=1):
        yield row
        if done is not None and (number % _REPORT_EVERY == 0 or number == len(rows)):
            done(number)


def _once(cuts: Iterable[Sequence[Segment]]) -> list[Segment]:
    """Each piece once: a short text is cut alike both ways."""
    return list(dict.fromkeys(piece for own in cuts for piece in own))


def _tables(scores: Floats, rows: Sequence[Row], facts: NDArray[np.bool_], labels: Sequence[str]) -> dict[str, Any]:
    unsafe = np.array([row.unsafe for row in rows], dtype=bool)
    highest = scores.max(axis=1)

    def by(key: Callable[[Row], str]) -> dict[str, Any]:
        keys = np.array([key(row) for row in rows])
        return {name: summary(highest[keys == name], unsafe[keys == name]) for name in sorted(set(keys.tolist()))}

    return {
        "overall": summary(highest, unsafe),
        "by_source": by(lambda row: row.family),
        "by_lang": by(lambda row: row.lang),
        "by_category": by(lambda row: row.category),
        "by_label": {
            label: _label_summary(scores[:, index], facts[:, index], unsafe) for index, label in enumerate(labels)
        },
        "reliability": reliability(highest, unsafe),
    }


def summary(scores: Floats, unsafe: NDArray[np.bool_]) -> dict[str, Any]:
    """Counts, recall, precision, false-alarm rate and AUC of 'acted on' against 'unsafe'; None where undefined."""
    acted = scores >= ACT_AT
    hits, alarms = int((acted & unsafe).sum()), int((acted & ~unsafe).sum())
    return {
        "unsafe": int(unsafe.sum()),
        "benign": int((~unsafe).sum()),
        "recall": _share(hits, int(unsafe.sum())),
        "precision": _share(hits, hits + alarms),
        "false_alarm_rate": _share(alarms, int((~unsafe).sum())),
        "auc": auc(scores, unsafe),
    }


def _label_summary(scores: Floats, facts: NDArray[np.bool_], unsafe: NDArray[np.bool_]) -> dict[str, Any]:
    # Unsafe rows of other categories are left out: sources label one fault a row, others may be there too.
    kept = facts | ~unsafe
    return summary(scores[kept], facts[kept])


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve by the rank sum, ties counting half; None without both kinds."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return round(float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)), 4)


def speed(classifier: Classifier, chars: int = 61) -> dict[str, float]:
    """Milliseconds to score one segment that fills 64 tokens: median and 95th percentile, measured here and now."""
    text = ("今天天气很好我们一起去公园散步然后回家做饭" * 4)[:chars]
    segment = [Segment(text[-24:], text[:-24])]
    taken = []
    for _ in range(_SPEED_RUNS):
        start = time.perf_counter()
        classifier.score(segment)
        taken.append((time.perf_counter() - start) * 1e3)
    p50, p95 = np.percentile(taken[_SPEED_RUNS // 4 :], [50, 95])
    return {"p50_ms": round(float(p50), 3), "p95_ms": round(float(p95), 3)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
