"""Judging one text in a command, without a server and its event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from filters.context_terms import ContextTerms
from filters.lexicon import Lexicon, Term
from filters.ruleset import Ruleset, Scorer, ScoringError
from filters.types import Decision, Direction, Match, ScoreNeeded, Scores
from gateway.classifier_loading import ClassifierLoader
from gateway.classifiers import scorer_of
from gateway.commands.opened import open_store
from gateway.settings import Settings
from gateway.sources import SHIPPED_POLICY, PolicySource, active_policy, read_text, shipped_terms
from models.types import Served


class Refused(NamedTuple):
    """A hit of a context term that does not count: what the classifier said of its sentence, and what it would take."""

    match: Match
    said: float
    least: float


def policy_in_force(settings: Settings) -> PolicySource:
    """The policy that a server with these settings uses. A database that does not exist yet is not created."""
    return _stored(settings)[0]


def judge_text(
    settings: Settings,
    text: str,
    direction: Direction,
    profile: str | None,
    *,
    on_failure: Callable[[str], None] = lambda _: None,
    on_refused: Callable[[Refused], None] = lambda _: None,
) -> Decision:
    """The decision that a server with these settings would take on a whole text.

    Args:
        settings: whose policy, terms and classifier count.
        text: what is judged.
        direction: of the text.
        profile: of the policy.
        on_failure: told why the classifier gave no scores, each time; never a word of the text.
        on_refused: told of each hit of a context term that the classifier did not agree with.
    """
    source, imported = _stored(settings)
    base = () if settings.base_lexicon == "none" else shipped_terms()
    policy = source.parse()
    classifier = ClassifierLoader(settings).load(policy, source)
    version, labels = (None, ()) if classifier is None else (classifier.version, classifier.labels)
    try:
        ruleset = Ruleset(policy, Lexicon([*base, *imported]), version, labels)
        rules = ruleset.context_terms(policy.profile(profile), direction)
        scorer = None if classifier is None else _telling(scorer_of(classifier), on_failure)
        if scorer is not None and rules is not None:
            scorer = _watching(scorer, rules, on_refused)
        return ruleset.moderate(text, direction, profile, scorer)
    finally:
        if isinstance(classifier, Served):
            classifier.close()


def _telling(scorer: Scorer, on_failure: Callable[[str], None]) -> Scorer:
    def score(question: ScoreNeeded) -> Scores:
        try:
            return scorer(question)
        except ScoringError as error:
            on_failure(str(error))
            raise

    return score


def _watching(scorer: Scorer, rules: ContextTerms, on_refused: Callable[[Refused], None]) -> Scorer:
    def score(question: ScoreNeeded) -> Scores:
        scores = scorer(question)
        for match in question.terms:
            said, least = rules.said(match, scores)
            if said < least:
                on_refused(Refused(match, said, least))
        return scores

    return score


def _stored(settings: Settings) -> tuple[PolicySource, Sequence[Term]]:
    if _absent(settings.database_url):
        path = settings.policy or SHIPPED_POLICY
        return PolicySource(read_text(path), str(path), "file" if settings.policy else "shipped"), []
    with open_store(settings) as store:
        return active_policy(store, settings.policy), store.terms.in_force()


def _absent(database_url: str) -> bool:
    parts = urlsplit(database_url)
    return parts.scheme.startswith("sqlite") and not Path(parts.path[1:]).exists()
