"""A model card as Markdown, which is what the terminal shows as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.card import ModelCard
from models.names import name_of

_SETS = {
    "dev": "Rows of the public collections (dev)",
    "written": "The project's own rows, held back",
    "written_disguised": "The same, every text disguised",
}
_CUTS = {
    "as_prompt": "Cut as prompts are, into sentences:",
    "as_answer": "Cut as streams of answers are, into clauses:",
}
_WAYS = {"by_category": "category", "by_label": "label", "by_lang": "language", "by_source": "source"}


def markdown(card: ModelCard) -> str:
    """Everything that the card says, but for the calibration and the numbers behind the reliability table."""
    return "\n".join(_lines(card))


def _lines(card: ModelCard) -> Iterator[str]:
    yield from (f"# {card.version}", "")
    yield from ("## Intended use", "", card.intended_use or "Not stated.", "")
    yield from ("## Known weaknesses", "", *([f"- {item}" for item in card.weaknesses] or ["None stated."]), "")
    yield from _labels(card)
    yield from ("## Sources", "")
    yield from _table(
        ("source", "licence", "rows"), [(item.name, item.licence, f"{item.rows:,}") for item in card.sources]
    )
    yield from (f"- {item.attribution}" for item in card.sources if item.attribution)
    yield from ("", "## Rows", "")
    counted = {name: count for name, count in card.counts.items() if isinstance(count, int)}
    yield from _table(("rows", "count"), [(name.replace("_", " "), f"{count:,}") for name, count in counted.items()])
    yield from _metrics(card)
    yield from _made(card)


def _labels(card: ModelCard) -> Iterator[str]:
    per_label = card.counts.get("rows_per_label", {})
    yield from ("", "## Categories", "")
    yield from _table(
        ("code", "stands for", "acts from", "rows of training and calibration"),
        [
            (label, name_of(label).en, f"{card.thresholds.get(label, 0):g}", f"{per_label.get(label, 0):,}")
            for label in card.labels
        ],
    )


def _metrics(card: ModelCard) -> Iterator[str]:
    measured = {
        name: held for name, held in card.metrics.items() if isinstance(held, Mapping) and _CUTS.keys() <= held.keys()
    }
    if not measured:
        yield from ("", "## Measured", "", "Not measured.")
    for name, metrics in measured.items():
        yield from ("", f"## Measured: {_SETS.get(name, name)}", "")
        yield f"{metrics.get('rows', 0):,} rows, acted on from {metrics.get('threshold', 0):g}."
        for way, said in _CUTS.items():
            yield from ("", said, "")
            yield from _by_slice(metrics[way])
        yield from _speed(metrics.get("speed"))


def _by_slice(tables: Mapping[str, Any]) -> Iterator[str]:
    rows = [("**all**", "", *_cells(tables["overall"]))]
    for way, said in _WAYS.items():
        rows += [(f"{name}", said, *_cells(row)) for name, row in tables.get(way, {}).items()]
    yield from _table(("slice", "by", "unsafe", "safe", "recall", "precision", "false alarms", "AUC"), rows)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['unsafe']:,}",
        f"{row['benign']:,}",
        _share(row["recall"]),
        _share(row["precision"]),
        _share(row["false_alarm_rate"], 2),
        "–" if row["auc"] is None else f"{row['auc']:.3f}",
    )


def _speed(speed: Mapping[str, float] | None) -> Iterator[str]:
    if speed:
        yield from ("", f"64 tokens: {speed['p50_ms']} ms (median), {speed['p95_ms']} ms (95th percentile).")


def _made(card: ModelCard) -> Iterator[str]:
    yield from ("", "## How it was made", "")
    config = card.training.get("config", {})
    settings = [(name, str(value)) for name, value in {**card.training, **config}.items() if name != "config"]
    yield from _table(("setting", "value"), settings)
    yield from ("", "## Files", "")
    yield from _table(("file", "SHA-256"), list(card.files.items()))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"
