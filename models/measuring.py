"""The ``sluice model`` commands that measure, evaluate and compare, and the one that shows a model's card."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown

from models import load_classifier, measured_tables
from models.augment import DISGUISE_SEED, disguised
from models.baseline import fit_baseline
from models.card import ModelCard
from models.comparison import Scored, compared, described
from models.dataset import DatasetError, Row, read_rows
from models.evaluation import row_scores, tables
from models.page import page
from models.registry import CANDIDATE, PREVIOUS, PRODUCTION, SHIPPED, Registry
from models.terminal import DEFAULT_DATA_DIR, DataDir, Quiet, Shown, bar, console, fail, print_json, told, write_json
from models.types import Classifier
from models.written import read_written

OWN_ROWS = Path(__file__).parent / "data"
"""Rows that come with the project; every training run reads them beside the rows it is given."""

LINEAR = "linear"
WORSE = 1
_MOST = 6  # models side by side: as many as the page has colours for

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="A .jsonl or .jsonl.gz file of labelled rows, or a folder with dev.jsonl.gz; "
        "else the project's own rows that no run is trained on.",
    ),
]
Json = Annotated[
    Path | None, typer.Option("--json", "--out", metavar="FILE", help="Write the numbers as JSON; - prints them.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with tables and diagrams.")]
Rate = Annotated[
    float,
    typer.Option("--rate", min=0.0, max=0.5, help="False alarms on plain rows at which recalls are compared."),
]
Count = Annotated[int | None, typer.Option("--sample", min=1, help="Take so many rows, drawn by the seed.")]
Seed = Annotated[int, typer.Option("--seed", help="Of what is drawn by chance: the sample, the resampling.")]
Prompts = Annotated[
    bool, typer.Option("--prompts", help="Slices and curves of rows cut as prompts are; else as streams of answers.")
]


def card(
    name: Annotated[str, typer.Argument(metavar="VERSION|FOLDER", help="A version, an alias, or a folder.")] = (
        PRODUCTION
    ),
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as it lies on disk.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Show a model's card: sources, licences, counts, metrics, weaknesses, intended use."""
    from models.card_text import markdown

    with told():
        found = ModelCard.load(_folder(name, data_dir))
    if as_json:
        print_json(found.written())
    elif as_markdown:
        typer.echo(markdown(found))
    else:
        console().print(Markdown(markdown(found)))


def evaluate(
    *,
    data: Data = None,
    model: Annotated[
        str, typer.Option("--model", help="A version, an alias, a model's folder, or linear: the baseline.")
    ] = PRODUCTION,
    disguise: Annotated[bool, typer.Option("--disguise", help="Disguise every text: how much recall is kept?")] = False,
    prompts: Prompts = False,
    sample: Count = None,
    rate: Rate = 0.01,
    seed: Seed = 7,
    json: Json = None,
    html: Html = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    quiet: Quiet = False,
) -> None:
    """Measure a classifier on labelled rows: by category, source and language."""
    with told(), bar(quiet=quiet) as shown:
        classifier = _classifier(model, data_dir, shown, fit=None, seed=seed)
        rows = _rows(data, sample, seed)
        rows = _disguised(rows) if disguise else rows
        scored = _scored(classifier, rows, shown, prompts=prompts)
        report: dict[str, Any] = compared(rows, [scored], rate=rate, seed=seed)
        report["data"] = _said(data, disguise=disguise, prompts=prompts)
        if html is not None:
            html.write_text(page(report), "utf-8")
        if json is not None:
            drawn = described(scored, rows, rate)
            write_json(
                {"model": scored.name, "data": report["data"], "seed": seed, "rate": rate, **drawn, **scored.metrics},
                json,
            )
    if str(json) != "-":
        measured_tables.print_metrics(console(), scored.name, scored.metrics)
        _print_seeds(seed)


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Versions, production, candidate, previous, shipped, folders, or linear: the baseline, fitted now. "
            "The others are compared with the first.",
        ),
    ],
    *,
    data: Data = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            "--fit", help="Folder with train.jsonl.gz that linear is fitted on beside the project's own rows."
        ),
    ] = None,
    disguise: Annotated[bool, typer.Option("--disguise", help="Score every row once more, disguised.")] = False,
    prompts: Prompts = False,
    sample: Count = None,
    rate: Rate = 0.01,
    seed: Seed = 7,
    fail_if_worse: Annotated[
        bool, typer.Option("--fail-if-worse", help="End with status 1 where one is worse than the first.")
    ] = False,
    json: Json = None,
    html: Html = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    quiet: Quiet = False,
) -> None:
    """Compare classifiers on the same rows: recall at equal false alarms, by slice, and what is more than noise.

    Status: 0 compared; 1 with --fail-if-worse where a later model finds less at equal false alarms than the first, or
    raises more false alarms at the shipped threshold, in either case by more than noise; 2 nothing was compared.
    """
    if not 2 <= len(names) <= _MOST:
        fail(f"compare takes two to {_MOST} models, not {len(names)}")
    if len(set(names)) < len(names):
        fail(f"a model is named twice: {', '.join(names)}")
    with told(), bar(quiet=quiet) as shown:
        classifiers = [_classifier(name, data_dir, shown, fit=fit, seed=seed) for name in names]
        rows = _rows(data, sample, seed)
        altered = _disguised(rows) if disguise else None
        scored = [_scored(classifier, rows, shown, altered, prompts=prompts) for classifier in classifiers]
        report = compared(rows, _distinct(scored, names), rate=rate, seed=seed)
        report["data"] = _said(data, prompts=prompts)
        if html is not None:
            html.write_text(page(report), "utf-8")
        if json is not None:
            write_json(report, json)
    if str(json) != "-":
        measured_tables.print_comparison(console(), report)
        _print_seeds(seed)
    if fail_if_worse and any(pair["worse"] for pair in report["pairs"]):
        raise typer.Exit(WORSE)


def training_files(folder: Path | None) -> tuple[list[Path], Path | None]:
    """What a model is trained on, the project's own rows included, and what it is measured on."""
    found: list[Path] = []
    dev = None
    if folder is not None:
        train = next((p for p in (folder / "train.jsonl.gz", folder / "train.jsonl") if p.is_file()), None)
        if train is None:
            fail(f"{folder}: has no train.jsonl.gz; it should be the folder with the labelled rows")
        found = [train]
        dev = next((p for p in (folder / "dev.jsonl.gz", folder / "dev.jsonl") if p.is_file()), None)
    written = OWN_ROWS / "rows"
    return [*found, *sorted(OWN_ROWS.glob("*.jsonl")), *([written] if written.is_dir() else [])], dev


def _rows(data: Path | None, sample: int | None, seed: int) -> list[Row]:
    if data is None:
        rows = read_written(OWN_ROWS / "rows")[1]
    elif data.is_dir():
        plain = data / "dev.jsonl"
        rows = read_rows(plain if plain.is_file() else data / "dev.jsonl.gz")
    else:
        rows = read_rows(data)
    if not rows:
        message = f"{data or OWN_ROWS / 'rows'}: has no labelled rows to measure on"
        raise DatasetError(message)
    if sample is not None and sample < len(rows):
        rows = random.Random(seed).sample(rows, sample)  # noqa: S311 - reproducible on purpose
    return rows


def _disguised(rows: list[Row]) -> list[Row]:
    try:
        return disguised(rows, DISGUISE_SEED)
    except ImportError as error:
        fail(f"disguises need the train extra (pip install 'sluice[train]'): {error}")


def _said(data: Path | None, *, disguise: bool = False, prompts: bool = False) -> str:
    said = "own rows held back" if data is None else data.name or str(data)
    return said + ", disguised" * disguise + ", cut as prompts" * prompts


def _scored(
    classifier: Classifier, rows: list[Row], shown: Shown, altered: list[Row] | None = None, *, prompts: bool
) -> Scored:
    at, way = (0, "as_prompt") if prompts else (1, "as_answer")
    scores = row_scores(classifier, rows, shown.stage(classifier.version, len(rows)))
    again = None
    if altered is not None:
        again = row_scores(classifier, altered, shown.stage(f"{classifier.version}, disguised", len(rows)))[at]
    return Scored(classifier.version, classifier.labels, tables(classifier, rows, scores), scores[at], again, way)


def _classifier(name: str, data_dir: Path, shown: Shown, *, fit: Path | None, seed: int) -> Classifier:
    if name == LINEAR:
        return fit_baseline(
            training_files(fit)[0],
            seed=seed,
            done=lambda done, total: shown.show("fitting the linear baseline", done, total),
        )
    return load_classifier(_folder(name, data_dir))


def _folder(name: str, data_dir: Path) -> Path:
    """Where a model lies. A folder that happens to be called like an alias must not stand in for it."""
    named = name in {PRODUCTION, CANDIDATE, PREVIOUS, SHIPPED}
    return Path(name) if not named and Path(name).is_dir() else Registry(data_dir).folder(name)


def _distinct(scored: list[Scored], names: list[str]) -> list[Scored]:
    """Models of one version keep the names that they were asked for by."""
    versions = [item.name for item in scored]
    if len(set(versions)) == len(versions):
        return scored
    return [
        Scored(f"{item.name} ({name})", item.labels, item.metrics, item.scores, item.disguised, item.way)
        for item, name in zip(scored, names, strict=True)
    ]


def _print_seeds(seed: int) -> None:
    typer.echo(f"seeds: {seed} (sample, resampling, linear), {DISGUISE_SEED} (disguises)")
