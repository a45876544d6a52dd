"""A context term with the classifier that ships, as an operator would set it up."""

import httpx
import pytest

from filters.context_terms import scored_by
from models import load_classifier
from models.types import Segment

DRUGS = "A1.h.drugs"
SENTENCES = ("新到一批货，毒品包邮，要的私聊我。", "警方昨日查获毒品一批。")


@pytest.fixture
def threshold():
    """Between what the classifier gives the two sentences, whichever version of it ships."""
    scores = load_classifier().score([Segment(text) for text in SENTENCES])
    offer, report = (max(score[label] for label in scored_by(DRUGS, score)) for score in scores)
    assert offer > report
    return (offer * report) ** 0.5


def test_the_classifier_tells_the_sentences_apart(sluice, threshold):
    """One word, two sentences: on the command line, at /v1/moderations, and in the violations with its score."""
    gateway = sluice(base_lexicon="none", policy="policy.yaml")
    rule = f"{{action: block, threshold: 1.0, context_threshold: {threshold:.6f}}}"
    (gateway.folder / "policy.yaml").write_text(f'categories: {{"*": {{threshold: 1.0}}, {DRUGS}: {rule}}}\n')
    (gateway.folder / "terms.csv").write_text(f"term,category,needs\n毒品,{DRUGS},classifier\n")
    gateway.cli("lexicon", "import", "terms.csv")
    assert "classifier agrees 0." in gateway.cli("check", SENTENCES[0], "--explain", code=1)
    assert "allow" in gateway.cli("check", SENTENCES[1])

    gateway.start()
    # The report first: what stands before a sentence counts as evidence to the classifier, and the offer comes after.
    both = "".join(reversed(SENTENCES))
    asked = {"input": [both, SENTENCES[1]]}
    first, second = httpx.post(f"{gateway.data}/v1/moderations", json=asked, timeout=30).json()["results"]
    (match,) = first["sluice"]["matches"]
    at = both.rindex("毒品")
    assert (match["start"], match["end"], match["how"][0]["kind"]) == (at, at + 2, "classifier")
    assert match["how"][0]["score"] >= round(threshold, 4)
    assert second["flagged"] is False

    (violation,) = gateway.admin("/api/v1/violations")["items"]
    assert violation["matches"][0]["how"] == [{"kind": "classifier", "score": match["how"][0]["score"]}]
    coverage = gateway.admin("/api/v1/lexicon/coverage")
    assert (coverage["active"], coverage["unscored"]) == (1, [])
