"""Makes the classifier that a policy describes, or the one that the settings name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filters.policy import Policy, PolicyError
from filters.policy_classifier import (
    EnsembleClassifier,
    GuardClassifier,
    HttpClassifier,
    OnnxClassifier,
    TransformersClassifier,
)
from filters.policy_text import line_of
from gateway.classifiers import load_classifier
from gateway.logs import get_logger
from gateway.settings import Settings
from gateway.sources import PolicySource
from models import ALIASES
from models.types import Classifier, ClassifierError, Served

if TYPE_CHECKING:  # each brings libraries that a policy without it does not need
    from models.guard_classifier import GuardClassifier as LoadedGuard
    from models.guards import Guard
    from models.remote_classifier import RemoteClassifier
    from models.server import Server

Single = OnnxClassifier | TransformersClassifier | GuardClassifier | HttpClassifier
Rule = Single | EnsembleClassifier

_log = get_logger("gateway.classifiers")


class ClassifierRefused(PolicyError):  # noqa: N818 - what happened to the policy
    """The classifier of a policy cannot be used here and now."""


class Counters(Protocol):
    """What is counted of servers (``gateway.metrics.Metrics``)."""

    def classifier_request(self, classifier: str, outcome: str) -> None:
        """A request to a classifier's server ended."""

    def classifier_left_alone(self, classifier: str, *, is_so: bool) -> None:
        """A breaker opened or closed."""


class ClassifierWatch:
    """Counts and logs what becomes of a policy's classifier in a running gateway. Called from worker threads."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def loaded(self, classifier: Classifier) -> None:
        """A classifier was loaded."""
        _log.info("classifier_loaded", version=classifier.version, labels=list(classifier.labels))
        for note in classifier.notes if isinstance(classifier, Served) else ():
            _log.warning("classifier_note", note=note)

    def answering(self, name: str) -> None:
        """A server answered when its classifier was loaded, whatever became of another one of this name."""
        self._counters.classifier_left_alone(name, is_so=False)

    def unanswered(self, reason: str) -> None:
        """A server gave no answer when its classifier was loaded, so nothing of it was checked."""
        _log.warning("classifier_not_checked", reason=reason, effect="it is waited for")

    def answered(self, name: str, outcome: str) -> None:
        """One request to a server ended."""
        self._counters.classifier_request(name, outcome)

    def breaker(self, name: str, *, opened: bool) -> None:
        """A server is left alone, or asked again."""
        self._counters.classifier_left_alone(name, is_so=opened)
        if opened:
            _log.error("classifier_left_alone", classifier=name, effect="on_error decides until it answers again")
        else:
            _log.info("classifier_is_back", classifier=name)


class ClassifierLoader:
    """Loads; a classifier that is described as before is not loaded again.

    Attributes:
        unanswered: why servers of what was loaded last did not answer, so that nothing of them was checked.
    """

    def __init__(self, settings: Settings, watch: ClassifierWatch | None = None) -> None:
        self._settings = settings
        self._watch = watch
        self._kept: tuple[str, Classifier | None] | None = None
        self.unanswered: list[str] = []

    def load(self, policy: Policy, source: PolicySource) -> Classifier | None:
        """The classifier that a policy describes; without one, that of ``SLUICE_CLASSIFIER``; maybe none.

        Raises:
            ClassifierRefused: the policy's cannot be used; file, line and what to change are told.
            ClassifierError: that of the settings cannot be used.
        """
        rule = policy.classifier
        said = self._fingerprint(rule) if rule is not None else self._said_by_settings()
        if self._kept is not None and self._kept[0] == said:
            return self._kept[1]
        self.unanswered = []
        if rule is None:
            made = load_classifier(self._settings)
        else:
            try:
                made = self.make(rule)
            except ClassifierError as error:
                raise _refused(error, source) from error
            if self._watch is not None:
                self._watch.loaded(made)
                for reason in self.unanswered:
                    self._watch.unanswered(reason)
        self._kept = said, made
        return made

    def promoted(self) -> str:
        """What is promoted now, as cheap to compare as to ask for."""
        try:
            return (self._settings.data_dir / ALIASES).read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            return type(error).__name__  # the registry says more when it is asked

    def _promoted(self, name: str) -> str:
        """The version that a name stands for; the name itself where it is none of the registry's."""
        try:
            return str(json.loads(self.promoted() or "{}").get(name, name))
        except (ValueError, AttributeError):
            return self.promoted()

    def make(self, rule: Rule) -> Classifier:
        """Build, load and try one.

        Raises:
            ClassifierError: it cannot be used; ``place`` leads to the key of the rule.
        """
        if not isinstance(rule, EnsembleClassifier):
            return self._single(rule)
        from models.ensemble import Ensemble, Member

        members = []
        for at, one in enumerate(rule.members):
            try:
                members.append(Member(self._single(one), one.weight, one.optional))
            except ClassifierError as error:
                for made in members:
                    if isinstance(made.classifier, Served):
                        made.classifier.close()
                raise ClassifierError(str(error), ("members", at, *error.place)) from error
        return Ensemble(members, rule.combine)

    def _single(self, rule: Single) -> Classifier:
        try:
            return self._made(rule)
        except ClassifierError:
            raise
        except Exception as error:  # a model's libraries are foreign code: what they raise refuses the policy
            reason = " ".join(str(error).split())[:200]
            message = f"cannot be loaded ({type(error).__name__}: {reason})"
            raise ClassifierError(message) from error

    def _made(self, rule: Single) -> Classifier:
        if isinstance(rule, OnnxClassifier):
            return self._own_format(rule)
        if isinstance(rule, TransformersClassifier):
            return _sequence_classifier(rule)
        if isinstance(rule, GuardClassifier):
            return self._guard(rule)
        return self._http(rule)

    def _own_format(self, rule: OnnxClassifier) -> Classifier:
        from models.registry import Registry

        try:
            if rule.model is None:
                found = load_classifier(self._settings)
            elif _is_folder(rule.model):
                found = load_classifier(self._settings.override(classifier=rule.model))
            else:
                found = Registry(self._settings.data_dir).load(rule.model)
        except ClassifierError as error:
            raise ClassifierError(str(error), ("model",)) from error
        if found is None:
            message = "SLUICE_CLASSIFIER is none, so there is nothing to take: name a model, or set it to shipped"
            raise ClassifierError(message, ("model",))
        return found

    def _guard(self, rule: GuardClassifier) -> Classifier:
        from models.guard_classifier import Asker, ServedGuard
        from models.guard_classifier import GuardClassifier as Made

        asker: Asker
        server: Server | None = None
        if rule.url is None:
            from models.local_guard import LocalGuard

            asker = LocalGuard.load(
                rule.model, rule.revision, name=rule.name or rule.kind, device=rule.device, threads=rule.threads
            )
        else:
            server = self._server(rule, rule.url)
            asker = ServedGuard(server, rule.model, weighed=rule.probabilities)
        try:
            made = Made(_family(rule), asker, rule.labels, weighed=rule.probabilities)
        except ClassifierError:
            asker.close()
            raise
        return self._tried(made, rule, server)

    def _http(self, rule: HttpClassifier) -> Classifier:
        from models.http_apis import OPENAI_LABELS, Api, Chat, OpenAIModeration, Tei, Vllm
        from models.label_map import LabelMap
        from models.remote_classifier import RemoteClassifier

        labels: Mapping[str, tuple[str, ...]] = rule.labels or {k: tuple(v) for k, v in OPENAI_LABELS.items()}
        apis: dict[str, Api] = {
            "vllm": Vllm(rule.model, rule.classes),
            "tei": Tei(),
            "openai": OpenAIModeration(rule.model),
            "chat": Chat(rule.model or "", tuple(labels), rule.instructions),
        }
        server = self._server(rule, rule.url)
        made = RemoteClassifier(
            server, apis[rule.api], LabelMap(labels), scores=rule.scores, batch=rule.batch, lenient=not rule.labels
        )
        return self._tried(made, rule, server)

    def _tried(
        self, made: LoadedGuard | RemoteClassifier, rule: GuardClassifier | HttpClassifier, server: Server | None
    ) -> Classifier:
        """Ask once: what answers wrongly is a mistake to be told now, what is away may come back."""
        try:
            made.try_now()
        except ClassifierError:
            made.close()
            raise
        if server is None:
            return made
        if not server.unanswered:
            if self._watch is not None:
                self._watch.answering(server.settings.name)
        else:
            self.unanswered.append(server.unanswered)
            # A command asks again at once. Without an optional one the others decide, and readiness is not its matter.
            if self._watch is not None and not rule.optional:
                server.leave_alone_if_away()
        return made

    def _server(self, rule: GuardClassifier | HttpClassifier, url: str) -> Server:
        from models.server import Server, ServerSettings

        key = None if rule.key is None else self._settings.classifier_key_of(rule.key)
        if rule.key is not None and key is None:
            message = f"its key is missing: put it into {self._settings.classifier_key_places(rule.key)}"
            raise ClassifierError(message, ("key",))
        settings = ServerSettings(
            name=rule.name or rule.kind,
            url=url,
            key=key,
            timeout_s=rule.timeout,
            connect_timeout_s=rule.connect_timeout,
            retries=rule.retries,
            concurrency=rule.concurrency,
            failures=rule.breaker_failures,
            cooldown_s=rule.breaker_pause,
        )
        return Server(settings, self._watch)

    def _said_by_settings(self) -> str:
        return self._promoted("production") if self._settings.classifier == "shipped" else ""

    def _fingerprint(self, rule: Rule) -> str:
        """Equal where loading would give the same: the description, the keys and the promoted models that it names."""
        rules = rule.members if isinstance(rule, EnsembleClassifier) else (rule,)
        names = [one.key for one in rules if isinstance(one, GuardClassifier | HttpClassifier) and one.key]
        keys = [self._settings.classifier_key_of(name) for name in names]
        models = [self._promoted(one.model or "production") for one in rules if isinstance(one, OnnxClassifier)]
        return hashlib.sha256(f"{rule.model_dump_json()}\n{keys!r}\n{models!r}".encode()).hexdigest()


def _is_folder(name: str) -> bool:
    return Path(name).expanduser().is_dir() or name.startswith((".", "/", "~"))


def _sequence_classifier(rule: TransformersClassifier) -> Classifier:
    from models.sequence_classifier import SequenceClassifier, SequenceSettings

    return SequenceClassifier.load(
        SequenceSettings(
            model=rule.model,
            labels=rule.labels,
            revision=rule.revision,
            runtime=rule.runtime,
            scores=rule.scores,
            max_tokens=rule.max_tokens,
            stride=rule.stride,
            windows=rule.windows,
            batch=rule.batch,
            threads=rule.threads,
            device=rule.device,
        )
    )


def _family(rule: GuardClassifier) -> Guard:
    from models.guards import LlamaGuard, Qwen3Guard, ShieldGemma

    if rule.format == "qwen3guard":
        return Qwen3Guard(rule.controversial)
    if rule.format == "llama-guard":
        return LlamaGuard()
    if not rule.guidelines:
        return ShieldGemma()
    return ShieldGemma(rule.guidelines, labels={label: rule.labels[label] for label in rule.guidelines})


def _refused(error: ClassifierError, source: PolicySource) -> ClassifierRefused:
    path = ("classifier", *error.place)
    where = ".".join(map(str, path))
    return ClassifierRefused(source.name, line_of(source.body, source.name, path), f"{where}: {error}")
