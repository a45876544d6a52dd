"""The ``sluice model`` commands that need no database: list, card, train, evaluate, compare, promote, rollback.

``app`` is a Typer application to be mounted by the command line; the data folder comes with each call, because only the
gateway reads settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from models import measuring
from models.card import ModelCard
from models.measuring import OWN_ROWS, training_files
from models.registry import CANDIDATE, Registry
from models.terminal import DEFAULT_DATA_DIR, DataDir, Quiet, bar, console, fail, print_json, told

__all__ = ["OWN_ROWS", "app"]

app = typer.Typer(
    help="Classifier models: what there is, training, measuring, and which one serves.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(measuring.card)
app.command()(measuring.evaluate)
app.command()(measuring.compare)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_models(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List the model versions and which of them serves."""
    with told():
        found = Registry(data_dir).installed()
    if as_json:
        print_json([{"version": m.version, "aliases": m.aliases, "shipped": m.shipped} for m in found])
        return
    table = Table("version", "is", "labels", "recall / false alarms on dev")
    for model in found:
        names = ", ".join([*model.aliases, *(["shipped"] if model.shipped else [])])
        table.add_row(model.version, names, str(len(model.card.labels)), _headline(model.card))
    console().print(table)


@app.command()
def train(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder with train.jsonl.gz and, if any, dev.jsonl.gz, read beside the project's own rows; "
            "else these alone.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the model's files.")],
    quick: Annotated[bool, typer.Option("--quick", help="A small run of minutes, to try the way.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="The same seed and data give the same weights.")] = 7,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the data.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Add the result to the data folder as candidate.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    quiet: Quiet = False,
) -> None:
    """Train a classifier, calibrate it, measure it, and write it with its card."""
    training = _training()
    changes: dict[str, Any] = {"seed": seed, **({"epochs": epochs} if epochs else {})}
    config = training.TrainingConfig.quick(**changes) if quick else training.TrainingConfig(**changes)
    files, dev = training_files(data)
    with told(), bar(quiet=quiet) as shown:
        card = training.train(config, files, out, shown.report, dev_path=dev, resume=resume)
        version = Registry(data_dir).add(out, CANDIDATE) if add else card.version
    typer.echo(f"{version}, seed {seed}: {_headline(card)}")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="A version, `candidate`, or `shipped`.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a version serve; the one before stays at hand for a rollback."""
    with told():
        typer.echo(f"in production: {Registry(data_dir).promote(version)}")


@app.command()
def rollback(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Make the version serve that served before."""
    with told():
        typer.echo(f"in production: {Registry(data_dir).rollback()}")


def _training() -> Any:
    try:
        from models import training
    except ImportError as error:
        fail(f"training needs the train extra (pip install 'sluice[train]'): {error}")
    return training


def _headline(card: ModelCard) -> str:
    on_dev = card.metrics.get("dev")
    overall = (on_dev or card.metrics.get("written") or {}).get("as_answer", {}).get("overall")
    if not overall:
        return "not measured"
    return f"{overall['recall']:.1%} / {overall['false_alarm_rate']:.2%}{'' if on_dev else ' (on our own rows)'}"
