"""Ruleset: policy, lexicon and compiled filters as one immutable value under one version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from filters import taxonomy
from filters.classifier import ClassifierFilter, Cutting
from filters.compiled import CompiledLexicon
from filters.context_terms import ContextTerms, scored_by
from filters.keyword import build_filters
from filters.lexicon import Lexicon
from filters.policy import Policy
from filters.policy_classifier import OnnxClassifier
from filters.policy_patterns import pattern_filters
from filters.stream import ModerationStream
from filters.types import Action, Decision, Direction, Event, Filter, ScoreNeeded, Scores

Scorer = Callable[[ScoreNeeded], Scores]
"""Answers one question of the engine; raises ``ScoringError`` where it cannot."""


class ScoringError(Exception):
    """A scorer could not score; the policy's ``on_error`` decides."""


class Ruleset:
    """Everything that decides, compiled once and shared by all streams. Immutable and thread-safe.

    ``filters`` may be given where the lexicon's own are not wanted (tests, a filter of the customer's); those of the
    policy's patterns come on top.
    """

    def __init__(
        self,
        policy: Policy,
        lexicon: Lexicon | CompiledLexicon,
        model_version: str | None = None,
        labels: Sequence[str] = (),
        *,
        filters: Sequence[Filter] | None = None,
    ) -> None:
        """Compile.

        Raises:
            TaxonomyError: a label of the model is no category.
        """
        for label in labels:
            taxonomy.get(label)
        self.policy = policy
        self.lexicon = lexicon
        self.model_version = model_version
        self.labels = tuple(labels)
        # a policy that names its classifier says with it which weights decide
        named = f"\n{model_version}" if policy.classifier is not None else ""
        self.version = hashlib.sha256(f"{policy.version}\n{lexicon.version}{named}".encode()).hexdigest()[:16]
        self.filters: tuple[Filter, ...] = _filters(lexicon) if filters is None else tuple(filters)
        self._classifiers: dict[tuple[str, Direction], ClassifierFilter | None] = {}
        self._context_terms: dict[tuple[str, Direction], ContextTerms | None] = {}
        self._context_codes = frozenset[str]().union(*(getattr(one, "context_codes", ()) for one in self.filters))
        self._patterns: dict[tuple[str, Direction], tuple[Filter, ...]] = {}
        for direction in Direction:  # compiled before the first text asks for them
            for each in (policy, *map(policy.profile, policy.profiles)):
                self.filters_for(each, direction)

    def filters_for(self, policy: Policy, direction: Direction) -> tuple[Filter, ...]:
        """Give all filters that need no answer from outside: the lexicon's, and those of the policy's patterns."""
        key = (policy.version, direction)
        patterns = self._patterns.get(key)
        if patterns is None:
            patterns = self._patterns[key] = pattern_filters(policy.patterns, direction)
        return (*self.filters, *patterns) if patterns else self.filters

    def classifier(self, policy: Policy, direction: Direction) -> ClassifierFilter | None:
        """Give the classifier under a policy; ``None`` without a model, or where every label of it is allowed."""
        key = (policy.version, direction)
        if key not in self._classifiers:
            self._classifiers[key] = self._build_classifier(policy, direction)
        return self._classifiers[key]

    def _build_classifier(self, policy: Policy, direction: Direction) -> ClassifierFilter | None:
        rules = {label: policy.rule(label, direction) for label in self.labels}
        thresholds = {label: rule.threshold for label, rule in rules.items() if rule.action is not Action.ALLOW}
        if self.model_version is None or not thresholds:
            return None
        return ClassifierFilter(self.model_version, self.labels, thresholds, self.cutting(direction))

    def cutting(self, direction: Direction) -> Cutting:
        """Give how texts of a direction are cut for the classifier."""
        return cutting_of(self.policy, direction)

    def context_terms(self, policy: Policy, direction: Direction) -> ContextTerms | None:
        """Give what the classifier must find round the terms that need it; ``None`` without a model or such terms."""
        if not self._context_codes or self.model_version is None:
            return None
        key = (policy.version, direction)
        if key not in self._context_terms:
            thresholds = {code: policy.rule(code, direction).context_threshold for code in self._context_codes}
            before = self.cutting(Direction.OUTPUT).context
            self._context_terms[key] = ContextTerms(self.model_version, self.labels, thresholds, before)
        return self._context_terms[key]

    @property
    def unscored(self) -> Sequence[str]:
        """The categories of context terms that no model scores here: these terms count by themselves."""
        return sorted(code for code in self._context_codes if not scored_by(code, self.labels))

    def open(
        self, direction: Direction, profile: str | None = None, *, classify: bool = True, stop_at_block: bool = True
    ) -> ModerationStream:
        """Start on a new text.

        Raises:
            PolicyError: there is no such profile.
        """
        policy = self.policy.profile(profile)
        return ModerationStream(self, policy, direction, classify=classify, stop_at_block=stop_at_block)

    def moderate(
        self, text: str, direction: Direction, profile: str | None = None, scorer: Scorer | None = None
    ) -> Decision:
        """Decide on a whole text with every match collected; without a scorer, without the classifier.

        Raises:
            PolicyError: there is no such profile.
        """
        stream = self.open(direction, profile, classify=scorer is not None, stop_at_block=False)
        questions = _questions(stream.feed(text))
        questions += _questions(stream.finish())
        while questions and scorer is not None:
            questions += _questions(_answer(stream, questions.pop(0), scorer))
        return stream.decision()


def cutting_of(policy: Policy, direction: Direction) -> Cutting:
    """How texts of a direction are cut under a policy; as the shipped classifier wants it where it names none."""
    return (policy.classifier or OnnxClassifier()).cutting_of(direction)


def _filters(lexicon: Lexicon | CompiledLexicon) -> tuple[Filter, ...]:
    return lexicon.filters if isinstance(lexicon, CompiledLexicon) else build_filters(lexicon)


def _questions(events: Sequence[Event]) -> list[ScoreNeeded]:
    return [event for event in events if isinstance(event, ScoreNeeded)]


def _answer(stream: ModerationStream, question: ScoreNeeded, scorer: Scorer) -> Sequence[Event]:
    try:
        scores = scorer(question)
    except ScoringError:
        return stream.fail(question.ticket)
    return stream.resolve(question.ticket, scores)
