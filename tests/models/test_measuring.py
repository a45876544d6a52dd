import json
import shutil

import pytest
from typer.testing import CliRunner

from models import measuring
from models.card import ModelCard
from models.commands import app
from models.types import ClassifierError


@pytest.fixture
def run(tmp_path):
    """Run a model command over an empty data folder."""

    def call(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--data-dir", str(tmp_path / "data")])

    return call


@pytest.fixture
def own_rows(tiny_data, tmp_path, monkeypatch):
    """The tiny rows stand for the project's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(tiny_data / "train.jsonl", folder / "train.jsonl")
    monkeypatch.setattr(measuring, "OWN_ROWS", folder)


@pytest.fixture
def contrary(tiny_model, tmp_path):
    """The tiny model with its scores turned round: what it was sure of comes last."""
    folder = shutil.copytree(tiny_model, tmp_path / "contrary")
    card = ModelCard.load(folder)
    turned = {code: each.model_copy(update={"slope": -each.slope}) for code, each in card.calibration.items()}
    card.model_copy(update={"calibration": turned}).sealed().save(folder)
    return folder


@pytest.mark.usefixtures("own_rows")
def test_compare(run, contrary, tiny_model, tiny_data, tmp_path):
    """Folders and the baseline on the same rows: tables, JSON and a page of the same numbers."""
    result = run(
        "compare", contrary, tiny_model, "linear", "--data", tiny_data, "--rate", "0.1",
        "--json", tmp_path / "c.json", "--html", tmp_path / "c.html",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "c.json").read_bytes())
    turned, tiny, linear = (item["slices"]["all"]["all"] for item in report["models"])
    assert tiny["at_rate"]["recall"] > 0.9 > turned["at_rate"]["recall"]
    assert linear["at_rate"]["recall"] > 0.9
    assert tiny["at_rate"]["plain_alarms"] <= 0.1
    assert [pair["worse"] for pair in report["pairs"]] == [[], []]
    assert "by more than noise" in result.stdout
    assert "seeds: 7" in result.stdout
    assert f"{tiny['at_rate']['recall']:.1%}" in (tmp_path / "c.html").read_text("utf-8")


def test_compare_says_which_is_worse(run, contrary, tiny_model, tiny_data):
    """With --fail-if-worse the status is 1 where a later model is worse by more than noise, else 0."""
    arguments = ("--data", tiny_data, "--rate", "0.1", "--fail-if-worse")
    worse = run("compare", tiny_model, contrary, *arguments)
    assert worse.exit_code == 1, worse.output
    assert "worse than A by more than noise" in worse.stdout
    assert run("compare", contrary, tiny_model, *arguments).exit_code == 0
    assert run("compare", tiny_model, contrary, *arguments[:-1]).exit_code == 0


def test_compare_a_model_with_itself(run, tiny_data, shipped):
    """Two names of one version are told apart, and differ by nothing."""
    result = run("compare", "shipped", "production", "--data", tiny_data, "--sample", "40", "--json", "-")
    report = json.loads(result.stdout)
    assert [item["name"] for item in report["models"]] == [
        f"{shipped.version} (shipped)",
        f"{shipped.version} (production)",
    ]
    assert report["rows"]["all"] == 40
    (pair,) = report["pairs"]
    assert pair["at_rate"]["difference"] == 0
    assert pair["at_threshold"]["unsafe"]["p"] == 1


def test_compare_disguised(run, tiny_data):
    """With --disguise every row is scored once more, and how much is kept is a slice of its own."""
    result = run("compare", "shipped", "production", "--data", tiny_data, "--disguise", "--sample", "20", "--json", "-")
    spelling = json.loads(result.stdout)["models"][0]["slices"]["spelling"]
    assert set(spelling) == {"as written", "disguised"}
    assert spelling["as written"]["unsafe"] == spelling["disguised"]["unsafe"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("shipped",), "two to 6"),
        (("shipped", "shipped"), "named twice"),
        (("shipped", "nothing"), "nothing"),
        (("shipped", "production", "--data", "none.jsonl"), "none.jsonl"),
    ],
    ids=["one", "twice", "unknown", "data"],
)
def test_compare_errors(run, arguments, named):
    """What cannot be compared ends with status 2 and says what to change."""
    result = run("compare", *arguments)
    assert result.exit_code == 2
    assert named in result.output


def test_no_rows(run, tmp_path):
    """Measuring on nothing is an error, not a table of dashes."""
    (tmp_path / "empty.jsonl").write_text("")
    result = run("evaluate", "--data", tmp_path / "empty.jsonl")
    assert result.exit_code == 2
    assert "no labelled row" in result.output


def test_evaluate_writes_numbers_and_page(run, tiny_data, shipped, tmp_path):
    """``evaluate`` writes the metrics, the slices and the curves, and a page of them."""
    result = run(
        "evaluate", "--data", tiny_data, "--json", tmp_path / "m.json", "--html", tmp_path / "m.html", "--sample", "30"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "m.json").read_bytes())
    assert (found["model"], found["seed"], found["rows"]) == (shipped.version, 7, 30)
    assert found["as_answer"]["overall"]["unsafe"] == found["slices"]["all"]["all"]["unsafe"]
    assert "all" in found["curves"]
    assert shipped.version in (tmp_path / "m.html").read_text("utf-8")


def test_slices_of_either_cut(run, tiny_data):
    """Slices and curves are those of clauses, or of sentences with ``--prompts``; both tables are there either way."""
    said = [
        json.loads(run("evaluate", "--data", tiny_data, "--json", "-", *more).stdout) for more in ((), ("--prompts",))
    ]
    assert said[0]["as_answer"] == said[1]["as_answer"]
    assert [found["data"].endswith("cut as prompts") for found in said] == [False, True]
    for found, way in zip(said, ("as_answer", "as_prompt"), strict=True):
        assert found["reliability"] == found[way]["reliability"]


def test_evaluate_prints_json_alone(run, tiny_data):
    """With ``--json -`` nothing but JSON goes to stdout, and the same seed draws the same rows."""
    first, second = (
        json.loads(run("evaluate", "--data", tiny_data, "--sample", "20", "--json", "-").stdout) for _ in range(2)
    )
    assert first["as_answer"] == second["as_answer"]


def test_card(run, tiny_model):
    """The card is shown for people, as Markdown and as it lies on disk."""
    assert "Known weaknesses" in run("card").stdout
    markdown = run("card", tiny_model, "--markdown").stdout
    assert "| COLDataset (thu-coai) | Apache-2.0 |" in markdown
    assert json.loads(run("card", tiny_model, "--json").stdout) == json.loads((tiny_model / "card.json").read_bytes())


def test_a_folder_is_no_alias(run, tiny_model, tmp_path, monkeypatch, shipped):
    """A folder that is called like an alias does not stand in for it; named as a path it is a model."""
    shutil.copytree(tiny_model, tmp_path / "production", ignore=shutil.ignore_patterns("*.pt"))
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("card", "production", "--json").stdout)["version"] == shipped.version
    assert json.loads(run("card", "./production", "--json").stdout)["version"] != shipped.version


def test_card_of_no_model(run, tmp_path):
    """A name that is no model, and a folder without a card, are errors that name them."""
    for name in ("nothing", tmp_path):
        result = run("card", name)
        assert result.exit_code == 2
        assert str(name) in result.output


def test_damaged_model_is_named(run, weights, tiny_data):
    """A damaged model is named before anything is scored."""
    (weights / "model.onnx").write_bytes(b"no model")
    result = run("compare", "shipped", weights, "--data", tiny_data)
    assert result.exit_code == 2
    assert "model.onnx" in result.output


def test_a_model_that_fails_ends_the_command(run, tiny_data, monkeypatch):
    """A classifier that cannot score ends the command with its reason."""

    class Failing:
        version, labels, max_chars = "failing", ("X.spam",), 100

        def score(self, segments):
            raise ClassifierError("gave a score that is no number")

    monkeypatch.setattr(measuring, "_classifier", lambda *_args, **_named: Failing())
    result = run("evaluate", "--data", tiny_data)
    assert result.exit_code == 2
    assert "no number" in result.output
