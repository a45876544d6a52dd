import pytest

from filters.lexicon import Lexicon, read_csv
from filters.policy import Policy, PolicyError
from filters.ruleset import Ruleset, ScoringError
from filters.taxonomy import TaxonomyError
from filters.types import Action, Direction, Source, Span

IN, OUT = Direction.INPUT, Direction.OUTPUT
HEADER = "term,category,action,match,unless,with,within,note\n"
DRUGS, SPAM = "A1.h.drugs", "X.spam"


def lexicon(*rows):
    """A lexicon of CSV rows."""
    return Lexicon(read_csv(HEADER + "\n".join(rows), "test.csv"))


def test_the_version_is_that_of_policy_and_lexicon():
    """The version changes with a term or a rule, and with nothing else."""
    one = lexicon("冰毒,A1.h.drugs,,,,,,", "广告,X.spam,,,,,,")
    same = lexicon("广告,X.spam,,,,,,", "冰毒,A1.h.drugs,,,,,,")
    version = Ruleset(Policy(), one).version
    assert Ruleset(Policy(), same, "model-1", [SPAM]).version == version
    assert Ruleset(Policy(), lexicon("冰毒,A1.h.drugs,,,,,,")).version != version
    assert Ruleset(Policy(mode="monitor"), one).version != version


def test_moderates_a_whole_text():
    """A decision names every match, the strongest action and what it was decided by."""
    rules = Ruleset(Policy(), lexicon("冰毒,A1.h.drugs,,,,,,", "加微信,X.spam,mask,,,,,"))
    decision = rules.moderate("卖冰　毒请加微信", IN)
    assert decision.action is Action.BLOCK
    assert [(match.rule, match.span.start, match.span.end) for match in decision.matches] == [
        ("冰毒", 1, 4),
        ("加微信", 5, 8),
    ]
    assert decision.ruleset_version == rules.version
    assert decision.model_version is None
    assert rules.moderate("今天天气很好", IN).action is Action.ALLOW


def test_a_scorer_answers_for_the_classifier():
    """With a scorer the classifier's matches count as well, under the model's version."""
    rules = Ruleset(Policy(), Lexicon(), "model-1", [DRUGS, SPAM])
    decision = rules.moderate(
        "你好。" * 200 + "买药。", IN, scorer=lambda q: {DRUGS: 0.9 if "药" in q.text else 0, SPAM: 0}
    )
    (match,) = decision.matches
    assert (match.category, match.source, match.span) == (DRUGS, Source.CLASSIFIER, Span(576, 603))
    assert decision.model_version == "model-1"


def test_a_scorer_that_fails_is_decided_by_the_policy():
    """Failing to score blocks or passes as the policy says, and is always marked."""

    def scorer(question):
        raise ScoringError

    rules = Ruleset(Policy.parse({"on_error": {"output": "pass"}}), Lexicon(), "model-1", [SPAM])
    for direction, action in ((IN, Action.BLOCK), (OUT, Action.ALLOW)):
        decision = rules.moderate("你好", direction, scorer=scorer)
        assert (decision.action, decision.degraded) == (action, True)


def test_labels_are_checked_against_the_taxonomy():
    """A model with a label that is no category is refused when it is loaded, not when it fires."""
    with pytest.raises(TaxonomyError, match=r"X\.spa"):
        Ruleset(Policy(), Lexicon(), "model-1", ["X.spa"])


def test_without_anything_to_act_on_the_classifier_is_not_asked():
    """No model, or one whose every label is allowed, costs nothing and holds nothing."""
    allowing = Policy.parse({"categories": {SPAM: {"action": "allow"}}})
    for rules in (Ruleset(Policy(), Lexicon()), Ruleset(allowing, Lexicon(), "model-1", [SPAM])):
        stream = rules.open(OUT)
        stream.feed("你好，")
        assert stream.pending == 0
        assert stream.cleared == 3


def test_a_profile_has_its_own_thresholds():
    """The same scores count or not, as the profile has it."""
    policy = Policy.parse({"profiles": {"lax": {"categories": {SPAM: {"threshold": 0.99}}}}})
    rules = Ruleset(policy, Lexicon(), "model-1", [SPAM])
    assert rules.moderate("买", IN, scorer=lambda _: {SPAM: 0.9}).action is Action.BLOCK
    assert rules.moderate("买", IN, "lax", lambda _: {SPAM: 0.9}).action is Action.ALLOW
    with pytest.raises(PolicyError, match="unknown profile"):
        rules.open(IN, "none")


def test_streams_of_one_ruleset_are_independent():
    """Any number of streams share a ruleset; none sees another's text."""
    rules = Ruleset(Policy(), lexicon("炸药,A1.h.weapons_cbrne,,,,,,"))
    one, two = rules.open(OUT), rules.open(OUT)
    one.feed("炸")
    assert two.feed("药是什么")[0].upto == 4
    assert one.cleared == 0
