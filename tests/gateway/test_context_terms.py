"""Context terms through the control plane, the commands and the two endpoints that judge texts."""

import json
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lexicon import Lexicon, Term
from filters.policy import Policy
from filters.ruleset import Ruleset, ScoringError
from filters.types import Action
from gateway import classifiers, trial
from gateway.guard import Guard
from gateway.metrics import Metrics
from gateway.moderation import Moderation
from models.types import ClassifierError

DRUGS = "A1.h.drugs"


class Model:
    """A classifier, synchronous and not: a text with 卖 is an offer."""

    version = "test-1"
    labels = (DRUGS,)
    max_chars = 100
    broken = False

    def score(self, segments):
        """Score as commands ask."""
        if self.broken:
            raise ClassifierError("broken")
        return [{DRUGS: 0.7 if "卖" in segment.text else 0.1} for segment in segments]


class Inference(Model):
    """The same, asked by the event loop."""

    async def score(self, segments, deadline_s=None):
        """Score as servers ask."""
        return Model.score(self, segments)


class Endpoints:
    """Both endpoints with a lexicon of one context term."""

    def __init__(self, policy=None):
        terms = [
            Term("毒品", DRUGS, needs="classifier"),
            Term("毒粉", DRUGS, Action.FLAG, needs="classifier"),
            Term("炸药", "A1.d"),
        ]
        rules = Ruleset(Policy.parse(policy or {}), Lexicon(terms), Model.version, Model.labels)
        self.recorded = []
        parts = {
            "moderator": SimpleNamespace(current=rules, classifier=Model()),
            "inference": Inference(),
            "recorder": SimpleNamespace(record=self.record),
            "pseudonym": str,
            "keys": None,
            "max_body": 100_000,
            "metrics": Metrics(),
        }
        self.clients = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(kind(**parts)), base_url="http://sluice")
            for name, kind in (("moderations", Moderation), ("guard", Guard))
        }

    async def record(self, violation):
        """Keep."""
        self.recorded.append(violation)

    async def ask(self, name, **body):
        """The parsed answer."""
        answer = await self.clients[name].post(f"/v1/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.mark.anyio
async def test_moderations_say_that_the_classifier_agreed():
    """`matches[].how` has the score of the sentence; where it disagrees there is no match."""
    endpoints = Endpoints({"categories": {"*": {"threshold": 1.0}}})
    answer = await endpoints.ask("moderations", input=["查获毒品。卖毒 品。", "查获毒品。"])
    first, second = answer["results"]
    (match,) = first["sluice"]["matches"]
    assert (match["start"], match["rule"], match["score"]) == (6, "毒品", 0.97)
    assert match["how"][-1] == {"kind": "classifier", "written": "", "read": "", "score": 0.7}
    assert second["sluice"]["matches"] == []
    assert endpoints.recorded[0].matches[0]["how"] == [{"kind": "separator"}, {"kind": "classifier", "score": 0.7}]


@pytest.mark.anyio
async def test_moderations_score_no_text_by_the_sentences_of_context_terms():
    """Where the policy has no use for the classifier beside them, a category has a score where a term was found."""
    endpoints = Endpoints({"categories": {DRUGS: {"action": "allow"}}})
    answer = await endpoints.ask("moderations", input=["查获毒粉。", "卖毒粉。"])
    refused, found = (result["category_scores"] for result in answer["results"])
    assert set(refused.values()) == {0.0}
    assert found["illicit"] > 0.9


STORIES = ["查获毒品一批。卖毒品的人", "卖毒品，现货。后面", "毒品和炸药", "毒品毒品，卖。毒品", "什么也没有，毒药"]


@st.composite
def cut_stories(draw):
    """A story and how far each round of its stream has come."""
    story = draw(st.sampled_from(STORIES))
    return story, sorted(draw(st.sets(st.integers(1, len(story) - 1))))


@pytest.mark.anyio
@settings(deadline=None, max_examples=60)
@given(cut_stories(), st.sampled_from(["enforce", "monitor"]))
async def test_a_guarded_stream_never_depends_on_the_cuts(cut_story, mode):
    """However often a proxy asks, what it has sent is the beginning of what it may send in the end."""
    story, cuts = cut_story
    endpoints = Endpoints({"mode": mode, "categories": {"*": {"threshold": 1.0}}})

    async def so_far(text, *, final):
        answer = await endpoints.ask("guard", direction="output", texts=[text], stream={"final": final})
        return answer["texts"][0]["text"]

    whole, sent = await so_far(story, final=True), ""
    for cut in cuts:
        now = await so_far(story[:cut], final=False)
        assert now.startswith(sent)
        assert whole.startswith(now)
        sent = now
    assert mode == "monitor" or "卖毒品" not in whole


# --- lists ------------------------------------------------------------------------------------------------------------

LIST = "term,category,action,match,unless,with,within,note,needs\n毒样品,A1.h.drugs,,substring,,,,,classifier\n"


@pytest.fixture
def sluice(tmp_path, monkeypatch, run_sluice):
    """Run `sluice lexicon …` in an empty folder, with the model of these tests or none."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATA_DIR": str(tmp_path / "data"), "BASE_LEXICON": "none"}.items():
        monkeypatch.setenv(f"SLUICE_{name}", value)
    (tmp_path / "terms.csv").write_text(LIST)

    def run(*arguments, code=0, model=None):
        monkeypatch.setattr("gateway.classifier_loading.load_classifier", lambda _: model)
        return run_sluice(*arguments, code=code)

    return run


def test_a_list_goes_in_and_out(sluice, tmp_path):
    """CSV and JSONL keep what a term needs; the column is written only where it is used."""
    sluice("lexicon", "import", "terms.csv", model=Model())
    assert sluice("lexicon", "export").stdout == LIST
    sluice("lexicon", "export", "terms.jsonl")
    assert json.loads((tmp_path / "terms.jsonl").read_text())["needs"] == "classifier"
    sluice("lexicon", "import", "terms.jsonl", "--replace", model=Model())
    assert sluice("lexicon", "export").stdout == LIST
    (tmp_path / "terms.json").write_text('[{"term": "毒样品", "category": "A1.h.drugs", "needs": "classifier"}]')
    sluice("lexicon", "import", "terms.json", "--replace", model=Model())
    assert sluice("lexicon", "export").stdout == LIST
    assert "classifier" in sluice("lexicon", "list").stdout


def test_a_check_explains_what_the_classifier_refused(sluice, tmp_path):
    """A context term that does not count is told with what the classifier said, and only where somebody asks."""
    (tmp_path / "policy.yaml").write_text("categories: {A1.h.drugs: {context_threshold: 0.5}}\n")
    sluice("lexicon", "import", "terms.csv", model=Model())
    settings = ("check", "查获毒样品。卖毒样品。")
    shown = sluice(*settings, "--explain", model=Model(), code=1).stdout
    assert "2-5  '毒样品'  A1.h.drugs" in shown
    assert "context term, the classifier said 0.10 < 0.50" in shown
    assert shown.count("context term, the classifier said") == 1
    assert "the classifier said" not in sluice(*settings, model=Model(), code=1).stdout


def test_another_need_is_refused(sluice, tmp_path):
    """A word that means nothing there is an error with file, line and what would be right."""
    (tmp_path / "bad.csv").write_text("term,category,needs\n毒样品,A1.h.drugs,clasifier\n")
    said = sluice("lexicon", "import", "bad.csv", code=1).stderr
    assert "bad.csv:2: unknown needs 'clasifier': use classifier, or leave it empty" in said


def test_check_explains_who_agreed(sluice):
    """`sluice check` decides as the server does and says in both languages what the classifier gave the sentence."""
    sluice("lexicon", "import", "terms.csv", model=Model())
    sluice("check", "查获毒样品", model=Model())
    told = sluice("check", "这里卖毒样品", "--explain", code=1, model=Model()).stdout
    assert "分类器认同 0.70 | classifier agrees 0.70" in told
    told = sluice("check", "查获毒样品", "--explain", code=1).stdout
    assert "无分类器可判断，单独生效 | no classifier to ask, counts by itself" in told


def test_nobody_to_ask_is_said(sluice):
    """Import, lint and coverage name the categories that no classifier scores; with one they are silent."""
    said = "no classifier scores A1.h.drugs"
    assert said in sluice("lexicon", "import", "terms.csv").stderr
    assert said in sluice("lexicon", "coverage").stderr
    assert json.loads(sluice("lexicon", "coverage", "--json").stdout)["unscored"] == [DRUGS]
    assert "no classifier scores it" in sluice("lexicon", "lint", "terms.csv", code=1).stdout
    assert said not in sluice("lexicon", "import", "terms.csv", model=Model()).stderr
    assert said not in sluice("lexicon", "coverage", model=Model()).stderr
    assert "no classifier scores it" not in sluice("lexicon", "lint", "terms.csv", model=Model()).stdout


def test_lint_and_try_ask_the_classifier(sluice, tmp_path):
    """A hit in ordinary text that the classifier does not agree to is none; without it, it is one."""
    (tmp_path / "own.txt").write_text("查获毒样品一批。\n有人卖毒样品。\n")
    assert "hits ordinary text\t2 in" in sluice("lexicon", "lint", "terms.csv", "--benign", "own.txt", code=1).stdout
    told = sluice("lexicon", "lint", "terms.csv", "--benign", "own.txt", code=1, model=Model()).stdout
    assert "hits ordinary text\t1 in" in told
    assert (
        "毒样品\tA1.h.drugs\t1\t1\t有人卖【毒样品】。"
        in sluice("lexicon", "try", "terms.csv", "--corpus", "own.txt", model=Model()).stdout
    )
    assert "毒样品\tA1.h.drugs\t2\t2" in sluice("lexicon", "try", "terms.csv", "--corpus", "own.txt").stdout


def test_a_trial_never_takes_no_answer_for_no_hit():
    """Where the classifier fails, the trial does too."""
    model = Model()
    model.broken = True
    finder = classifiers.finder_of(model, Policy())
    terms = Lexicon([Term("毒样品", DRUGS, needs="classifier"), Term("炸药", "A1.d")])
    with pytest.raises(ScoringError):
        trial.run(terms, ["查获毒样品"], finder=finder)
    model.broken = False
    found = trial.run(terms, ["查获毒样品", "卖毒样品", "炸药"], finder=finder)
    assert [(row.term, row.hits) for row in found.terms] == [("毒样品", 1), ("炸药", 1)]
