"""``sluice api``: what is right about a declaration is shown, what is wrong is named."""

import json
from functools import partial
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PARLEY = EXAMPLES / "parley.yaml"
SAMPLES = EXAMPLES / "parley"


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for variable in ("SLUICE_APIS", "SLUICE_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)

    return partial(run_sluice, "api")


def with_samples(**changed):
    """Arguments that try all samples of the example, or others in their place."""
    samples = {
        "request": SAMPLES / "request.json",
        "response": SAMPLES / "answer.json",
        "stream": SAMPLES / "stream.sse",
    }
    return [part for name, file in {**samples, **changed}.items() for part in (f"--sample-{name}", file)]


def test_the_example_passes(sluice):
    """The commented example and its samples are sound, and every text is shown with channel and place."""
    shown = sluice("validate", PARLEY, *with_samples()).stdout
    assert "parley.talk is valid: POST /parley/v2/talk" in shown
    for row in (
        "system\tconversation[0].says\t用中文回答。",
        "content\tconversation[1].says[1].text\t小故事。\tuser, one text with the one before",
        "other\tmood (key)\tmood",
        'tool\tdrafts[1].call.with\t{"place": "海边"}\tanswer 1',
        "reasoning\tanswer 0\t先想一个主角。",
        "answers: 2, coverage: full",
        "0 unknown",
        "read alike when cut in",
    ):
        assert row in shown, row


def test_a_declaration_that_cannot_be_used(sluice, tmp_path):
    """File, line and reason on one line of stderr, and the exit code of a finding."""
    file = tmp_path / "x.yaml"
    file.write_text(PARLEY.read_text(encoding="utf-8").replace("format: sse", "format: xml"), encoding="utf-8")
    told = sluice("validate", file, code=1).stderr
    assert f"{file}:" in told
    assert "apis.0.stream.format" in told
    assert len(told.splitlines()) == 1


def test_bad_usage_is_2(sluice, tmp_path, monkeypatch):
    """Files that are not there, and samples of an API that was not named."""
    assert "cannot be read" in sluice("validate", tmp_path / "none.yaml", code=2).stderr
    assert "give a FILE" in sluice("validate", code=2).stderr
    assert "cannot be read" in sluice("validate", PARLEY, *with_samples(stream=tmp_path / "none"), code=2).stderr
    folder = tmp_path / "apis"
    folder.mkdir()
    text = PARLEY.read_text(encoding="utf-8")
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    (folder / "b.yaml").write_text(text.replace("parley", "other"), encoding="utf-8")
    assert "parley.talk, other.talk" in sluice("validate", folder, *with_samples(), code=2).stderr
    monkeypatch.setenv("SLUICE_APIS", str(folder))
    assert "0 unknown" in sluice("validate", "--api", "other.talk", *with_samples()).stdout


@pytest.mark.parametrize(
    ("changed", "content", "says"),
    [
        ("request", "{", "not valid JSON"),
        ("request", '{"a": 1, "a": 2}', "same key twice"),
        ("request", '"text"', "holds no JSON object"),
        ("request", '{"talk": []}', "no path of `request.texts` leads anywhere in the sample"),
        ("response", '{"says": "文"}', "no path of `answer.texts` leads anywhere in the sample"),
        ("stream", 'event: piece\ndata: {"nr": 0}\n\n', "finds no text of channel content"),
        ("stream", 'event: other\ndata: {"nr": 0}\n\n', "fit no entry of `stream.events`, or cannot be read: number 1"),
        ("stream", 'event: piece\ndata: {"nr": "0", "says": "文"}\n\n', "cannot be read: number 1"),
    ],
)
def test_samples_that_do_not_fit(sluice, tmp_path, changed, content, says):
    """What is wrong with a sample is named, with the sample."""
    file = tmp_path / "sample"
    file.write_text(content, encoding="utf-8")
    told = sluice("validate", PARLEY, *with_samples(**{changed: file}), code=1).stderr
    assert says in told
    assert str(file) in told


def test_paths_that_lead_nowhere_are_notes(sluice, tmp_path):
    """A place that a sample lacks may be optional: it is said, and is no failure."""
    file = tmp_path / "answer.json"
    file.write_text('{"drafts": [{"nr": 0, "says": "好"}]}', encoding="utf-8")
    told = sluice("validate", PARLEY, "--sample-response", file).stderr
    assert "note: answer.texts: drafts[*].thought leads nowhere in the sample" in told


def test_a_totals_stream_that_is_declared_as_pieces_shows(sluice, tmp_path):
    """The texts of a stream are shown as they would be read, so that a wrong `delta` is seen."""
    file = tmp_path / "x.yaml"
    text = (EXAMPLES.parents[1] / "tests/corpus/declared/brook.yaml").read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    sample = EXAMPLES.parents[1] / "tests/corpus/declared/brook/rewritten.ndjson"
    assert "今天下雨今日晴朗。" in sluice("validate", file, "--sample-stream", sample).stdout


def test_list_and_schema(sluice, monkeypatch):
    """Declared and built-in APIs, and the schema for editors."""
    assert "Anthropic messages" in sluice("list").stdout
    assert "declared" not in sluice("list").stdout
    monkeypatch.setenv("SLUICE_APIS", str(PARLEY))
    assert "parley.talk\tPOST /parley/v2/talk, POST /**/parley/talk\tdeclared" in sluice("list").stdout
    assert json.loads(sluice("schema").stdout)["title"] == "Sluice declared APIs"
